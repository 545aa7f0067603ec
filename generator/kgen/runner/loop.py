"""The loop over the steps, and the command line."""

import json
import os
import subprocess
import time
from typing import Any

from .base import Run, Stop, tell, write
from .machine import DONE
from .payload import EVERY_RUN, PAYLOAD, STATE


def launch(root: str) -> int:
    """Make the runner a unit, start it, wait for it, return its exit code.

    ``enable`` reloads systemd's units. Nothing may order the unit after cloud-final or multi-user: runcmd waits for it.
    """
    lines = (
        "[Unit]",
        "Description=kgen first boot",
        "Wants=network-online.target",
        "After=cloud-config.target containerd.service network-online.target",
        f"ConditionPathExists=!{DONE}",
        "StartLimitIntervalSec=0",
        "[Service]",
        "Type=oneshot",
        f"ExecStart=/usr/bin/python3 {os.path.abspath(__file__)}",
        "Restart=on-failure",
        "RestartSec=10",
        "RestartPreventExitStatus=2 4",
        "StandardOutput=journal+console",
        "[Install]",
        "WantedBy=multi-user.target",
        "",
    )
    failed = 0
    write(root + "/etc/systemd/system/kgen-firstboot.service", "\n".join(lines))
    for words in (["enable"], ["start"], ["show", "-pExecMainStatus", "--value"]):
        done = subprocess.run(["systemctl", *words, "kgen-firstboot"], stdout=subprocess.PIPE, text=True, check=False)
        failed = failed or done.returncode
    return int(done.stdout or 0) or failed


def status(root: str) -> int:
    """Print how far the runner is; 0: done, 3: it runs or waits, else the code it failed with."""
    if os.path.exists(root + DONE):
        print("done")
        return 0
    try:
        with open(root + "/run/kgen/status.json", encoding="utf-8") as file:
            story = json.load(file)
    except OSError:
        print("not started")
        return 3
    print("{phase} {step} {seconds} s {error}; {hint}".format(**story))
    return int(story["exit_code"]) or 3


def run_steps(run: Run, steps: Any) -> None:
    """Run what is not done yet; the state is on disk before the next step begins."""
    for name, action in steps:
        if name in run.done:
            continue
        run.step = name
        tell(run, "running")
        begin = time.time()
        action(run)
        if (name, action) not in EVERY_RUN:
            run.done.append(name)
            write(run.root + STATE, json.dumps({"payload": run.sha256, "done": run.done}))
        print(f"kgen {name} {time.time() - begin:.1f} s", flush=True)


def main(words: Any, steps: Any) -> int:
    """Do what the command line says and return the exit code."""
    options = {"--root": "", "--kubelet-command": ""}
    verbs = []
    words = list(words)
    while words:
        word = words.pop(0)
        if word in options and words:
            options[word] = words.pop(0)
        else:
            verbs.append(word)
    root = options["--root"].rstrip("/")
    if verbs == ["--status"]:
        return status(root)
    if verbs == ["--launch"]:
        return launch(root)
    if verbs:
        print("usage: firstboot.py [--root DIR] [--kubelet-command CMD] [--launch | --status]")
        return 1
    if os.path.exists(root + DONE):
        # What a power cut left behind, or cloud-init has delivered again: it is not applied.
        if os.path.exists(root + PAYLOAD):
            os.remove(root + PAYLOAD)
        return 0
    run = Run(root, options["--kubelet-command"])
    try:
        run_steps(run, steps)
        tell(run, "done")
        return 0
    except Stop as stop:
        code, error, hint = stop.args
    except OSError as problem:
        code, error, hint = 1, str(problem), "repair the machine: systemctl start kgen-firstboot goes on"
    except Exception as problem:
        # Its message may quote the payload.
        trace: Any = problem.__traceback__
        while trace.tb_next:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_filename} line {trace.tb_lineno}"
        code, error, hint = 1, f"{type(problem).__name__} at {place}", "please report this"
    print(f"kgen {run.step} failed: {error}; {hint}", flush=True)
    tell(run, "failed", error, hint, code)
    return code
