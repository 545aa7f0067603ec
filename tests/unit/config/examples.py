"""The example cluster files; a bundle that `make demo` left beside one is none."""

from pathlib import Path

DIRECTORY = Path(__file__).parents[3] / "examples"
_OTHERS = (".secrets.yaml", "github-actions.yaml")
EXAMPLES = sorted(path for path in DIRECTORY.glob("*.yaml") if not path.name.endswith(_OTHERS))
