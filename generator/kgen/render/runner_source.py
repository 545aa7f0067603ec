"""The first-boot runner as it ships: the modules its role needs in one file, without what only readers need.

docs/reference/runner.md says which rules the runner's sources obey so that this can work line by line.
"""

from __future__ import annotations

import re
from functools import cache

from kgen import resources
from kgen.config.model import Role

ROLE_MODULES: dict[Role, tuple[str, ...]] = {
    "master": ("base", "files", "api", "payload", "preflight", "machine", "guard", "publish", "loop", "master"),
    "node": ("base", "files", "api", "payload", "preflight", "machine", "loop", "node"),
}
"""The modules of each role's program, each after those it imports; the last holds its table of steps."""

_DOCSTRING = '"""'
_IMPORT = re.compile(r"(?:import|from) ")
_DROPPED = re.compile(r"#|from \.|from typing import ")
_DEFINITION = re.compile(r" *def .*:$")
_ANNOTATION = re.compile(r": [A-Za-z]+(?=[,)]| = )| -> .*(?=:$)")
_VARIABLE_ANNOTATION = re.compile(r"^( *[\w.]+): [A-Za-z]+ = ")


@cache
def assemble(role: Role) -> str:
    """Return the program of ``role``: it begins with ``#!`` and ends with a newline."""
    lines = [line for module in ROLE_MODULES[role] for line in _stripped(resources.runner_source(module))]
    imports = dict.fromkeys(line for line in lines if _IMPORT.match(line))
    return "\n".join(["#!/usr/bin/env python3", *imports, *(line for line in lines if line not in imports), ""])


def _stripped(source: str) -> list[str]:
    """Return the lines without comments, docstrings, annotations and own imports, one blank for each level."""
    kept = []
    in_docstring = False
    for line in source.splitlines():
        text = line.lstrip(" ")
        if _DOCSTRING in text:
            in_docstring ^= text.count(_DOCSTRING) == 1
        elif text and not in_docstring and not _DROPPED.match(text):
            if _DEFINITION.match(line):
                text = _ANNOTATION.sub("", text)
            kept.append(" " * ((len(line) - len(line.lstrip(" "))) // 4) + _VARIABLE_ANNOTATION.sub(r"\1 = ", text))
    return kept
