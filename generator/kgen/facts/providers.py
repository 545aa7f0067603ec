"""The table of providers: the size limit of user-data, what it counts, and whether gzip gets through.

The names are the values of ``provider:`` in the cluster file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Provider:
    """A cloud, or another source of user-data for machines.

    ``limit_bytes`` is the largest document, None where there is no limit. ``counts`` says what is counted: the
    document as it is (``raw``), or its base64 (``base64``). ``gzip`` is false where a compressed document does
    not reach cloud-init intact. ``source`` is where the limit is documented.
    """

    name: str
    title: str
    limit_bytes: int | None
    counts: Literal["raw", "base64"]
    gzip: bool
    source: str
    datasource: str
    """The name of cloud-init's datasource for this provider."""
    readers: str
    """Who can read user-data there, apart from pods."""
    pods: str = ""
    """What to add if pods can read it without ``metadataFence``."""

    def count(self, size_bytes: int) -> int:
        """Return the bytes of a document of ``size_bytes`` as this provider counts them."""
        return (size_bytes + 2) // 3 * 4 if self.counts == "base64" else size_bytes


_ROWS = (
    Provider(
        "ec2",
        "Amazon EC2",
        16_384,
        "raw",
        True,
        "EC2 user guide, instance user data",
        "Ec2",
        "whoever has ec2:DescribeInstanceAttribute or reads the launch template, and "
        "every program on the machine that reaches 169.254.169.254",
        ", which pods do unless the hop limit is 1",
    ),
    Provider(
        "azure",
        "Microsoft Azure",
        65_535,
        "raw",
        True,
        "Azure Compute reference, OSProfile.customData",
        "Azure",
        "root on the machine, in /var/lib/waagent and cloud-init's files; Azure does not give it back",
    ),
    Provider(
        "openstack",
        "OpenStack Nova",
        65_535,
        "base64",
        True,
        "Nova user guide, user data",
        "OpenStack",
        "whoever shows the server with its project's credentials; "
        "root, who can read a config drive; every program on the machine that reaches 169.254.169.254",
        ", pods too",
    ),
    Provider(
        "gce",
        "Google Compute Engine",
        262_144,
        "base64",
        True,
        "Compute Engine API reference, instances, metadata.items[].value",
        "GCE",
        "whoever has compute.instances.get in the project, and "
        "every program on the machine that reaches metadata.google.internal",
        ", pods too",
    ),
    Provider(
        "digitalocean",
        "DigitalOcean",
        65_536,
        "raw",
        False,
        "DigitalOcean API reference, Droplet user_data",
        "DigitalOcean",
        "every program on the machine that reaches 169.254.169.254",
        ", pods too",
    ),
    Provider(
        "hetzner",
        "Hetzner Cloud",
        32_768,
        "base64",
        True,
        "Hetzner Cloud API reference, server user_data",
        "Hetzner",
        "every program on the machine that reaches 169.254.169.254",
        ", pods too",
    ),
    Provider(
        "akamai",
        "Akamai (Linode)",
        16_384,
        "raw",
        True,
        "Linode API: decoded user_data must not exceed 16384 bytes (cluster-api-provider-linode, pull request 94)",
        "Akamai",
        "every program on the machine that gets a token from 169.254.169.254",
        ", pods too",
    ),
    Provider(
        "cloudstack",
        "Apache CloudStack",
        32_768,
        "base64",
        True,
        "CloudStack, default of vm.userdata.max.length, which counts base64 (pull request 8418)",
        "CloudStack",
        "whoever has getVirtualMachineUserData, and every program on the machine that reaches the virtual router",
        ", pods too",
    ),
    Provider(
        "oracle",
        "Oracle Cloud Infrastructure",
        31_000,  # of 32,000 for all metadata: the rest is for the keys' names and for ssh_authorized_keys
        "base64",
        True,
        "OCI API reference, LaunchInstanceDetails.metadata",
        "Oracle",
        "whoever may read the instance's metadata by the API, and "
        "every program on the machine that reaches 169.254.169.254",
        ", pods too",
    ),
    Provider(
        "vsphere",
        "VMware vSphere guestinfo",
        65_536,
        "base64",
        True,
        "open-vm-tools, guest_msg_def.h, GUESTMSG_MAX_IN_SIZE; vm-operator issue 148",
        "VMware",
        "whoever may read the virtual machine's extra configuration in vCenter, and "
        "every program on the machine that runs vmware-rpctool",
    ),
    Provider(
        "nocloud",
        "NoCloud seed",
        None,
        "raw",
        True,
        "cloud-init documentation, NoCloud datasource",
        "NoCloud",
        "whoever administers the hypervisor or gets the seed's disk, and root on the machine",
    ),
)

PROVIDERS: dict[str, Provider] = {row.name: row for row in _ROWS}
"""Every provider by name, in the order of the documentation."""


def too_small_for(gzip_bytes: int) -> tuple[str, ...]:
    """Return the providers that accept gzip, but not a compressed document of this size."""
    rows = (row for row in _ROWS if row.gzip and row.limit_bytes is not None)
    return tuple(row.name for row in rows if row.count(gzip_bytes) > (row.limit_bytes or 0))


def may_have_role(provider: str) -> bool:
    """Return whether machines may have a role at AWS: on EC2, and where the cluster file names no provider."""
    return provider in ("", "ec2")
