"""The loop over the steps, and the command line."""

import json
import os
import time
import traceback
from typing import Any

from .base import Run, Stop, read, tell, write
from .machine import DONE
from .payload import PAYLOAD, STATE, clock, fetch, verify


def status(root: str) -> int:
    """Print how far the runner is; 0: done, 3: it runs or waits, else the code it failed with."""
    if os.path.exists(root + DONE):
        print("done")
        return 0
    story = read(root + "/run/kgen/status.json")
    print(story)
    return json.loads(story)["exit_code"] or 3


def launch(root: str) -> int:
    """Make the runner a unit, start it, wait for it; print how it failed and return its exit code.

    ``enable`` reloads systemd's units. Nothing may order the unit after cloud-final or multi-user: runcmd waits for it.
    """
    unit = (
        "[Unit]\nAfter=cloud-config.target containerd.service network-online.target\n"
        f"ConditionPathExists=!{DONE}\nStartLimitIntervalSec=0\n"
        f"[Service]\nType=oneshot\nExecStart=/usr/bin/python3 -u {__file__}\n"
        "Restart=on-failure\nRestartSec=10\nRestartPreventExitStatus=2 4\nStandardOutput=journal+console\n"
        "[Install]\nWantedBy=multi-user.target\n"
    )
    write(root + "/etc/systemd/system/kgen-firstboot.service", unit)
    return os.system("systemctl enable --now kgen-firstboot") and status(root)


def go(run: Run, steps: Any) -> None:
    """Run what is not done yet; the state is on disk before the next step begins."""
    for step in (fetch, verify, clock, *steps):
        run.step = step.__name__.replace("_", "-")
        if run.step in run.finished:
            continue
        tell(run, "running")
        begin = time.time()
        step(run)
        if step in steps:
            run.finished.append(run.step)
            write(run.root + STATE, json.dumps({run.sha256: run.finished}))
        print(f"kgen: {run.step} {time.time() - begin:.1f} s")
    tell(run, "done")


def main(words: Any, steps: Any) -> Any:
    """Do what the command line says and return the exit code; ``--status`` is what any other word than ours means."""
    options = {"--root": "", "--kubelet-command": ""}
    while words and words[0] in options:
        name, value, *words = words
        options[name] = value
    run = Run(*options.values())
    if words:
        return launch(run.root) if words[0] == "--launch" else status(run.root)
    try:
        if not os.path.exists(run.root + DONE):
            go(run, steps)
        elif os.path.exists(run.root + PAYLOAD):
            # Left by a power cut, or delivered again: it is not applied.
            os.remove(run.root + PAYLOAD)
        return 0
    except Stop as stop:
        code, error, hint = stop.args
    except OSError as problem:
        code, error, hint = 1, problem, "repair it"
    except Exception as problem:
        # Only its kind and place: its message may quote the payload.
        traceback.print_tb(problem.__traceback__)
        code, error, hint = 1, type(problem), "report it"
    print(f"kgen: {run.step} failed: {error}; {hint}")
    tell(run, "failed", f"{error}", hint, code)
    return code
