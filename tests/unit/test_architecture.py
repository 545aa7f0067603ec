"""The map of the repository (docs/architecture.md) has every module."""

import re
from pathlib import Path

import kgen

SOURCES = Path(kgen.__file__).parent
MAP = Path(__file__).parents[2] / "docs/architecture.md"


def test_the_map_lists_every_module_and_nothing_else():
    lines = MAP.read_text(encoding="utf-8").splitlines()
    table = "".join(line.split("|")[1] for line in lines if line.startswith("| "))
    named = set(re.findall(r"`([\w/]+(?:\.py|/))`", table))
    packages = tuple(name for name in named if name.endswith("/"))
    modules = {str(path.relative_to(SOURCES)) for path in SOURCES.rglob("*.py") if not path.name.startswith("__")}
    assert [name for name in sorted(modules - named) if not name.startswith(packages)] == []
    assert [name for name in sorted(named) if not (SOURCES / name).exists()] == []
