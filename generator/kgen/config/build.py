"""The cluster that a valid draft describes.

``Draft.make`` copies most values, as ``config/fields.py`` says. This module has the rest: defaults that depend on
other keys, and everything that machines and pools inherit from the cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kgen.config import image_fields, kubelet_serving
from kgen.config.machine_files import MachineFiles
from kgen.facts import names
from kgen.model import (
    Addon,
    Argument,
    Cluster,
    Endpoint,
    ExternalEtcd,
    Image,
    Machine,
    NodeRegistration,
    Patch,
    Taint,
    User,
)
from kgen.reader.objects import Draft

_MASTER_TAINTS = (Taint(names.LABEL_CONTROL_PLANE, "NoSchedule", ""),)


def cluster(
    root: Draft,
    files: MachineFiles,
    patches: Mapping[int, tuple[Patch, ...]],
    external_etcd: ExternalEtcd | None = None,
) -> Cluster:
    """Return the cluster that ``root``, a draft without errors, describes, with the user's ``files``.

    ``patches`` are those of the cluster and of machines, by the identity of their drafts.
    """
    port = root.section("localAPIEndpoint").get("bindPort") or names.API_SERVER_PORT
    inherited = _Inherited(root, port, files, patches)
    image = root.section("image")
    made: Cluster = root.make(
        machines=tuple(inherited.machine(entry, is_pool=False) for entry in root.drafts("machines")),
        pools=tuple(inherited.machine(entry, is_pool=True) for entry in root.drafts("pools")),
        cluster_name=root.get("clusterName") or root.get("name"),
        control_plane_endpoint=_endpoint(root, port),
        dns=_addon(root, "dns", "addon/coredns"),
        proxy=_addon(root, "proxy", "addon/kube-proxy"),
        external_etcd=external_etcd,
        runner=image.get("runner"),
        user_data_secrets=root.section("userData").get("secrets"),
        image=_image(image, files),
        patches=patches.get(id(root), ()),
        users=tuple(_user(fields) for fields, _ in root.items("users")),
    )
    if made.networking.plugin == "bridge":
        made = _with_pod_ranges_of_kgen(made)
    return kubelet_serving.with_certificates(made) if made.pki.kubelet_serving_certificates else made


def _endpoint(root: Draft, port: int) -> Endpoint | None:
    given = root.get("controlPlaneEndpoint")
    return Endpoint(given[0], given[1] or port) if given else None


def _addon(root: Draft, key: str, phase: str) -> Addon:
    """Return an add-on; kubeadm, too, records one whose phase is skipped as disabled."""
    made: Addon = root.section(key).make()
    return replace(made, disabled=made.disabled or not {"addon", phase}.isdisjoint(root.get("skipPhases")))


def _with_pod_ranges_of_kgen(made: Cluster) -> Cluster:
    """Return the cluster with a controller manager that assigns no pod ranges, unless an argument says otherwise."""
    manager = made.controller_manager
    if any(argument.name == names.ALLOCATE_NODE_CIDRS for argument in manager.extra_args):
        return made
    arguments = (*manager.extra_args, Argument(names.ALLOCATE_NODE_CIDRS, "false"))
    return replace(made, controller_manager=replace(manager, extra_args=arguments))


def _image(section: Draft, files: MachineFiles) -> Image:
    sources = {name: section.section(name).arguments() for name in image_fields.PROGRAMS}
    return Image(
        {name: source for name, source in sources.items() if source},
        section.get("packages") or {},
        section.get("containerImages"),
        section.get("extraPackages"),
        files.units,
    )


def _user(fields: dict[str, Any]) -> User:
    rest = {key: value for key, value in fields.items() if key != "plain_text_passwd"}
    return User(rest, fields.get("plain_text_passwd", ""))


class _Inherited:
    """Values that machines and pools inherit: the registration, its taints, the API server's port, the user's files."""

    def __init__(self, root: Draft, port: int, files: MachineFiles, patches: Mapping[int, tuple[Patch, ...]]) -> None:
        self.port = port
        self.files = files
        self.patches = patches
        self.sysctls: Mapping[str, str] = root.get("sysctls") or {}
        self.cloud_init: Mapping[str, Any] = root.get("cloudInit") or {}
        self.modules: tuple[str, ...] = root.get("kernelModules") or ()
        self.section = root.section("nodeRegistration")
        self.registration = _merge(NodeRegistration(), self.section)
        self.of_addressed = _without_node_ip(self.registration)

    def machine(self, entry: Draft, *, is_pool: bool) -> Machine:
        registration = self.of_addressed if entry.get("address") else self.registration
        port = self.port
        if entry.is_given("nodeRegistration"):
            registration = _merge(registration, entry.section("nodeRegistration"))
        if entry.is_given("localAPIEndpoint"):
            port = entry.section("localAPIEndpoint").get("bindPort") or port
        made: Machine = entry.make(
            is_pool=is_pool,
            taints=self._taints(entry),
            registration=registration,
            bind_port=port,
            files=self.files.of(entry),
            bootstrap_token=entry.section("bootstrapToken").make() if entry.is_given("bootstrapToken") else None,
            patches=self.patches.get(id(entry)),
            sysctls={**self.sysctls, **entry.get("sysctls")} if entry.is_given("sysctls") else self.sysctls,
            cloud_init={**self.cloud_init, **entry.get("cloudInit")}
            if entry.is_given("cloudInit")
            else self.cloud_init,
            kernel_modules=tuple(dict.fromkeys((*self.modules, *(entry.get("kernelModules") or ())))),
        )
        return made

    def _taints(self, entry: Draft) -> tuple[Taint, ...]:
        """Return the taints of the entry, else of its registration, else of the cluster's, else kubeadm's."""
        own = [entry.section("nodeRegistration")] if entry.is_given("nodeRegistration") else []
        for section in (entry, *own, self.section):
            if section.is_given("taints"):
                return tuple(taint.make() for taint in section.drafts("taints"))
        return _MASTER_TAINTS if entry.get("role") == "master" else ()


def _without_node_ip(registration: NodeRegistration) -> NodeRegistration:
    """Return the registration of machines with an address, which is more precise than a node-ip of the cluster."""
    kept = tuple(argument for argument in registration.kubelet_extra_args if argument.name != "node-ip")
    return replace(registration, kubelet_extra_args=kept) if kept != registration.kubelet_extra_args else registration


def _merge(base: NodeRegistration, section: Draft) -> NodeRegistration:
    """Return ``base`` with the keys of ``section``; its kubelet arguments replace those of the same name."""
    given = section.arguments()
    replaced = {argument.name for argument in given["kubelet_extra_args"]}
    kept = (argument for argument in base.kubelet_extra_args if argument.name not in replaced)
    return replace(base, **given | {"kubelet_extra_args": (*kept, *given["kubelet_extra_args"])})
