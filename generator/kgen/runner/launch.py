"""The unit of a machine whose image has none: the document brought the runner, and this makes it one."""

import os

from .base import write
from .loop import VERBS, status
from .machine import DONE

# Of both units. Nothing may order the first one after cloud-final or multi-user: runcmd waits for it.
UNIT = (
    "[Unit]\nStartLimitIntervalSec=0\nAfter={}\nConditionPathExists={}\n"
    "[Service]\nType=oneshot\nExecStart=/usr/bin/python3 -ISu {}\n"
    "Restart=on-failure\nRestartSec=10\nRestartPreventExitStatus=2 4\nStandardOutput=journal+console\n"
    "[Install]\nWantedBy={}.target\n"
)
UNITS = (
    ("firstboot", "cloud-config.target containerd.service network-online.target", "!" + DONE, "multi-user"),
    ("later", "cloud-final.service", DONE, "cloud-init"),
)


def launch(root: str) -> int:
    """Make the runner a command and a unit, start it, wait for it; print how it failed and return its exit code.

    An image that has the units has started it already; what has failed then is not run a second time.
    """
    for name, after, condition, target in UNITS:
        write(f"{root}/etc/systemd/system/kgen-{name}.service", UNIT.format(after, condition, __file__, target))
    return os.system(
        f"ln -sf {__file__} {root}/usr/local/sbin/kgen-firstboot;"
        "systemctl enable --no-reload kgen-later kgen-firstboot;"
        "! systemctl is-failed -q kgen-firstboot && systemctl start kgen-firstboot"
    ) and status(root)


VERBS["--launch"] = launch
