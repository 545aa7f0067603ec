"""The first-boot runner as it ships: the modules its role needs in one file, without what only readers need.

docs/reference/runner.md says which rules the runner's sources obey so that this can work line by line.
"""

from __future__ import annotations

import re
from functools import cache

from kgen import resources
from kgen.config.model import Cluster, Role
from kgen.render import minify, node_labels

ROLE_MODULES: dict[Role, tuple[str, ...]] = {
    "master": (
        "base",
        "files",
        "answers",
        "api",
        "payload",
        "curve",
        "points",
        "cri",
        "preflight",
        "preflight_master",
        "machine",
        "guard",
        "logs",
        "publish",
        "loop",
        "master",
    ),
    "node": ("base", "files", "answers", "once", "payload", "cri", "preflight", "machine", "loop", "node"),
}
"""The modules of each role's program, each after those it imports; the last holds its table of steps."""

LABEL_MODULES: dict[Role, tuple[str, ...]] = {"master": ("labels",), "node": ()}
"""What stands before the last module where a cluster needs it."""

BAKED_MODULES: dict[Role, tuple[str, ...]] = {
    "master": ("labels", "image", "serving"),
    "node": ("image", "curve", "serving"),
}
"""What stands there in an image: it serves every cluster."""

_HEAD = "#!/usr/bin/env python3"
_IMPORT = re.compile("import (.*)")


def document_modules(cluster: Cluster, role: Role) -> tuple[str, ...]:
    """Return what stands there in the documents of ``cluster``'s masters or nodes."""
    return LABEL_MODULES[role] if node_labels.of_nodes(cluster) else ()


def modules(role: Role, more: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the modules of a program."""
    *first, last = ROLE_MODULES[role]
    return (*first, *more, last)


@cache
def assemble(role: Role, more: tuple[str, ...] = ()) -> str:
    """Return the program of ``role``: it begins with ``#!`` and ends with a newline."""
    sources = map(resources.runner_source, modules(role, more))
    lines = [line for source in sources for line in minify.statements(source)]
    imported = dict.fromkeys(found[1] for line in lines if (found := _IMPORT.match(line)))
    code = [line for line in lines if not _IMPORT.match(line)]
    return "\n".join([_HEAD, "import " + ",".join(imported), *minify.shortened(code), ""])
