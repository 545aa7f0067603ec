"""Scripts for iPXE (https://ipxe.org/scripting). A text in them is a name, a URL, or the user's own command line."""

from __future__ import annotations

from kgen.delivering.boot_files import INITRD, KERNEL

_CARDS = 4
_HEAD = "#!ipxe\n"


def identify(base: str) -> str:
    """Return the script that asks again, with the numbers that only the machine knows."""
    macs = "&".join(f"mac=${{net{number}/mac}}" for number in range(_CARDS))
    query = f"{macs}&serial=${{serial:uristring}}&uuid=${{uuid}}"
    return f"{_HEAD}chain --replace {base}/boot.ipxe?{query}\n"


def seed_argument(instance_id: str, url: str) -> str:
    """Return the argument of the kernel's command line by which cloud-init finds its seed.

    The instance-id lets cloud-init recognise the machine at later boots without a request: the token is then used up.
    Without dsmode cloud-init 22.4 takes the seed in its network stage, and then waits for the local stage to use it.
    """
    return f"ds=nocloud;dsmode=net;i={instance_id};s={url}"


def start(cluster: str, name: str, base: str, seed: str, append: str) -> str:
    """Return the script that starts a machine; ``seed`` is its ``seed_argument``."""
    words = [f"initrd={INITRD}", append.replace("{boot}", f"{base}/boot"), seed]
    lines = (
        f"echo kgen: starting {name} of the cluster {cluster}",
        f"kernel {base}/boot/{KERNEL} {' '.join(word for word in words if word)}",
        f"initrd {base}/boot/{INITRD}",
        "boot",
    )
    return _HEAD + "\n".join(lines) + "\n"


def unknown(cluster: str) -> str:
    """Return the script for a machine that is not in the cluster file."""
    return _told(
        f"no machine of the cluster {cluster} has one of these numbers:",
        "  mac: ${mac}   serial: ${serial}   uuid: ${uuid}",
        "add one of them to the entry of this machine in the cluster file, for example mac: ${mac}",
        "then run kgen render, and start kgen serve again.",
    )


def wrong_address(name: str, wanted: str) -> str:
    """Return the script for a machine at another address than its own."""
    return _told(
        f"this machine is {name}, whose address is {wanted}, but it asks from ${{ip}}.",
        f"Let the DHCP server give it {wanted}, or start kgen serve with --any-address.",
    )


def taken(name: str) -> str:
    """Return the script for a machine whose user-data was taken."""
    return _told(
        f"the user-data of {name} was taken already. If this machine did not take it, read the log of kgen serve.",
        f"To give it once more, start kgen serve again with --only {name}.",
    )


def no_boot_files() -> str:
    """Return the script of a server without boot files."""
    return _told("kgen serve has no kernel to give: start it with --boot-files DIR.")


def _told(*lines: str) -> str:
    """Return a script that says something and goes on with the next boot device."""
    said = "\n".join(f"echo kgen: {line}" for line in lines)
    return f"{_HEAD}echo\n{said}\necho kgen: going on with the next boot device in 30 seconds\nsleep 30\nexit 1\n"
