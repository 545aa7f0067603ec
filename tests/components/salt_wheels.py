"""Salt's wheels, fetched as the recipe's README says for machines without a network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from . import cache


def directory(python: str, bake: Path) -> Path:
    """Return a directory with the wheels that the recipe ``bake`` wants, for a machine with that Python: ``3.13``."""
    lines = re.findall(r"^ +python3 (-m pip .+)$", (bake / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(lines) == 2
    version = re.findall(r"^SALT=.+$", (bake / "apply").read_text(encoding="utf-8"), re.MULTILINE)
    wanted = (bake / "scripts/requirements.txt").read_text(encoding="utf-8")

    def fetch(made: Path) -> None:
        for line in lines:
            rest = line.replace("WHEELS", str(made)).replace("3.13", python)
            subprocess.run(f"{sys.executable} {rest} --quiet", shell=True, cwd=bake, check=True)

    return cache.ensure(f"wheels-{python}", cache.recipe_hash(*lines, *version, wanted), fetch)
