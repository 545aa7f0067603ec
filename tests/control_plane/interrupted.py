"""Run a Python program and SIGKILL it at a chosen moment: ``python interrupted.py EVENT N PROGRAM ARGS…``.

The program's text is untouched; the library functions it calls are wrapped. EVENT is one of

- ``before-state``, ``after-state``: just before, or after, the N-th write of state.json gets its name
- ``before-post``, ``after-post``: just before the N-th POST is sent, or when it was answered and nobody has read it
- ``before-file``: just before the N-th other file gets its name; progress reports do not count
"""

from __future__ import annotations

import http.client
import os
import runpy
import signal
import sys

event, count, program = sys.argv[1], int(sys.argv[2]), sys.argv[3]
seen = 0
KINDS = {"state.json": "state", "status.json": "progress"}


def reached(here: str) -> None:
    """Die when this is the N-th time of the event."""
    global seen
    if here == event:
        seen += 1
        if seen == count:
            os.kill(os.getpid(), signal.SIGKILL)


def wrap_rename(original):
    def rename(source, target, **options):
        kind = KINDS.get(os.path.basename(os.fspath(target)), "file")  # noqa: PTH119
        reached(f"before-{kind}")
        original(source, target, **options)
        reached(f"after-{kind}")

    return rename


original_putrequest = http.client.HTTPConnection.putrequest
original_getresponse = http.client.HTTPConnection.getresponse


def putrequest(self, method, url, *args, **options):
    self.is_post = method == "POST"
    if self.is_post:
        reached("before-post")
    return original_putrequest(self, method, url, *args, **options)


def getresponse(self):
    response = original_getresponse(self)
    if self.is_post:
        reached("after-post")
    return response


os.rename = wrap_rename(os.rename)
os.replace = wrap_rename(os.replace)
http.client.HTTPConnection.putrequest = putrequest
http.client.HTTPConnection.getresponse = getresponse
sys.argv = sys.argv[3:]
runpy.run_path(program, run_name="__main__")
