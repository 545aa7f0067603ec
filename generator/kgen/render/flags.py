"""The flags kubeadm gives to etcd, kube-apiserver, kube-controller-manager and kube-scheduler.

Each function returns the defaults of one component; ``join`` puts the extra arguments behind them.
Facts: the manifests that ``kubeadm init --dry-run`` prints; what depends on its version is asked of ``versions``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kgen import names, versions
from kgen.config.model import Argument, Cluster, Machine

_PKI = names.PKI_DIR
_CONTROLLER_MANAGER_CONF = str(names.KUBERNETES_DIR / "controller-manager.conf")
_SCHEDULER_CONF = str(names.KUBERNETES_DIR / "scheduler.conf")


def join(defaults: Mapping[str, str], extra: Sequence[Argument]) -> list[str]:
    """Return a component's arguments.

    Defaults that nobody overrides come first, sorted; then the extra arguments in the order given, repeats included
    (kubeadm since v1.33.8, v1.34.4, v1.35.1 and v1.36; before, it lost the order).
    """
    overridden = {argument.name for argument in extra}
    kept = sorted(f"--{name}={value}" for name, value in defaults.items() if name not in overridden)
    return [*kept, *(f"--{argument.name}={argument.value}" for argument in extra)]


def last(extra: Sequence[Argument], name: str, default: str) -> str:
    """Return the value a component ends up with for a flag: that of the last extra argument, else ``default``."""
    return next((argument.value for argument in reversed(extra) if argument.name == name), default)


def loopback(machine: Machine) -> str:
    """Return the loopback address of the machine's first address family, as it stands in a URL."""
    return "[::1]" if machine.address.version == 6 else "127.0.0.1"


def etcd(cluster: Cluster, machine: Machine) -> dict[str, str]:
    """Return etcd's default flags; ``initial-cluster`` names every master, so that all may boot at once."""
    client_url = etcd_client_url(machine)
    peer_url = etcd_peer_url(machine)
    checks = {"feature-gates": "InitialCorruptCheck=true", "watch-progress-notify-interval": "5s"}
    if versions.etcd_flags_are_experimental(cluster.kubernetes_version, cluster.etcd.image_tag):
        checks = {"experimental-initial-corrupt-check": "true", "experimental-watch-progress-notify-interval": "5s"}
    return {
        **checks,
        "advertise-client-urls": client_url,
        "cert-file": f"{_PKI}/etcd/server.crt",
        "client-cert-auth": "true",
        "data-dir": str(cluster.etcd.data_dir),
        "initial-advertise-peer-urls": peer_url,
        "initial-cluster": ",".join(f"{master.name}={etcd_peer_url(master)}" for master in cluster.masters),
        "key-file": f"{_PKI}/etcd/server.key",
        "listen-client-urls": f"https://{loopback(machine)}:{names.ETCD_CLIENT_PORT},{client_url}",
        "listen-metrics-urls": f"http://{loopback(machine)}:{names.ETCD_METRICS_PORT}",
        "listen-peer-urls": peer_url,
        "name": machine.name,
        "peer-cert-file": f"{_PKI}/etcd/peer.crt",
        "peer-client-cert-auth": "true",
        "peer-key-file": f"{_PKI}/etcd/peer.key",
        "peer-trusted-ca-file": f"{_PKI}/etcd/ca.crt",
        "snapshot-count": "10000",
        "trusted-ca-file": f"{_PKI}/etcd/ca.crt",
    }


def etcd_client_url(machine: Machine) -> str:
    """Return the URL at which a master's etcd serves clients."""
    return f"https://{machine.host}:{names.ETCD_CLIENT_PORT}"


def etcd_peer_url(machine: Machine) -> str:
    """Return the URL at which a master's etcd serves its peers."""
    return f"https://{machine.host}:{names.ETCD_PEER_PORT}"


