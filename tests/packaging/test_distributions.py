"""What a user installs: the wheel and the sdist, built from a copy of the tree with secrets lying around in it."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import kgen

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
SOURCES = ("generator", "templates", "tests", "docs", "examples", "outputs", "pyproject.toml", ".gitignore")
TEXTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE")
LEFT_BY_USE = (
    "outputs/prod/user-data/m1.yaml",
    "examples/prod.secrets.yaml",
    "generator/kgen/__pycache__/stale.cpython-311.pyc",
)


def _tracked_like(*ignored: str):
    return shutil.ignore_patterns("__pycache__", *ignored)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[zipfile.ZipFile, tarfile.TarFile]:
    tree = tmp_path_factory.mktemp("tree")
    for name in SOURCES + TEXTS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=_tracked_like("*.secrets.yaml", "prod"))
        else:
            shutil.copy(source, tree / name)
    for name in LEFT_BY_USE:
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("private\n", encoding="utf-8")
    command = [sys.executable, "-m", "build", "--no-isolation", "--sdist", "--wheel", "--outdir", "dist", "."]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (tree / "dist").glob("*.whl")
    (sdist,) = (tree / "dist").glob("*.tar.gz")
    return zipfile.ZipFile(wheel), tarfile.open(sdist)


def _tree(root: Path, prefix: str) -> dict[str, bytes]:
    return {
        f"{prefix}/{path.relative_to(root).as_posix()}": path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_wheel_holds_the_package_its_templates_and_its_documentation_and_nothing_else(built):
    wheel, _ = built
    content = {name: wheel.read(name) for name in wheel.namelist() if ".dist-info/" not in name}
    assert content == {
        **_tree(ROOT / "generator" / "kgen", "kgen"),
        **_tree(ROOT / "templates", "kgen/templates"),
        **_tree(ROOT / "docs", "kgen/docs"),
    }


def test_wheel_says_version_licence_and_command(built):
    wheel, _ = built
    info = f"kgen-{kgen.__version__}.dist-info"
    metadata = wheel.read(f"{info}/METADATA").decode()
    assert f"\nVersion: {kgen.__version__}\n" in metadata
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert "kgen = kgen.__main__:entry" in wheel.read(f"{info}/entry_points.txt").decode()
    assert f"{info}/licenses/LICENSE" in wheel.namelist()


def test_sdist_holds_no_output_and_no_secret(built):
    _, sdist = built
    names = {name.split("/", 1)[1] for name in sdist.getnames()}
    assert not names & set(LEFT_BY_USE)
    assert not [name for name in names if name.startswith("outputs/") or "__pycache__" in name]
    assert {*TEXTS, "generator/kgen/__init__.py", "pyproject.toml"} <= names


def test_imported_from_the_wheel_kgen_finds_its_templates_and_its_documentation(built, tmp_path):
    wheel, _ = built
    wheel.extractall(tmp_path)
    code = "import kgen, kgen.resources as r; print(kgen.__file__); print(r.templates_root(), r.docs_root(), sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    found = [str(tmp_path / "kgen" / name) for name in ("__init__.py", "templates", "docs")]
    assert done.stdout.splitlines() == found, done
