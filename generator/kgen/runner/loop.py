"""The loop over the steps, and the command line."""

import json
import os
import time
import traceback
from typing import Any

from .base import Run, Stop, read, tell, write
from .machine import DONE
from .payload import PAYLOAD, STATE, clock, fetch, verify


def launch(root: str) -> int:
    """Make the runner a unit, start it, wait for it, return its exit code.

    ``enable`` reloads systemd's units. Nothing may order the unit after cloud-final or multi-user: runcmd waits for it.
    """
    unit = (
        "[Unit]\nWants=network-online.target\nAfter=cloud-config.target containerd.service network-online.target\n"
        f"ConditionPathExists=!{DONE}\nStartLimitIntervalSec=0\n"
        f"[Service]\nType=oneshot\nExecStart=/usr/bin/python3 {os.path.abspath(__file__)}\n"
        "Restart=on-failure\nRestartSec=10\nRestartPreventExitStatus=2 4\nStandardOutput=journal+console\n"
        "[Install]\nWantedBy=multi-user.target\n"
    )
    write(root + "/etc/systemd/system/kgen-firstboot.service", unit)
    failed = os.system("systemctl enable kgen-firstboot && systemctl start kgen-firstboot")
    return int(os.popen("systemctl show -p ExecMainStatus --value kgen-firstboot").read()) or int(failed > 0)


def status(root: str) -> int:
    """Print how far the runner is; 0: done, 3: it runs or waits, else the code it failed with."""
    if os.path.exists(root + DONE):
        print("done")
        return 0
    story = read(root + "/run/kgen/status.json")
    print(story)
    return json.loads(story)["exit_code"] or 3


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
        print(f"kgen: {run.step} {time.time() - begin:.1f} s", flush=True)
    tell(run, "done")


def main(words: Any, steps: Any) -> Any:
    """Do what the command line says; return the exit code, or a sentence that is printed (exit code 1)."""
    options = {"--root": "", "--kubelet-command": ""}
    words = iter(words)
    for word in words:
        if word == "--launch":
            return launch(options["--root"])
        if word == "--status":
            return status(options["--root"])
        if word not in options:
            return "usage: [--root DIR] [--kubelet-command CMD] [--launch | --status]"
        options[word] = next(words, "")
    run = Run(*options.values())
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
        code, error, hint = 1, str(problem), "repair, then systemctl start kgen-firstboot"
    except Exception as problem:
        # Only its place: its message may quote the payload.
        traceback.print_tb(problem.__traceback__)
        code, error, hint = 1, type(problem).__name__, "please report this"
    print(f"kgen: {run.step} failed: {error}; {hint}", flush=True)
    tell(run, "failed", error, hint, code)
    return code
