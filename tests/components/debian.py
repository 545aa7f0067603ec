"""Trees of unpacked Debian packages of any suite: nothing is installed, the host's own packages are not touched.

apt works on a state of its own (lists, cache, an empty dpkg status), with the mirror and the proxy settings that the
host's apt is configured with. No root is needed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from . import cache

_MERGED = ("bin", "sbin", "lib", "lib64")  # as on every installed Debian: links into usr


def root(name: str, suite: str, packages: Sequence[str]) -> Path:
    """Return a tree of ``packages`` of ``suite`` and everything they depend on, unpacked, not configured.

    ``name`` and ``suite`` name the cache entry. Programs inside need the tree's own dynamic loader and libraries
    (as ``python`` does it) or a chroot.
    """
    recipe = cache.recipe_hash(suite, *packages, Path(__file__).read_text(encoding="utf-8"))
    return cache.ensure(f"{name}-{suite}", recipe, lambda directory: _unpack(directory, suite, packages))


def python(suite: str) -> Path:
    """Return an executable that is the python3 of ``suite`` (bullseye: 3.9, trixie: 3.13, forky: 3.14)."""
    return root("python", suite, ["python3"]) / "run-python3"


def _unpack(directory: Path, suite: str, packages: Sequence[str]) -> None:
    archives = _download(directory / ".apt", suite, packages)
    for link in _MERGED:
        (directory / "usr" / link).mkdir(parents=True)
        (directory / link).symlink_to(Path("usr", link))
    for archive in archives:
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as reader:
            extract = ["tar", "-x", "-C", directory, "--keep-directory-symlink", "--no-same-owner"]
            subprocess.run(extract, stdin=reader.stdout, check=True)
        if reader.returncode:
            raise RuntimeError(f"dpkg-deb cannot read {archive.name}")
        archive.unlink()
    shutil.rmtree(directory / ".apt")
    if (directory / "usr/bin/python3").exists():
        _write_python(directory)


def _download(state: Path, suite: str, packages: Sequence[str]) -> list[Path]:
    """Return the packages' archives; their dependencies too, because nothing counts as installed."""
    archives = state / "cache" / "archives"
    for path in (archives / "partial", state / "lists" / "partial", state / "log"):
        path.mkdir(parents=True)
    (state / "status").touch()
    options = {
        "Dir::State": state,
        "Dir::State::lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "Dir::Log": state / "log",
        "Dir::Etc::sourcelist": state / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::Etc::preferences": "-",
        "Dir::Etc::preferencesparts": "-",
        "Acquire::Check-Valid-Until": "false",  # testing's index may be past its date
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",  # the state lies in the cache of whoever runs the tests
        "APT::Install-Recommends": "false",
        "Debug::NoLocking": "true",
    }
    apt = ["apt-get", "-q", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    _update(apt, state, suite)
    cache.run([*apt, "install", "--yes", "--download-only", *packages])
    return sorted(archives.glob("*.deb"))


def _update(apt: Sequence[str], state: Path, suite: str) -> None:
    """Fetch the index of ``suite`` from the first of the host's mirrors that has it."""
    candidates = mirrors()
    for mirror in candidates:
        # The host's keyring need not hold the key of a newer suite.
        (state / "sources.list").write_text(f"deb [trusted=yes] {mirror} {suite} main\n", encoding="utf-8")
        updated = subprocess.run([*apt, "update", "--error-on=any"], capture_output=True, text=True)
        if updated.returncode == 0:
            return
    raise RuntimeError(f"none of the host's {len(candidates)} Debian mirrors has the suite {suite}")


def mirrors() -> list[str]:
    """Return the archives of the host's apt sources that have a component ``main``, as configured; security ones last.

    Asked of `update --print-uris`, which also answers on a machine that has never fetched an index.
    """
    uris = cache.run(["apt-get", "--print-uris", "update"])
    pairs = sorted(
        re.findall(r"^'(\S+)/dists/(\S+)/main/binary-", uris, re.MULTILINE),
        key=lambda pair: pair[1].endswith("-security"),
    )
    return list(dict.fromkeys(uri for uri, _ in pairs))


def network_options() -> list[str]:
    """Return the host's apt settings about proxies and transports, as lines of apt.conf."""
    return re.findall(r"^Acquire::https?::.+;$", cache.run(["apt-config", "dump"]), re.MULTILINE)


def _write_python(directory: Path) -> None:
    """Write the program that starts the tree's Python with the tree's own loader and libraries.

    Nothing of this is in the environment, so programs that it starts are the host's as usual.
    """
    loader = next((directory / "usr/lib").glob("*/ld-linux*.so.*")).relative_to(directory)
    interpreter = (directory / "usr/bin/python3").resolve().relative_to(directory.resolve())
    script = directory / "run-python3"
    script.write_text(
        "#!/bin/sh\n"
        'here=$(dirname "$(readlink -f "$0")")\n'
        f'exec "$here/{loader}" --library-path "$here/{loader.parent}" "$here/{interpreter}" "$@"\n',
        encoding="utf-8",
    )
    script.chmod(0o755)
