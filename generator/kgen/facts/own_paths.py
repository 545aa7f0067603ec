"""The paths on a machine that a user's file cannot have: those of kgen and Kubernetes, and those that do not last."""

from __future__ import annotations

from fnmatch import fnmatchcase

_BUNDLE = "remove it: keys and certificates come from the secrets bundle"
_KUBECONFIG = "remove it: kubeconfigs come from the secrets bundle"
_KGEN = "remove it: kgen writes it"
_UNTIL_REBOOT = "use a directory that is kept, such as /etc or /var/lib"

OWN: tuple[tuple[str, str], ...] = (
    ("/etc/kubernetes/manifests/*", "use `staticPods:`"),
    ("/etc/kubernetes/kube-apiserver/*", "use the keys of `apiServer:`, such as auditPolicyFile and encryption"),
    *((f"/etc/kubernetes/pki/{name}", _BUNDLE) for name in ("etcd/*", "sa.*", "ca.*", "apiserver*", "front-proxy-*")),
    *(
        (f"/etc/kubernetes/{name}.conf", _KUBECONFIG)
        for name in ("admin", "super-admin", "kubelet", "bootstrap-kubelet", "controller-manager", "scheduler")
    ),
    ("/var/lib/kubelet/config.yaml", "use `kubelet:`"),
    ("/var/lib/kubelet/instance-config.yaml", "use `kubelet:`"),
    ("/var/lib/kubelet/kubeadm-flags.env", "use nodeRegistration.kubeletExtraArgs"),
    ("/var/lib/kubelet/pki/*", "remove it: the kubelet makes its own certificates"),
    ("/etc/modules-load.d/kgen.conf", _KGEN),
    ("/etc/sysctl.d/kgen*.conf", _KGEN),
    ("/etc/kgen/*", _KGEN),
    ("/var/lib/kgen/*", _KGEN),
    ("/usr/local/lib/kgen/*", _KGEN),
    ("/usr/local/sbin/kgen-firstboot", _KGEN),
    ("/etc/systemd/system/kgen-*", _KGEN),
    ("/etc/systemd/system/*.service.d/kgen-*", _KGEN),
    ("/etc/systemd/system/*.slice.d/kgen-*", _KGEN),
    ("/usr/lib/systemd/system/kgen-*", _KGEN),
    ("/etc/cni/net.d/10-kgen-*", _KGEN),
    ("/etc/cloud/cloud.cfg.d/95-kgen.cfg", _KGEN),
    ("/var/lib/cloud/*", "remove it: cloud-init keeps its state there"),
    *((f"/{name}/*", "remove it: the kernel makes these files") for name in ("proc", "sys", "dev")),
    *((f"/{name}/*", _UNTIL_REBOOT) for name in ("run", "var/run", "tmp")),
)
"""Patterns of paths, ``*`` for any characters, and what to do instead. The first row that matches applies."""


def instead(path: str) -> str:
    """Return what to do instead of a file at ``path``; empty if a user may have one there."""
    for pattern, hint in OWN:
        if fnmatchcase(path, pattern):
            return hint
        if pattern.startswith(path + "/"):
            return "this is a directory: name a file in it"
    return ""
