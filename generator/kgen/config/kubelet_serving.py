"""``pki.kubeletServingCertificates``: what the kubelets and the API servers of such a cluster are told."""

from __future__ import annotations

from dataclasses import replace

from kgen.facts import names
from kgen.model import Argument, Cluster, Machine

_FILES = {"tlsCertFile": f"{names.KUBELET_SERVING}.crt", "tlsPrivateKeyFile": f"{names.KUBELET_SERVING}.key"}
VERIFY = Argument("kubelet-certificate-authority", f"{names.PKI_DIR}/ca.crt")


def with_certificates(cluster: Cluster) -> Cluster:
    """Return the cluster with kubelets that use their certificates, and API servers that verify them.

    The fields are those of each listed machine, not the cluster's: a kubelet that joins by ``kubeadm join`` has no such
    files and would not start. kubeadm keeps both, the fields and the argument, at its upgrades.
    """
    asks = bool(cluster.kubelet.get("serverTLSBootstrap"))
    api_server = cluster.api_server
    if not any(argument.name == VERIFY.name for argument in api_server.extra_args):
        api_server = replace(api_server, extra_args=(*api_server.extra_args, VERIFY))
    return replace(
        cluster,
        api_server=api_server,
        machines=tuple(_with_files(machine, asks=asks) for machine in cluster.machines),
    )


def _with_files(machine: Machine, *, asks: bool) -> Machine:
    """Return the machine with the fields. It asks for no other certificate, also if the cluster's kubelets do."""
    own = {"serverTLSBootstrap": False} if asks else {}
    return replace(machine, kubelet={**machine.kubelet, **own, **_FILES})
