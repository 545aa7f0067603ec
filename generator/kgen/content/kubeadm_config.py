"""The ClusterConfiguration that kubeadm's own commands read from ``kube-system/kubeadm-config``.

Shape and defaults: kubeadm v1beta4, https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kgen.config.durations import go_duration
from kgen.content import environment, flags
from kgen.facts import names, versions
from kgen.model import Addon, Argument, Cluster, Component, ExternalEtcd, Volume


def cluster_configuration(cluster: Cluster) -> dict[str, Any]:
    """Return the ClusterConfiguration with kubeadm's defaults and without empty fields."""
    networking = {
        "dnsDomain": cluster.networking.dns_domain,
        "podSubnet": flags.comma_list(cluster.networking.pod_subnets),
        "serviceSubnet": flags.comma_list(cluster.networking.service_subnets),
    }
    api_server = _component(cluster.api_server) | _given(certSANs=list(cluster.api_server.cert_sans))
    configuration = {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "ClusterConfiguration",
        "apiServer": api_server,
        "caCertificateValidityPeriod": go_duration(cluster.ca_certificate_validity),
        "certificateValidityPeriod": go_duration(cluster.certificate_validity),
        "certificatesDir": str(names.PKI_DIR),
        "clusterName": cluster.cluster_name,
        "controllerManager": _component(cluster.controller_manager),
        "dns": _addon(cluster.dns),
        "encryptionAlgorithm": cluster.encryption_algorithm,
        "etcd": {"external": _external_etcd(cluster, cluster.external_etcd)}
        if cluster.external_etcd
        else {"local": _local_etcd(cluster)},
        "imageRepository": cluster.image_repository,
        "kubernetesVersion": str(cluster.kubernetes_version),
        "networking": _given(**networking),
        "proxy": _addon(cluster.proxy),
        "scheduler": _component(cluster.scheduler),
    }
    endpoint = "" if cluster.control_plane_endpoint is None else str(cluster.control_plane_endpoint)
    return configuration | _given(controlPlaneEndpoint=endpoint, featureGates=dict(cluster.feature_gates))


def _component(component: Component) -> dict[str, Any]:
    return _given(
        extraArgs=_arguments(component.extra_args),
        extraVolumes=[_volume(volume) for volume in component.extra_volumes],
        extraEnvs=_variables(component.extra_envs),
    )


def _local_etcd(cluster: Cluster) -> dict[str, Any]:
    etcd = cluster.etcd
    return _given(
        dataDir=str(etcd.data_dir),
        imageRepository=etcd.image_repository,
        imageTag=etcd.image_tag,
        extraArgs=_arguments(etcd.extra_args),
        extraEnvs=_variables(etcd.extra_envs),
        serverCertSANs=list(etcd.server_cert_sans),
        peerCertSANs=list(etcd.peer_cert_sans),
    )


def _external_etcd(cluster: Cluster, etcd: ExternalEtcd) -> dict[str, Any]:
    has_both = versions.has_http_endpoints(cluster.kubernetes_version)
    http = {"httpEndpoints": list(etcd.http_endpoints or etcd.endpoints)} if has_both else {}
    files = dict.fromkeys(("caFile", "certFile", "keyFile"), "") | flags.etcd_client_files(cluster)
    return {"endpoints": list(etcd.endpoints), **http, **files}


def _addon(addon: Addon) -> dict[str, Any]:
    return _given(disabled=addon.disabled, imageRepository=addon.image_repository, imageTag=addon.image_tag)


def _arguments(arguments: Sequence[Argument]) -> list[dict[str, str]]:
    return [{"name": argument.name, "value": argument.value} for argument in arguments]


def _variables(variables: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [environment.defaulted(variable) for variable in variables]


def _volume(volume: Volume) -> dict[str, Any]:
    optional = _given(readOnly=volume.read_only, pathType=volume.path_type)
    return {"name": volume.name, "hostPath": volume.host_path, "mountPath": volume.mount_path, **optional}


def _given(**fields: Any) -> dict[str, Any]:
    """Return the fields that are not empty."""
    return {name: value for name, value in fields.items() if value}
