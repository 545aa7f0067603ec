"""The fixed names: paths on a machine, ports, groups, user names, labels.

Kubernetes and kubeadm fix most of them; kgen's own paths and units are here too. Sources: kubeadm v1.37's constants as
seen in the output of ``kubeadm init --dry-run``, and
https://kubernetes.io/docs/reference/setup-tools/kubeadm/implementation-details/.
"""

from __future__ import annotations

from pathlib import PurePosixPath

KUBERNETES_DIR = PurePosixPath("/etc/kubernetes")
PKI_DIR = KUBERNETES_DIR / "pki"
MANIFESTS_DIR = KUBERNETES_DIR / "manifests"
KUBELET_DIR = PurePosixPath("/var/lib/kubelet")
KUBELET_CONFIG = KUBELET_DIR / "config.yaml"
KUBELET_FLAGS_ENV = KUBELET_DIR / "kubeadm-flags.env"
KUBELET_INSTANCE_CONFIG = KUBELET_DIR / "instance-config.yaml"
KUBELET_CLIENT = KUBELET_DIR / "pki/kubelet-client-current.pem"
KUBELET_SERVING = KUBELET_DIR / "pki/kubelet-serving"
"""The serving certificate that kgen gives a kubelet, and its key, without suffix. The one that the kubelet makes itself
is ``kubelet.crt`` beside it."""
BOOTSTRAP_KUBELET_CONF = KUBERNETES_DIR / "bootstrap-kubelet.conf"
CA_DIRECTORIES = {
    "ca-certs": "/etc/ssl/certs",
    "etc-ca-certificates": "/etc/ca-certificates",
    "usr-local-share-ca-certificates": "/usr/local/share/ca-certificates",
    "usr-share-ca-certificates": "/usr/share/ca-certificates",
}
"""The directories of the package ca-certificates on Debian and Ubuntu. kubeadm mounts those it finds on the machine."""
ETCD_DATA_DIR = PurePosixPath("/var/lib/etcd")

# kgen's own paths.
RUNNER_PATH = PurePosixPath("/usr/local/lib/kgen/firstboot.py")
IMAGE_DELIVER = RUNNER_PATH.with_name("deliver")
"""The script of an image that the ``bootcmd`` of documents calls: ``deliver <role>``."""
COMMAND_PATH = PurePosixPath("/usr/local/sbin/kgen-firstboot")
IMAGE_PATH = PurePosixPath("/etc/kgen/image.json")
PAYLOAD_PATH = PurePosixPath("/etc/kgen/payload.json")
SEAL_KEY_PATH = PurePosixPath("/etc/kgen/seal.key")
SEAL_KEY_CREDENTIAL = "kgen.seal-key"
"""The name of the systemd credential that a machine looks for beside ``SEAL_KEY_PATH``."""
DONE_PATH = PurePosixPath("/var/lib/kgen/done")
HOLD_PATH = PurePosixPath("/run/kgen/wait-for-runcmd")
"""While this file is there, an image does not begin its first boot by itself."""

API_SERVER_PORT = 6443
ETCD_CLIENT_PORT = 2379
ETCD_PEER_PORT = 2380
ETCD_METRICS_PORT = 2381
CONTROLLER_MANAGER_PORT = 10257
SCHEDULER_PORT = 10259
KUBELET_PORT = 10250
KUBELET_HEALTHZ_PORT = 10248

GROUP_MASTERS = "system:masters"
GROUP_NODES = "system:nodes"
GROUP_CLUSTER_ADMINS = "kubeadm:cluster-admins"
GROUP_DEFAULT_NODE_TOKEN = "system:bootstrappers:kubeadm:default-node-token"  # noqa: S105 a group, not a secret
NODE_USER_PREFIX = "system:node:"

LABEL_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
LABEL_EXCLUDE_LOAD_BALANCERS = "node.kubernetes.io/exclude-from-external-load-balancers"
ANNOTATION_CRI_SOCKET = "kubeadm.alpha.kubernetes.io/cri-socket"

ALLOCATE_NODE_CIDRS = "allocate-node-cidrs"
"""The flag of kube-controller-manager that makes it give each Node a range for its pods."""

KUBELET_SYSCTLS = {
    "kernel.keys.root_maxbytes": "25000000",
    "kernel.keys.root_maxkeys": "1000000",
    "kernel.panic": "10",
    "kernel.panic_on_oops": "1",
    "vm.overcommit_memory": "1",
    "vm.panic_on_oom": "0",
}
"""The kubelet sets these, or with ``protectKernelDefaults`` does not start unless the machine has them
(``k8s.io/kubernetes/pkg/kubelet/cm``, v1.37)."""

FIRST_BOOT_UNITS = ("kgen-firstboot", "kgen-later")
"""systemd's units of the first-boot program, enabled in images."""

POD_SYSCTLS = {
    4: ("net.bridge.bridge-nf-call-iptables", "net.ipv4.ip_forward"),
    6: ("net.bridge.bridge-nf-call-ip6tables", "net.ipv6.conf.all.forwarding", "net.ipv6.conf.default.forwarding"),
}
"""The kernel parameters for forwarding between pods, by address family; each is 1."""

CRI_SOCKET = "unix:///var/run/containerd/containerd.sock"
DEFAULT_IMAGE_REPOSITORY = "registry.k8s.io"
DEFAULT_CLUSTER_DOMAIN = "cluster.local"
DEFAULT_SERVICE_SUBNET = "10.96.0.0/12"
DNS_ADDRESS = 10
"""The Service ``kube-dns`` has this address of the Services' network, counted from its first one."""


def token_parameter(cluster: str, pool: str) -> str:
    """Return the name of a pool's bootstrap token in Parameter Store, below what a node's role may read."""
    return f"/kgen/{cluster}/node/{pool}/token"


def image_runner(role: str) -> PurePosixPath:
    """Return the path of the first-boot program of ``role`` in an image."""
    return RUNNER_PATH.with_name(f"firstboot-{role}.py")
