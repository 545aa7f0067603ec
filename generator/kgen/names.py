"""What Kubernetes and kubeadm fix: paths on a node, ports, groups, common names, labels.

Sources: kubeadm v1.37's constants as seen in the output of ``kubeadm init --dry-run``, and
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
BOOTSTRAP_KUBELET_CONF = KUBERNETES_DIR / "bootstrap-kubelet.conf"
ETCD_DATA_DIR = PurePosixPath("/var/lib/etcd")

RUNNER_PATH = PurePosixPath("/usr/local/lib/kgen/firstboot.py")
BAKED_RUNNERS = RUNNER_PATH.parent
"""Where an image has ``firstboot-<role>.py``, and ``firstboot-<role>.json`` with the texts of its release."""
BAKED_DELIVERY = BAKED_RUNNERS / "deliver"
"""What a document for an image calls first: ``deliver <role>``, where another calls what repeats delivery itself."""
BAKED_LAUNCH = BAKED_RUNNERS / "launch"
COMMAND_PATH = PurePosixPath("/usr/local/sbin/kgen-firstboot")
IMAGE_PATH = PurePosixPath("/etc/kgen/image.json")
PAYLOAD_PATH = PurePosixPath("/etc/kgen/payload.json")
DONE_PATH = PurePosixPath("/var/lib/kgen/done")

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
"""kube-controller-manager's flag: whether it gives each Node a range for its pods."""

FIRST_BOOT_UNITS = ("kgen-firstboot", "kgen-head-start", "kgen-later")
"""systemd's units of the first-boot program, all of them enabled in images."""

CRI_SOCKET = "unix:///var/run/containerd/containerd.sock"
DEFAULT_IMAGE_REPOSITORY = "registry.k8s.io"
DEFAULT_CLUSTER_DOMAIN = "cluster.local"
DEFAULT_SERVICE_SUBNET = "10.96.0.0/12"
