"""The log of a component that does not come up."""

import glob
import os
import re
from collections.abc import Callable
from typing import Any

from .base import WAIT_RAN_OUT, Run, Stop, read, wait


def watch(run: Run, name: str, what: str, probe: Callable[[], Any]) -> Any:
    """Wait for what the static pod ``name`` does. When the wait runs out, print the last ten lines of its newest log.

    The last line is part of the error, too.
    """
    try:
        return wait(run, what, probe)
    except Stop as stop:
        _, error, hint = stop.args
    last = "no log, has the kubelet started it?"
    paths = glob.glob(f"{run.root}/var/log/pods/kube-system_{name}-*/{name}/*.log")
    for line in read(max(paths, key=os.path.getmtime)).splitlines()[-10:] if paths else []:
        # A line begins with the time, the stream and whether it is a whole line.
        text = line.split(" ", 3)[-1][:400]
        # Not a line with what looks like a bootstrap token.
        if not re.search(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b", text):
            print(f"{name}: {text}")
            last = text[:200]
    raise Stop(WAIT_RAN_OUT, f"{error}; {name}: {last}", hint)
