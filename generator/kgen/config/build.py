"""Draft → Cluster: defaults filled in, what machines inherit put on them. Only called for drafts without errors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from kgen import names
from kgen.config import image_fields
from kgen.config.model import (
    Addon,
    ApiServer,
    Argument,
    BootstrapToken,
    Cluster,
    Component,
    Endpoint,
    HttpProxy,
    Image,
    LocalEtcd,
    Machine,
    Networking,
    NodeRegistration,
    Pki,
    Taint,
    User,
    Volume,
)
from kgen.config.objects import Draft

_MASTER_TAINTS = (Taint(names.LABEL_CONTROL_PLANE, "NoSchedule", ""),)


def cluster(root: Draft) -> Cluster:
    """Return the cluster that ``root`` describes."""
    port = root.section("localAPIEndpoint").get("bindPort") or names.API_SERVER_PORT
    inherited = _Inherited(root, port)
    networking = root.section("networking")
    pod = networking.get("podSubnet")
    return Cluster(
        name=root.get("name"),
        kubernetes_version=root.get("kubernetesVersion"),
        machines=tuple(inherited.machine(entry, is_pool=False) for entry in root.drafts("machines")),
        pools=tuple(inherited.machine(entry, is_pool=True) for entry in root.drafts("pools")),
        networking=Networking(
            service_subnets=(networking.get("serviceSubnet"),),
            pod_subnets=(pod,) if pod is not None else (),
            dns_domain=networking.get("dnsDomain"),
            plugin=networking.get("plugin"),
        ),
        cluster_name=root.get("clusterName") or root.get("name"),
        control_plane_endpoint=_endpoint(root, port),
        api_server=_api_server(root.section("apiServer")),
        controller_manager=_controller_manager(root),
        scheduler=Component(**_component(root.section("scheduler"))),
        etcd=_etcd(root.section("etcd").section("local")),
        dns=_addon(root.section("dns")),
        proxy=_addon(root.section("proxy")),
        image_repository=root.get("imageRepository"),
        encryption_algorithm=root.get("encryptionAlgorithm"),
        certificate_validity=root.get("certificateValidityPeriod"),
        ca_certificate_validity=root.get("caCertificateValidityPeriod"),
        component_timeout=root.section("timeouts").get("controlPlaneComponentHealthCheck"),
        feature_gates=root.get("featureGates") or {},
        bootstrap_tokens=_tokens(root),
        kubelet=root.get("kubelet") or {},
        kube_proxy=root.get("kubeProxy") or {},
        http_proxy=_http_proxy(root.section("httpProxy")),
        pki=Pki(root.section("pki").get("shipCAKeys"), root.section("pki").get("keepSuperAdmin")),
        runner=root.section("image").get("runner"),
        image=_image(root.section("image")),
        provider=root.get("provider") or "",
        set_hostname=root.get("hostname"),
        ntp=root.get("ntp"),
        users=tuple(_user(fields) for fields, _ in root.items("users")),
    )


def _endpoint(root: Draft, port: int) -> Endpoint | None:
    given = root.get("controlPlaneEndpoint")
    return Endpoint(given[0], given[1] or port) if given else None


def _arguments(entries: Iterable[Draft]) -> tuple[Argument, ...]:
    return tuple(Argument(entry.get("name"), entry.get("value")) for entry in entries)


def _component(section: Draft) -> dict[str, Any]:
    volumes = (
        Volume(*(entry.get(key) for key in ("name", "hostPath", "mountPath", "readOnly", "pathType")))
        for entry in section.drafts("extraVolumes")
    )
    return {
        "extra_args": _arguments(section.drafts("extraArgs")),
        "extra_volumes": tuple(volumes),
        "extra_envs": section.get("extraEnvs"),
    }


def _api_server(section: Draft) -> ApiServer:
    return ApiServer(**_component(section), cert_sans=section.get("certSANs"))


def _controller_manager(root: Draft) -> Component:
    """Return ``controllerManager``; who assigns the pods' ranges itself says so as with kubeadm, by an argument."""
    component = Component(**_component(root.section("controllerManager")))
    if root.section("networking").get("plugin") != "bridge" or any(
        argument.name == names.ALLOCATE_NODE_CIDRS for argument in component.extra_args
    ):
        return component
    return replace(component, extra_args=(*component.extra_args, Argument(names.ALLOCATE_NODE_CIDRS, "false")))


