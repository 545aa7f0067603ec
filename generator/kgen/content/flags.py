"""The flags kubeadm gives to etcd, kube-apiserver, kube-controller-manager and kube-scheduler.

Each function returns the defaults of one component; ``join`` puts the extra arguments behind them.
Facts: the manifests that ``kubeadm init --dry-run`` prints; ``versions`` knows what depends on the version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kgen.facts import names, versions
from kgen.model import Argument, Cluster, Machine

_PKI = names.PKI_DIR
_CONTROLLER_MANAGER_CONF = str(names.KUBERNETES_DIR / "controller-manager.conf")
_SCHEDULER_CONF = str(names.KUBERNETES_DIR / "scheduler.conf")


def join(defaults: Mapping[str, str], extra: Sequence[Argument]) -> list[str]:
    """Return a component's arguments.

    Defaults that nobody overrides come first, sorted; then the extra arguments in the order given, repeats included
    (kubeadm since v1.33.8, v1.34.4, v1.35.1 and v1.36; earlier versions lost the order).
    """
    overridden = {argument.name for argument in extra}
    kept = sorted(f"--{name}={value}" for name, value in defaults.items() if name not in overridden)
    return [*kept, *(f"--{argument.name}={argument.value}" for argument in extra)]


def last(extra: Sequence[Argument], name: str, default: str) -> str:
    """Return the value of a flag: that of the last extra argument, or ``default`` if there is none."""
    return next((argument.value for argument in reversed(extra) if argument.name == name), default)


def loopback(machine: Machine) -> str:
    """Return the loopback address of the machine's first address family, in the form for a URL."""
    return "[::1]" if machine.address.version == 6 else "127.0.0.1"


def etcd(cluster: Cluster, machine: Machine) -> dict[str, str]:
    """Return etcd's default flags. ``initial-cluster`` names every master, so that all can boot at the same time."""
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
    """Return kube-apiserver's default flags."""
    flags = {
        **_etcd_client(cluster, machine),
        "advertise-address": str(machine.address),
        "allow-privileged": "true",
        "client-ca-file": f"{_PKI}/ca.crt",
        "enable-admission-plugins": "NodeRestriction",
        "enable-bootstrap-token-auth": "true",
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


def _etcd_client(cluster: Cluster, machine: Machine) -> dict[str, str]:
    """Return the flags with which kube-apiserver uses the etcd on its own machine, or that outside."""
    external = cluster.external_etcd
    if external:
        servers = comma_list(external.endpoints)
    else:
        own = f"https://{loopback(machine)}:{names.ETCD_CLIENT_PORT}"
        servers = last(cluster.etcd.extra_args, "advertise-client-urls", own)
    files = {f"etcd-{key.lower()}": path for key, path in etcd_client_files(cluster).items()}
    return {"etcd-servers": servers, **files}


def etcd_client_files(cluster: Cluster) -> dict[str, str]:
    """Return where the masters have ``caFile``, ``certFile`` and ``keyFile`` of etcd, as kubeadm names them."""
    external = cluster.external_etcd
    ca = {"caFile": f"{_PKI}/etcd/ca.crt"}
    client = {"certFile": f"{_PKI}/apiserver-etcd-client.crt", "keyFile": f"{_PKI}/apiserver-etcd-client.key"}
    return {
        **(ca if external is None or external.ca else {}),
        **(client if external is None or external.certificate else {}),
    }


def controller_manager(cluster: Cluster, machine: Machine) -> dict[str, str]:
    """Return kube-controller-manager's default flags. It allocates pod CIDRs only if the file has a pod subnet."""
    flags = {
        "authentication-kubeconfig": _CONTROLLER_MANAGER_CONF,
        "authorization-kubeconfig": _CONTROLLER_MANAGER_CONF,
        "bind-address": "127.0.0.1",
        "client-ca-file": f"{_PKI}/ca.crt",
        "cluster-name": cluster.cluster_name,
        "cluster-signing-cert-file": "" if "ca" in cluster.pki.external else f"{_PKI}/ca.crt",
        "cluster-signing-key-file": "" if "ca" in cluster.pki.external else f"{_PKI}/ca.key",
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
    """Return the values joined by commas, as flags and component configurations take lists."""
    return ",".join(map(str, values))
