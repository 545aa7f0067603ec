"""The script of ``kgen apply``: the program and the payload, for root on the machine."""

from __future__ import annotations

from kgen.firstboot import program
from kgen.model import Machine

_END = "KGEN_END_OF_FILE"

_SCRIPT = """\
#!/bin/sh
# Made by kgen apply for {machine} of cluster {cluster}. It holds the machine's secrets: pipe it, do not keep it.
# It brings {machine} from the files it has to the rendered ones: it keeps copies, restarts only what reads a changed
# file, and puts the copies back when a component does not come back. If it was cut, run it again.
set -eu
umask 077
directory=$(mktemp -d /run/kgen-apply.XXXXXX)
trap 'rm -rf "$directory"' EXIT
# When the terminal closes, the program goes on to its end.
trap '' HUP
trap 'exit 1' INT TERM
cat >"$directory/apply.py" <<'{end}'
{program}{end}
cat >"$directory/payload.json" <<'{end}'
{payload}
{end}
cat >"$directory/firstboot.py" <<'{end}'
{firstboot}{end}
python3 -ISu "$directory/apply.py" "$directory" </dev/null
"""


def script(cluster: str, machine: Machine, payload: str) -> str:
    """Return the shell script that applies ``payload``, the text of payload.json, on ``machine``."""
    return _SCRIPT.format(
        machine=machine.name,
        cluster=cluster,
        program=program.apply_program(),
        firstboot=program.program(machine.role, with_comments=True),
        payload=payload.rstrip("\n"),
        end=_END,
    )
