"""The table of reasons: why a file is on a machine."""

from __future__ import annotations

from fnmatch import fnmatchcase

_TABLE = (
    ("/etc/kubernetes/pki/ca.crt", "the cluster's CA, which the machine trusts"),
    ("/etc/kubernetes/pki/*ca.key", "kubeadm renews certificates with it; pki.shipCAKeys decides"),
    ("/etc/kubernetes/pki/etcd/ca.crt", "the CA that etcd's members and clients trust"),
    ("/etc/kubernetes/pki/front-proxy-ca.crt", "the CA of requests that API servers pass on to others"),
    ("/etc/kubernetes/pki/sa.*", "signs and verifies the tokens of service accounts"),
    ("/etc/kubernetes/pki/apiserver.*", "the API server shows it to its clients"),
    ("/etc/kubernetes/pki/apiserver-kubelet-client.*", "the API server calls the kubelets with it"),
    ("/etc/kubernetes/pki/apiserver-etcd-client.*", "the API server calls etcd with it"),
    ("/etc/kubernetes/pki/front-proxy-client.*", "the API server calls extension servers with it"),
    ("/etc/kubernetes/pki/etcd/server.*", "etcd shows it to its clients"),
    ("/etc/kubernetes/pki/etcd/peer.*", "etcd shows it to the other members"),
    ("/etc/kubernetes/pki/etcd/healthcheck-client.*", "kubeadm checks etcd's health with it"),
    ("/etc/kubernetes/pki/*", "a key or certificate of the control plane"),
    ("/etc/kubernetes/kube-apiserver/encryption.yaml", "the keys with which the API server encrypts objects in etcd"),
    ("/etc/kubernetes/kube-apiserver/*", "a key below apiServer names it, or hardening: cis brings it"),
    ("/etc/kubernetes/admin.conf", "for the cluster's administrators"),
    ("/etc/kubernetes/super-admin.conf", "for emergencies: works without RBAC; on one master only"),
    ("/etc/kubernetes/bootstrap-kubelet.conf", "the bootstrap token, with which the kubelet gets its certificate"),
    ("/etc/kubernetes/kubelet.conf", "the kubelet talks to its API server with it"),
    ("/etc/kubernetes/controller-manager.conf", "kube-controller-manager talks to its API server with it"),
    ("/etc/kubernetes/scheduler.conf", "kube-scheduler talks to its API server with it"),
    ("/etc/kubernetes/manifests/etcd.yaml", "the static pod of this master's member of etcd"),
    ("/etc/kubernetes/manifests/kube-*.yaml", "a static pod of the control plane"),
    ("/etc/kubernetes/manifests/*", "a static pod of yours"),
    ("/var/lib/kubelet/config.yaml", "the kubelet's configuration, the cluster's"),
    ("/var/lib/kubelet/instance-config.yaml", "the kubelet's configuration, this machine's part"),
    ("/var/lib/kubelet/pki/kubelet-serving.*", "the kubelet shows it to the API servers"),
    ("/var/lib/kubelet/pki/kubelet-client-*", "the kubelet talks to its API server with it"),
    ("/var/lib/kubelet/kubeadm-flags.env", "the kubelet's arguments: name, address, labels, taints"),
    ("/etc/modules-load.d/kgen.conf", "kernel modules that containers and their networks need"),
    ("/etc/sysctl.d/kgen.conf", "kernel parameters for pods, and yours"),
    ("/etc/cni/net.d/*", "networking.plugin: bridge connects the pods"),
    ("/etc/kgen/routes", "routes to the pods of the other machines"),
    ("/etc/systemd/system/kgen-routes.*", "sets the routes, also after a change"),
    ("/etc/kgen/labels.json", "labels that kubelets may not set"),
    ("/etc/systemd/system/kgen-labels.*", "sets labels that kubelets may not set"),
    ("/etc/kgen/metadata-fence.nft", "metadataFence: rules that keep pods from the metadata service"),
    ("/etc/systemd/system/kgen-metadata-fence.*", "sets the rules of metadataFence, also after a change"),
    (
        "/etc/systemd/system/kubepods.slice.d/*",
        "the control group that metadataFenceHostNetwork keeps from the service",
    ),
    ("/etc/systemd/system/*/kgen-metadata-fence.conf", "the kubelet starts after the rules of metadataFence are there"),
    ("/etc/kgen/proxy.env", "the HTTP proxy, for root only: its URL may hold a password"),
    ("/etc/systemd/system/*/kgen-proxy.conf", "the program uses the HTTP proxy"),
)


def reason(path: str) -> str:
    """Return why the file is on a machine: the first row of the table that fits, else the user wants it there."""
    return next((why for pattern, why in _TABLE if fnmatchcase(path, pattern)), "yours, from the cluster file")
