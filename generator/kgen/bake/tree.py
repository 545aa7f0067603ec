"""Recipe → the files of ``outputs/<cluster>/bake/``: a Salt tree, its pillar, a Packer template, a script, a README."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from kgen import resources
from kgen.bake.recipe import Recipe
from kgen.output.artifacts import Artifact

ROOT = PurePosixPath("bake")
_EXECUTABLE = 0o755


def artifacts(recipe: Recipe) -> Iterator[Artifact]:
    """Yield every file; none of them is secret."""
    yield _file("README.md", _readme(recipe))
    for path, text in recipe.means.items():
        yield _file(path, text, _EXECUTABLE if path == "apply" else None)
    for file in recipe.files:
        yield _file(f"salt/kgen/files{file.path}", file.text)
    yield _file("pillar/top.sls", "base:\n  '*':\n    - kgen\n")
    yield _file("pillar/kgen.sls", _pillar(recipe))
    yield _file("images.txt", "".join(f"{image}\n" for image in recipe.container_images))
    yield _file("packer/image.pkr.hcl", _packer(recipe))
    yield _file("packer/plugins.pkr.hcl", resources.template_text("bake/packer/plugins.pkr.hcl"))
    yield _file("packer/seed", resources.template_text("bake/packer/seed"), _EXECUTABLE)
    yield _file("packer/none/.empty", "Uploaded where a build needs no files or no wheels.\n")


def _file(path: str, text: str, mode: int | None = None) -> Artifact:
    return Artifact(ROOT / path, text.encode(), secret=False, mode=mode)


def _pillar(recipe: Recipe) -> str:
    """Return the pillar, which is data only. ``#!json`` keeps Salt from rendering it as a template."""
    content: dict[str, Any] = {
        "programs": {name: dict(source) for name, source in recipe.programs.items()},
        "packages": dict(recipe.packages),
        "extraPackages": list(recipe.extra_packages),
        "units": list(recipe.units),
        "files": {str(file.path): {"mode": f"{file.mode:04o}"} for file in recipe.files},
        "image": recipe.image,
    }
    return "#!json\n" + json.dumps({"kgen": content}, indent=2, sort_keys=True) + "\n"


def _packer(recipe: Recipe) -> str:
    text = resources.template_text("bake/packer/image.pkr.hcl")
    text = text.replace("__VERSION__", recipe.kubernetes_version).replace("__RECIPE__", recipe.sha256[:12])
    return text.replace("__DIGEST__", recipe.sha256)


def _readme(recipe: Recipe) -> str:
    text = resources.template_text("bake/README.md")
    return text.replace("__VERSION__", recipe.kubernetes_version).replace("__RECIPE__", recipe.sha256)
