"""The loop over the steps, and the command line."""

import json
import os
import re
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from .base import FAILED, PERSON_MUST_ACT, STATUS, WAIT_RAN_OUT, Run, Stop, load, tell, write
from .machine import DONE, later
from .payload import STATE

# When a step of the table runs. state.json records the steps that run once.
ONCE = "once"
EVERY_RUN = "every run"


def status(root: str) -> int:
    """Print how far this machine is. Return 0 when done, 3 while it runs, waits or has not started, else its code."""
    for steps in load(root + STATE).values():
        for name, seconds in steps.items():
            print(f"{name} {seconds:.1f} s")
    story = load(root + STATUS)
    if story.get("phase") in (None, "done"):
        if os.path.exists(root + DONE):
            print("done")
            return 0
        print("not started yet: see cloud-init status --long")
        return WAIT_RAN_OUT
    print(f"{story['phase']} in step {story['step']}, {story['seconds']} s since the start")
    if story["error"]:
        print(f"{story['error']}\n{story['hint']}")
    return int(story["exit_code"]) or WAIT_RAN_OUT


def go(run: Run, steps: Any) -> None:
    """Run the steps that are not done yet. The state is on disk before the next step begins."""
    for step, when in steps:
        run.step = step.__name__.replace("_", "-")
        if run.step in run.finished:
            continue
        tell(run, "running")
        begin = time.monotonic()
        step(run)
        seconds = time.monotonic() - begin
        if when == ONCE:
            run.finished[run.step] = round(seconds, 1)
            write(run.root + STATE, json.dumps({run.sha256: run.finished}))
        print(f"kgen: {run.step} {seconds:.1f} s")
    tell(run, "done")


def main(words: list[str], steps: Any, verbs: Mapping[str, Callable[[str], int]]) -> int:
    """Do what the command line says and return the exit code."""
    options = {"--root": "", "--kubelet-command": "systemctl"}
    while words and words[0] in options:
        name, value, *words = words
        options[name] = value
    run = Run(options["--root"], options["--kubelet-command"])
    verb = verbs.get(" ".join(words))
    if words and not verb:
        print("usage: kgen-firstboot --status")
        return PERSON_MUST_ACT
    if os.geteuid() and not verb and not run.root:
        print("kgen: only root can do this: use sudo")
        return PERSON_MUST_ACT
    try:
        if verb:
            return verb(run.root)
        if os.path.exists(run.root + DONE):
            later(run)
        else:
            go(run, steps)
        return 0
    except Stop as stop:
        code, error, hint = stop.args
    except OSError as problem:
        code, error = FAILED, str(problem)
        hint = "fix what the error names; see df -h and journalctl -u kgen-firstboot"
    except Exception as problem:
        # Only its kind and place: its message may quote the payload.
        traceback.print_tb(problem.__traceback__)
        code, error = FAILED, f"a bug of kgen: {type(problem).__name__}"
        hint = "report it with the output of journalctl -u kgen-firstboot"
    if verb:
        print(f"kgen: {error}; {hint}")
        return int(code)
    tell(run, "failed", error, hint, code)
    report(run.step, error, hint)
    return int(code)


def report(step: str, error: str, hint: str) -> None:
    """Print a failure in a frame, for whoever looks at the console."""
    line = "*" * 72
    print(f"{line}\nFirst boot of this Kubernetes machine\nkgen: {step} failed: {error}\nTo do: {hint}")
    # With the same payload it would fail again, and a machine that is done needs no first boot.
    if not re.search("render|rebuild|reboot|kgen apply", hint):
        print("Then run: systemctl start kgen-firstboot")
    print(f"What was done: kgen-firstboot --status\n{line}")
