"""The input of the rules: the draft of a cluster, and the parts of it that several rules need."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from kgen.facts import apiserver_files, hardening, programs, versions
from kgen.facts.hardening import Check
from kgen.facts.programs import Programs
from kgen.facts.versions import Version
from kgen.model import Address, Network
from kgen.reader.objects import Draft
from kgen.reader.report import Report
from kgen.reader.tree import Mapping, Node, Sequence


@dataclass(frozen=True)
class Facts:
    """The draft of a cluster. A value that could not be read is None, and rules then report nothing."""

    root: Draft

    @cached_property
    def version(self) -> Version | None:
        """Return the Kubernetes version."""
        return self.root.get("kubernetesVersion")  # type: ignore[no-any-return]

    @cached_property
    def programs(self) -> Programs | None:
        """Return what the programs of the version take; None if the version could not be read."""
        return None if self.version is None else programs.of(self.version)

    def refuse(self, report: Report, place: Node, code: str, message: str, hint: str = "") -> None:
        """Report what the programs of the version do not take; only warn if kgen does not know the patch release."""
        if self.version is None or versions.is_known_patch(self.version):
            report.error(place, code, message, hint)
        else:
            report.warn(place, "K930", message, hint)

    def below(self, *path: str | int, holder: Draft | None = None) -> Node:
        """Return the place of the value at ``path`` of the cluster, or of a machine or pool.

        Where the file does not give it, it is the place of the nearest one above.
        """
        node = (holder or self.root).node
        for step in path:
            if isinstance(node, Mapping) and isinstance(step, str) and step in node.entries:
                node = node.entries[step][1]
            elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
                node = node.items[step]
            else:
                break
        return node

    @cached_property
    def machines(self) -> tuple[Draft, ...]:
        """Return the machines that could be read, in file order."""
        return tuple(self.root.drafts("machines"))

    @cached_property
    def pools(self) -> tuple[Draft, ...]:
        """Return the pools that could be read, in file order."""
        return tuple(self.root.drafts("pools"))

    @cached_property
    def documents(self) -> tuple[Draft, ...]:
        """Return machines and pools."""
        return self.machines + self.pools

    @cached_property
    def masters(self) -> tuple[Draft, ...]:
        """Return the machines whose role is master."""
        return tuple(machine for machine in self.machines if machine.get("role") == "master")

    @cached_property
    def has_external_etcd(self) -> bool:
        """Return whether etcd runs outside of the masters."""
        return self.root.section("etcd").is_given("external")

    @cached_property
    def networking(self) -> Draft:
        """Return ``networking``."""
        return self.root.section("networking")

    @cached_property
    def service_subnets(self) -> tuple[Network, ...]:
        """Return the Services' networks, the default one where the file gives none."""
        return self.networking.get("serviceSubnet") or ()

    @cached_property
    def pod_subnets(self) -> tuple[Network, ...]:
        """Return the pods' networks; empty if the file gives none."""
        return self.networking.get("podSubnet") or ()

    @cached_property
    def subnets(self) -> tuple[tuple[str, Network], ...]:
        """Return every network of Services and pods, with its key below ``networking``."""
        pairs = (("serviceSubnet", self.service_subnets), ("podSubnet", self.pod_subnets))
        return tuple((key, network) for key, networks in pairs for network in networks)

    @cached_property
    def uses_bridge(self) -> bool:
        """Return whether kgen connects the pods itself."""
        return bool(self.networking.get("plugin") == "bridge")

    @cached_property
    def addressed(self) -> tuple[tuple[Draft, Address], ...]:
        """Return each address of each machine."""
        return tuple((machine, address) for machine in self.machines for address in machine.get("address") or ())

    @cached_property
    def hardening(self) -> tuple[Check, ...]:
        """Return the checks of ``hardening: cis`` that hold, without exceptions; none without that key."""
        if not self.hardening_line:
            return ()
        section = self.root.section("apiServer")
        named = {argument.get("name") for argument in section.drafts("extraArgs")}
        brought = {row.key for row in apiserver_files.ROWS if section.is_given(row.key) or row.flag in named}
        return hardening.active(self.root.get("hardeningExceptions") or (), brought)

    @property
    def hardening_line(self) -> int:
        """Return the line of ``hardening: cis``, or 0 if there is none."""
        return self.root.key_at("hardening").line if self.root.get("hardening") == "cis" else 0

    @cached_property
    def has_unread_roles(self) -> bool:
        """Return whether the role of some machine could not be read, so that it may be a master."""
        entries = self.root.values.get("machines")
        if not isinstance(entries, tuple):
            return True
        return len(entries) > len(self.machines) or any(machine.get("role") is None for machine in self.machines)
