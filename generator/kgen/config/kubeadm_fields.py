"""The table of kubeadm's configuration: each field of v1beta4, its default, and its place in the cluster file.

Source: https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/, and the defaults that
``kubeadm config print init-defaults`` and ``join-defaults`` v1.37.2 print. The cluster file has a field at the same
path, or refuses it with a reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_FIRST_MINOR = 31
"""The minor version that brought v1beta4."""


@dataclass(frozen=True, slots=True)
class KubeadmField:
    """A field of one of kubeadm's kinds. The cluster file has the same path, at its top level."""

    kind: str
    path: str
    default: str = ""
    minor: int = _FIRST_MINOR

    @property
    def since(self) -> str:
        """Return the first version of kubeadm with this field in v1beta4."""
        return f"v1.{self.minor}"


_TOKEN_GROUP = "system:bootstrappers:kubeadm:default-node-token"  # noqa: S105 a group, not a secret
_COMPONENT = (
    "extraArgs[].name",
    "extraArgs[].value",
    "extraVolumes[].name",
    "extraVolumes[].hostPath",
    "extraVolumes[].mountPath",
    "extraVolumes[].readOnly",
    "extraVolumes[].pathType",
    "extraEnvs[].name",
    "extraEnvs[].value",
    "extraEnvs[].valueFrom",
)
_IN_COMPONENTS = {"extraVolumes[].readOnly": "false"}
_CLUSTER = {
    "apiServer.certSANs[]": "",
    **{
        f"{component}.{path}": _IN_COMPONENTS.get(path, "")
        for component in ("apiServer", "controllerManager", "scheduler")
        for path in _COMPONENT
    },
    "caCertificateValidityPeriod": "87600h",
    "certificateValidityPeriod": "8760h",
    "certificatesDir": "/etc/kubernetes/pki",
    "clusterName": "kubernetes",
    "controlPlaneEndpoint": "",
    "dns.disabled": "false",
    "dns.imageRepository": "",
    "dns.imageTag": "",
    "encryptionAlgorithm": "RSA-2048",
    "etcd.local.dataDir": "/var/lib/etcd",
    "etcd.local.extraArgs[].name": "",
    "etcd.local.extraArgs[].value": "",
    "etcd.local.extraEnvs[].name": "",
    "etcd.local.extraEnvs[].value": "",
    "etcd.local.extraEnvs[].valueFrom": "",
    "etcd.local.imageRepository": "",
    "etcd.local.imageTag": "",
    "etcd.local.peerCertSANs[]": "",
    "etcd.local.serverCertSANs[]": "",
    "etcd.external.caFile": "",
    "etcd.external.certFile": "",
    "etcd.external.endpoints[]": "",
    "etcd.external.httpEndpoints[]": "",
    "etcd.external.keyFile": "",
    "featureGates": "",
    "imageRepository": "registry.k8s.io",
    "kubernetesVersion": "the newest release",
    "networking.dnsDomain": "cluster.local",
    "networking.podSubnet": "",
    "networking.serviceSubnet": "10.96.0.0/12",
    "proxy.disabled": "false",
}
_LATER = {"etcd.external.httpEndpoints[]": 35}
"""Fields that a later version added to v1beta4, by minor version."""

_REGISTRATION = {
    "nodeRegistration.name": "the hostname",
    "nodeRegistration.criSocket": "the socket on the machine",
    "nodeRegistration.ignorePreflightErrors[]": "",
    "nodeRegistration.imagePullPolicy": "IfNotPresent",
    "nodeRegistration.imagePullSerial": "true",
    "nodeRegistration.kubeletExtraArgs[].name": "",
    "nodeRegistration.kubeletExtraArgs[].value": "",
    "nodeRegistration.taints[].key": "",
    "nodeRegistration.taints[].value": "",
    "nodeRegistration.taints[].effect": "",
}
_COMMON = {
    "dryRun": "false",
    **_REGISTRATION,
    "patches.directory": "",
    "skipPhases[]": "",
    "timeouts.controlPlaneComponentHealthCheck": "4m",
    "timeouts.discovery": "5m",
    "timeouts.etcdAPICall": "2m",
    "timeouts.kubeletHealthCheck": "4m",
    "timeouts.kubernetesAPICall": "1m",
    "timeouts.tlsBootstrap": "5m",
    "timeouts.upgradeManifests": "5m",
}
_INIT = {
    "bootstrapTokens[].description": "",
    "bootstrapTokens[].expires": "",
    "bootstrapTokens[].groups[]": _TOKEN_GROUP,
    "bootstrapTokens[].token": "a random one",
    "bootstrapTokens[].ttl": "24h",
    "bootstrapTokens[].usages[]": "signing, authentication",
    "certificateKey": "",
    "localAPIEndpoint.advertiseAddress": "the address of the default route's interface",
    "localAPIEndpoint.bindPort": "6443",
    **_COMMON,
}
_JOIN = {
    "caCertPath": "/etc/kubernetes/pki/ca.crt",
    "controlPlane.certificateKey": "",
    "controlPlane.localAPIEndpoint.advertiseAddress": "the address of the default route's interface",
    "controlPlane.localAPIEndpoint.bindPort": "6443",
    "discovery.bootstrapToken.apiServerEndpoint": "",
    "discovery.bootstrapToken.caCertHashes[]": "",
    "discovery.bootstrapToken.token": "",
    "discovery.bootstrapToken.unsafeSkipCAVerification": "false",
    "discovery.file.kubeConfigPath": "",
    "discovery.tlsBootstrapToken": "",
    **_COMMON,
}


def _rows() -> Iterator[KubeadmField]:
    for kind, paths in (("ClusterConfiguration", _CLUSTER), ("InitConfiguration", _INIT), ("JoinConfiguration", _JOIN)):
        for path, default in sorted(paths.items()):
            yield KubeadmField(kind, path, default, _LATER.get(path, _FIRST_MINOR))


FIELDS = tuple(_rows())
"""Every field, by kind and path."""


def at(path: str) -> tuple[KubeadmField, ...]:
    """Return kubeadm's fields at a path of the cluster file, with or without ``[]``."""
    wanted = path.replace("[]", "")
    return tuple(row for row in FIELDS if row.path.replace("[]", "") == wanted)