def _etcd(local: Draft) -> LocalEtcd:
    return LocalEtcd(
        data_dir=local.get("dataDir"),
        image_repository=local.get("imageRepository") or "",
        image_tag=local.get("imageTag") or "",
        extra_args=_arguments(local.drafts("extraArgs")),
        extra_envs=local.get("extraEnvs"),
        server_cert_sans=local.get("serverCertSANs"),
        peer_cert_sans=local.get("peerCertSANs"),
    )


def _image(section: Draft) -> Image:
    keys = ("package", "url", "file", "sha256")
    sources = {name: section.section(name) for name in image_fields.PROGRAMS}
    programs = {
        name: {key: source.get(key) for key in keys if source.get(key) is not None} for name, source in sources.items()
    }
    return Image(
        {name: source for name, source in programs.items() if source},
        section.get("packages") or {},
        section.get("containerImages"),
    )


def _addon(section: Draft) -> Addon:
    return Addon(section.get("disabled"), section.get("imageRepository") or "", section.get("imageTag") or "")


def _tokens(root: Draft) -> tuple[BootstrapToken, ...]:
    tokens = tuple(
        BootstrapToken(entry.get("ttl"), entry.get("description"), entry.get("usages"), entry.get("groups"))
        for entry in root.drafts("bootstrapTokens")
    )
    return tokens or (BootstrapToken(),)


def _http_proxy(section: Draft) -> HttpProxy:
    return HttpProxy(section.get("httpProxy"), section.get("httpsProxy"), section.get("noProxy"))


def _user(fields: dict[str, Any]) -> User:
    rest = {key: value for key, value in fields.items() if key != "plain_text_passwd"}
    return User(rest, fields.get("plain_text_passwd", ""))


def _taints(entries: Iterable[Draft]) -> tuple[Taint, ...]:
    return tuple(Taint(entry.get("key"), entry.get("effect"), entry.get("value")) for entry in entries)


class _Inherited:
    """What machines take over from the cluster; shared by all that say nothing of their own."""

    def __init__(self, root: Draft, port: int) -> None:
        section = root.section("nodeRegistration")
        self.port = port
        self.registration = _merge(NodeRegistration(), section)
        self.taints = _taints(section.drafts("taints")) if section.is_given("taints") else None

    def machine(self, entry: Draft, *, is_pool: bool) -> Machine:
        registration, port = self.registration, self.port
        if entry.is_given("nodeRegistration"):
            registration = _merge(self.registration, entry.section("nodeRegistration"))
        if entry.is_given("localAPIEndpoint"):
            port = entry.section("localAPIEndpoint").get("bindPort") or port
        return Machine(
            name=entry.get("name"),
            role=entry.get("role"),
            addresses=entry.values.get("address", ()),
            is_pool=is_pool,
            labels=entry.values.get("labels", {}),
            taints=self._taints_of(entry),
            registration=registration,
            bind_port=port,
            pod_cidr=entry.values.get("podCIDR"),
        )

    def _taints_of(self, entry: Draft) -> tuple[Taint, ...]:
        if entry.is_given("taints"):
            return _taints(entry.drafts("taints"))
        if entry.is_given("nodeRegistration") and entry.section("nodeRegistration").is_given("taints"):
            return _taints(entry.section("nodeRegistration").drafts("taints"))
        if self.taints is not None:
            return self.taints
        return _MASTER_TAINTS if entry.get("role") == "master" else ()


def _merge(base: NodeRegistration, section: Draft) -> NodeRegistration:
    given = _arguments(section.drafts("kubeletExtraArgs"))
    replaced = {argument.name for argument in given}
    ignored = section.get("ignorePreflightErrors")
    return NodeRegistration(
        cri_socket=section.get("criSocket") or base.cri_socket,
        kubelet_extra_args=(*(old for old in base.kubelet_extra_args if old.name not in replaced), *given),
        ignore_preflight_errors=base.ignore_preflight_errors if ignored is None else ignored,
        image_pull_policy=section.get("imagePullPolicy") or base.image_pull_policy,
    )