def apiserver(cluster: Cluster, machine: Machine) -> dict[str, str]:
    """Return kube-apiserver's default flags; it talks to the etcd on its own machine."""
    own_etcd = f"https://{loopback(machine)}:{names.ETCD_CLIENT_PORT}"
    flags = {
        "advertise-address": str(machine.address),
        "allow-privileged": "true",
        "client-ca-file": f"{_PKI}/ca.crt",
        "enable-admission-plugins": "NodeRestriction",
        "enable-bootstrap-token-auth": "true",
        "etcd-cafile": f"{_PKI}/etcd/ca.crt",
        "etcd-certfile": f"{_PKI}/apiserver-etcd-client.crt",
        "etcd-keyfile": f"{_PKI}/apiserver-etcd-client.key",
        "etcd-servers": last(cluster.etcd.extra_args, "advertise-client-urls", own_etcd),
        "kubelet-client-certificate": f"{_PKI}/apiserver-kubelet-client.crt",
        "kubelet-client-key": f"{_PKI}/apiserver-kubelet-client.key",
        "kubelet-preferred-address-types": "InternalIP,ExternalIP,Hostname",
        "proxy-client-cert-file": f"{_PKI}/front-proxy-client.crt",
        "proxy-client-key-file": f"{_PKI}/front-proxy-client.key",
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-client-ca-file": f"{_PKI}/front-proxy-ca.crt",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "secure-port": str(machine.bind_port),
        "service-account-issuer": f"https://kubernetes.default.svc.{cluster.networking.dns_domain}",
        "service-account-key-file": f"{_PKI}/sa.pub",
        "service-account-signing-key-file": f"{_PKI}/sa.key",
        "service-cluster-ip-range": comma_list(cluster.networking.service_subnets),
        "tls-cert-file": f"{_PKI}/apiserver.crt",
        "tls-private-key-file": f"{_PKI}/apiserver.key",
    }
    if not any(argument.name == "authorization-config" for argument in cluster.api_server.extra_args):
        flags["authorization-mode"] = "Node,RBAC"
    return flags


def controller_manager(cluster: Cluster, machine: Machine) -> dict[str, str]:
    """Return kube-controller-manager's default flags; it allocates pod CIDRs only where the file gives a pod subnet."""
    flags = {
        "authentication-kubeconfig": _CONTROLLER_MANAGER_CONF,
        "authorization-kubeconfig": _CONTROLLER_MANAGER_CONF,
        "bind-address": "127.0.0.1",
        "client-ca-file": f"{_PKI}/ca.crt",
        "cluster-name": cluster.cluster_name,
        "cluster-signing-cert-file": f"{_PKI}/ca.crt",
        "cluster-signing-key-file": f"{_PKI}/ca.key",
        "controllers": "*,bootstrapsigner,tokencleaner",
        "kubeconfig": _CONTROLLER_MANAGER_CONF,
        "leader-elect": "true",
        "requestheader-client-ca-file": f"{_PKI}/front-proxy-ca.crt",
        "root-ca-file": f"{_PKI}/ca.crt",
        "service-account-private-key-file": f"{_PKI}/sa.key",
        "use-service-account-credentials": "true",
    }
    if cluster.networking.pod_subnets:
        flags[names.ALLOCATE_NODE_CIDRS] = "true"
        flags["cluster-cidr"] = comma_list(cluster.networking.pod_subnets)
        flags["service-cluster-ip-range"] = comma_list(cluster.networking.service_subnets)
    return flags


def scheduler(cluster: Cluster, machine: Machine) -> dict[str, str]:
    """Return kube-scheduler's default flags."""
    return {
        "authentication-kubeconfig": _SCHEDULER_CONF,
        "authorization-kubeconfig": _SCHEDULER_CONF,
        "bind-address": "127.0.0.1",
        "kubeconfig": _SCHEDULER_CONF,
        "leader-elect": "true",
    }


def comma_list(values: Sequence[object]) -> str:
    """Return the values as flags and component configurations take several: joined by commas."""
    return ",".join(map(str, values))
