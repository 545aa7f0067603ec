"""What the rules look at: the draft of a cluster, with the parts that several rules need taken out once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from kgen.config.model import Address, Network
from kgen.config.objects import Draft
from kgen.versions import Version


@dataclass(frozen=True)
class Facts:
    """The draft of a cluster. Values are None where the file's could not be read; rules then stay silent."""

    root: Draft

    @cached_property
    def version(self) -> Version | None:
        """Return the Kubernetes version."""
        return self.root.get("kubernetesVersion")  # type: ignore[no-any-return]

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
    def networking(self) -> Draft:
        """Return ``networking``."""
        return self.root.section("networking")

    @cached_property
    def service_subnet(self) -> Network | None:
        """Return the Services' network, the default one where the file gives none."""
        return self.networking.get("serviceSubnet")  # type: ignore[no-any-return]

    @cached_property
    def pod_subnet(self) -> Network | None:
        """Return the pods' network; None too where the file gives none."""
        return self.networking.get("podSubnet")  # type: ignore[no-any-return]

    @cached_property
    def uses_bridge(self) -> bool:
        """Return whether kgen connects the pods itself."""
        return bool(self.networking.get("plugin") == "bridge")

    @cached_property
    def addressed(self) -> tuple[tuple[Draft, Address], ...]:
        """Return each machine that has an address, with it."""
        found = ((machine, machine.get("address")) for machine in self.machines)
        return tuple((machine, addresses[0]) for machine, addresses in found if addresses)

    @cached_property
    def has_unread_roles(self) -> bool:
        """Return whether some machine may be a master and it is not known."""
        entries = self.root.values.get("machines")
        if not isinstance(entries, tuple):
            return True
        return len(entries) > len(self.machines) or any(machine.get("role") is None for machine in self.machines)
