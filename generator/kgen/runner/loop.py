"""The loop over the steps, and the command line."""

import json
import os
import time
from typing import Any

from .base import STATUS, Run, Stop, load, tell, write
from .machine import DONE, kubelet, later, mend
from .payload import STATE, clock, fetch, verify


def status(root: str) -> int:
    """Print the story for people; 0: done, 3: it runs, waits or has not started, else the code it failed with."""
    for steps in load(root + STATE).values():
        for name, seconds in steps.items():
            print(f"{name} {seconds:.1f} s")
    story = load(root + STATUS)
    if story.get("phase") in (None, "done"):
        if os.path.exists(root + DONE):
            print("done")
            return 0
        print("not started yet: see cloud-init status --long")
        return 3
    phase, step, seconds, error, hint, code = story.values()
    print(f"{phase} in step {step}, {seconds} s since the start")
    if error:
        print(f"{error}\n{hint}")
    return code or 3


VERBS = {"--status": status}


def go(run: Run, steps: Any) -> None:
    """Run what is not done yet; the state is on disk before the next step begins."""
    for step in (fetch, verify, clock, mend, *steps):
        run.step = step.__name__.replace("_", "-")
        # What systemd was told may not have reached the disk.
        if run.step in run.finished and step != kubelet:
            continue
        tell(run, "running")
        begin = time.monotonic()
        step(run)
        seconds = time.monotonic() - begin
        # The last one has said so by itself, and no later run would take away what a power cut leaves of this file.
        if step in steps[:-1] and run.step not in run.finished:
            run.finished[run.step] = round(seconds, 1)
            write(run.root + STATE, json.dumps({run.sha256: run.finished}))
        print(f"kgen: {run.step} {seconds:.1f} s")
    tell(run, "done")


def main(words: Any, steps: Any) -> Any:
    """Do what the command line says and return the exit code."""
    options = {"--root": "", "--kubelet-command": "systemctl"}
    while words and words[0] in options:
        name, value, *words = words
        options[name] = value
    run = Run(*options.values())
    if words:
        verb = VERBS.get(" ".join(words))
        if verb:
            return verb(run.root)
        print("usage: kgen-firstboot --status")
        return 2
    try:
        if os.path.exists(run.root + DONE):
            later(run)
        else:
            go(run, steps)
        return 0
    except Stop as stop:
        code, error, hint = stop.args
    except OSError as problem:
        code, error, hint = 1, problem, "repair it"
    except Exception as problem:
        # Only its kind and place: its message may quote the payload. Imported here: that takes as long as all else.
        import traceback

        traceback.print_tb(problem.__traceback__)
        code, error, hint = 1, type(problem), "report it"
    tell(run, "failed", f"{error}", hint, code)
    line = "*" * 72
    again = "" if "rebuild" in hint else "Then run: systemctl start kgen-firstboot\n"
    print(
        f"{line}\nFirst boot of this Kubernetes machine\nkgen: {run.step} failed: {error}\nTo do: {hint}\n"
        f"{again}What was done: kgen-firstboot --status\n{line}"
    )
    return code
