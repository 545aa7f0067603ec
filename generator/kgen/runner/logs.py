"""What a component says for itself, where it is waited for in vain."""

import collections
import glob
import os
import re
from typing import Any

from .base import Run, Stop, wait

TOKEN = r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"


def watch(run: Run, name: str, what: str, probe: Any) -> Any:
    """Wait for what the static pod ``name`` does; when that runs out, print the end of its newest log.

    The log's last line goes into the error, too. Lines with something like a bootstrap token are left out.
    """
    try:
        return wait(run, what, probe)
    except Stop as stop:
        code, error, hint = stop.args
        if code != 3:
            raise
    paths = glob.glob(f"{run.root}/var/log/pods/kube-system_{name}-*/{name}/*.log")
    lines = [f"no log, has the kubelet started {name}?"]
    if paths:
        with open(max(paths, key=os.path.getmtime), errors="replace") as file:
            # After the time, the stream and whether it is a whole line.
            lines += (line.rstrip()[:400].split(" ", 3)[-1] for line in collections.deque(file, 10))
    lines = [line for line in lines[bool(paths) :] if not re.search(TOKEN, line)]
    for line in lines:
        print(f"{name}: {line}")
    raise Stop(3, f"{error}; {name}: {''.join(lines[-1:])[:200]}", hint)
