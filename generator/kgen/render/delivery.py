"""What cloud-init does for the first boot beside writing files: the commands of ``bootcmd`` and ``runcmd``.

``bootcmd`` runs at each boot in cloud-init's network stage, before files are written; ``runcmd``'s script runs once an
instance, in its last stage: https://docs.cloud-init.io/en/latest/reference/modules.html.
"""

from __future__ import annotations

from functools import cache

from kgen import names, resources
from kgen.config.model import Role

# cloud-init syncs no file, and takes a module for done before it runs it. So until the runner is done, every boot
# delivers again (by removing these per-instance semaphores), and makes files of the network anew that a power cut has
# left empty: cloud-init reads them, fails, and would never write them again (seen with 26.2).
_MODULES = ("set_hostname", "users_groups", "write_files", "ntp", "runcmd", "scripts_user")
_NETWORK = "instance/network-config.json /etc/[nN]* /etc/systemd/network"
_NAMES = "*[dk]-[ci]*"  # of cloud-init, as 50-cloud-init.yaml is, and network-config
_AGAIN = (
    f"cd /var/lib/cloud && rm -f {' '.join(f'instance/sem/config_{module}' for module in _MODULES)}\n"
    f"find {_NETWORK} -type f -empty -name '{_NAMES}' -print -delete 2>/dev/null|grep -q . && "
    "rm -f data/instance-id && cloud-init init\n"
)
_COMMAND = f"ln -sf {names.RUNNER_PATH} {names.COMMAND_PATH}\n"
_IMAGES_UNIT = "bake/tree/usr/lib/systemd/system/kgen-{}.service"
# The units' own text lies on the disk before the links that make it count: a boot after a power cut finds no empty
# unit, which systemd takes for masked. An image of kgen's has both already.
_MAKE_UNITS = """\
mkdir -p /etc/systemd/system/multi-user.target.wants
cd /etc/systemd/system/multi-user.target.wants
test -e kgen-firstboot.service && sync || {{
cat >../kgen-firstboot.service <<E
{firstboot}E
cat >../kgen-later.service <<E
{later}E
cat >../kgen-head-start.service <<E
{head_start}E
sync
ln -sf ../kgen-later.service ../kgen-firstboot.service .
}}
"""
# One starts the first boot when cloud-init's network stage is over, one cleans up after the last. Where somebody else's
# document installs what the first boot needs, it is there by cloud-init's last stage, and runcmd is soon enough, as it
# is where neither can be started: nothing has failed yet.
_START = "type containerd kubelet && u=kgen-head-start\nsystemctl start --no-block kgen-later $u\n:\n"
_SHELL = "#!/bin/sh\n"
_NO_RUNNER = "kgen: no first-boot program: start this machine from an image made by kgen bake"


@cache
def bootcmd() -> str:
    """Return what a document that brings the runner does at each boot until the runner is done.

    It delivers again what a power cut has taken, makes the units and starts the one that starts the first boot as soon
    as cloud-init has written the rest of the document.
    """
    units = _MAKE_UNITS.format(firstboot=_unit("firstboot"), later=_unit("later"), head_start=_unit("head-start"))
    return _until_done(f"{_AGAIN}{_COMMAND}{units}{_START}")


def runcmd() -> str:
    """Return what waits for the runner, tells how it failed, and returns its code.

    What has failed already is not run again before somebody has repaired the machine.
    """
    unit = "kgen-firstboot"
    return (
        f"systemctl is-failed -q {unit} || systemctl start {unit} && test -e {names.DONE_PATH} || "
        f"exec {names.RUNNER_PATH} --status"
    )


def baked_bootcmd(role: Role) -> str:
    """Return the ``bootcmd`` of documents whose runner is in the image: a call of ``image_delivery``."""
    return f"{names.BAKED_DELIVERY} {role}"


def baked_runcmd() -> str:
    """Return their ``runcmd``: a call of ``image_launch``; where the image lacks it, that is said."""
    path = names.BAKED_LAUNCH
    return f"test -e {path} || {{ echo '{_NO_RUNNER}' | tee /dev/console; exit 2; }}; {path}"


def image_delivery() -> str:
    """Return the script of an image that links its role's program, and delivers again what a power cut has taken."""
    link = f"ln -sf firstboot-$1.py {names.RUNNER_PATH}\n"
    return _SHELL + _until_done(f"{link}{_COMMAND}{_AGAIN}sync\n")


def image_launch() -> str:
    """Return the script of an image that does what ``runcmd`` says."""
    return f"{_SHELL}{runcmd()}\n"


def _until_done(script: str) -> str:
    return f"test -e {names.DONE_PATH} || {{\n{script}}}\n"


def _unit(name: str) -> str:
    """Return an image's unit without what is for people, and without what only ``systemctl enable`` reads."""
    text = resources.template_text(_IMAGES_UNIT.format(name)).partition("\n[Install]")[0]
    return "".join(f"{line}\n" for line in text.splitlines() if line and not line.startswith(("#", "Description=")))
