"""The recipe on root trees: applied, applied again, verified, applied over an older one; and what goes wrong."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kgen import api
from kgen.cli.main import run as kgen
from kgen.secrets_bundle import store
from tests.bake.conftest import Tree
from tests.components import cache, containers, golang, salt_wheels
from tests.components.machine_image import BOOKWORM, FORKY, Generation

# Trixie has the newest release here: the recipe goes by the release, not by the distribution.
RELEASES = {"bookworm": BOOKWORM, "trixie": FORKY, "forky": FORKY}
NOTHING = re.compile(r"^kgen: \d+ states, 0 changed, 0 failed$", re.MULTILINE)


# A package, a unit that a package of the trees brings and does not enable, and a unit of the user's own.
OWN = """\
  extraPackages: [jq]
  units:
    - nftables.service
    - {name: tune.timer, content: "[Timer]\\nOnBootSec=60\\n[Install]\\nWantedBy=timers.target\\n"}
    - {name: tune.service, source: tune.service}
"""
UNITS = ("nftables.service", "tune.timer", "tune.service")
TUNE = "[Service]\nType=oneshot\nExecStart=/usr/bin/jq -n 1\n[Install]\nWantedBy=multi-user.target\n"


# Two processes share these tests (``make boot-test``): one of them gets all that use the same tree.
TREES = [pytest.param(suite, marks=pytest.mark.xdist_group(suite)) for suite in RELEASES]


@pytest.fixture(scope="module", params=TREES)
def tree(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """A tree to which the recipe was applied once."""
    made = Tree(tmp_path_factory.mktemp(request.param), request.param, OWN)
    (made.directory / "tune.service").write_text(TUNE)
    done = made.apply(generation=RELEASES[request.param])
    assert done.returncode == 0, done.stdout + done.stderr
    yield made
    made.remove()


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Tree]:
    """A tree of the newest suite to which nothing was applied."""
    made = Tree(tmp_path, "forky")
    yield made
    made.remove()


def release(tree: Tree) -> Generation:
    return RELEASES[re.sub(r"\d+$", "", tree.directory.name)]


def differences(tree: Tree) -> list[str]:
    return [f"{it.path}: {it.message}" for it in api.verify_image(tree.directory / "cluster.yaml", tree.root)]


def test_the_tree_is_what_the_recipe_says(tree):
    assert differences(tree) == []
    image = json.loads((tree.root / "etc/kgen/image.json").read_text())
    assert image["kubernetesVersion"] == f"v{release(tree).kubernetes}"
    assert set(image["containerImages"]) == set(api.container_images(tree.directory / "cluster.yaml"))
    assert image["packages"]["containerd"]
    assert "time" not in json.dumps(image).replace("runtime", "")


def in_the_tree(tree: Tree, *command: str) -> str:
    words = ["chroot", str(tree.root), *command]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.rstrip()


def test_it_has_the_packages_and_units_of_the_user(tree):
    assert in_the_tree(tree, "jq", "-n", "1 + 1") == "2"
    assert in_the_tree(tree, "systemctl", "is-enabled", *UNITS).splitlines() == ["enabled"] * len(UNITS)
    assert (tree.root / "etc/systemd/system/tune.service").read_text() == TUNE
    in_the_tree(tree, "systemd-analyze", "verify", "--man=no", *UNITS)


def test_a_second_application_changes_nothing(tree):
    done = tree.apply(generation=release(tree))
    assert done.returncode == 0, done.stdout + done.stderr
    assert NOTHING.search(done.stdout), done.stdout
    assert "changed:" not in done.stdout
    assert "0 changed" in tree.apply("--test", generation=release(tree)).stdout


def test_containerd_of_the_tree_takes_the_configuration(tree):
    chroot = ["chroot", tree.root, "containerd", "config", "dump"]
    dump = subprocess.run(list(map(str, chroot)), capture_output=True, text=True, check=True).stdout
    assert re.search(r"""(sandbox|sandbox_image) = ['"]registry.k8s.io/pause:""", dump)
    assert re.search(r"SystemdCgroup = true", dump)
    assert "/opt/cni/bin" in dump


def test_containerd_starts_before_cloud_init_is_through(tree):
    """Its unit says what the package's does, but for what it waits for."""
    package = (tree.root / "usr/lib/systemd/system/containerd.service").read_text()
    early = (tree.root / "etc/systemd/system/containerd.service").read_text()
    lines = [line for line in early.rstrip().splitlines() if not line.startswith("#")]
    for line in (
        "DefaultDependencies=no",
        "Conflicts=shutdown.target",
        "Before=shutdown.target",
        "After=local-fs.target systemd-tmpfiles-setup.service systemd-modules-load.service",
    ):
        lines.remove(line)
    assert "dbus.service" not in early
    assert lines == [
        line.replace(" dbus.service", "") for line in package.rstrip().splitlines() if not line.startswith("#")
    ]


def test_it_has_no_secret_of_the_cluster(tree):
    """The bundle of the very cluster file: not a key, not a token, not a certificate of it is anywhere in the tree."""
    cluster = tree.directory / "cluster.yaml"
    api.render(cluster, tree.directory)
    bundle = store.read(store.path_for(cluster))
    assert bundle is not None
    text = store.path_for(cluster).read_text()
    words = {word.encode() for word in re.findall(r"[A-Za-z0-9+/]{48,}", text)}
    tokens = {token.encode() for token in bundle.tokens}
    assert len(words) > 10
    assert tokens
    decoded = {base64.b64decode(word[: len(word) // 4 * 4])[16:40] for word in words}
    patterns = tree.directory / "patterns"
    raw = {der for der in decoded if not {0, 10} & set(der)}  # grep's own separators
    patterns.write_bytes(b"\n".join(words | tokens | raw | {der.hex().encode() for der in decoded}))
    command = ["grep", "-r", "-l", "-a", "-F", "-f", patterns, "--devices=skip", tree.root]
    found = subprocess.run(list(map(str, command)), capture_output=True, text=True, env={"LC_ALL": "C"}, timeout=120)
    assert (found.returncode, found.stdout) == (1, ""), found.stdout + found.stderr
    (tree.root / "root/forgotten").write_bytes(b"x" + next(iter(words)))
    assert subprocess.run(list(map(str, command)), capture_output=True, env={"LC_ALL": "C"}).returncode == 0
    (tree.root / "root/forgotten").unlink()
    store.path_for(cluster).unlink()


def test_verify_lists_what_is_different_and_exits_with_3(tree, capsys):
    spoiled = {
        "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
        "etc/sysctl.d/kgen-image.conf": "net.ipv4.ip_forward = 0\n",
        "etc/ssh/ssh_host_ed25519_key": "key",
        "etc/fstab": (tree.root / "etc/fstab").read_text() + "/dev/vdb none swap sw 0 0\n",
    }
    kept = {path: (tree.root / path).read_text() if (tree.root / path).exists() else None for path in spoiled}
    for path, content in spoiled.items():
        (tree.root / path).parent.mkdir(exist_ok=True)
        (tree.root / path).write_text(content)
    in_the_tree(tree, "dpkg", "--purge", "jq")
    in_the_tree(tree, "systemctl", "disable", "nftables.service", "tune.timer")
    assert kgen(["bake", str(tree.directory / "cluster.yaml"), "--verify", str(tree.root)]) == 3
    said = capsys.readouterr().out
    assert said.count("\n") == 7
    assert "package jq: is not installed" in said
    assert "nftables.service: is not enabled" in said
    assert "tune.timer: is not enabled" in said
    for path in spoiled:
        assert f"/{path}: " in said
    done = tree.apply(generation=release(tree))
    assert done.returncode == 0, done.stderr
    assert differences(tree) == []
    for path, content in kept.items():
        if content is not None and path != "etc/machine-id":
            (tree.root / path).write_text(content)


def contents(root: Path) -> dict[str, bytes]:
    """Return what an image is made of, without the databases of containerd and of Debian's package manager.

    Files have their time of day before their content.
    """
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if name.startswith(("var/lib/containerd/", "var/lib/dpkg/", "var/cache/", "etc/passwd", "etc/shadow", "etc/g")):
            continue
        if path.is_symlink():
            found[name] = str(path.readlink()).encode()
        elif path.is_file():
            found[name] = f"{path.stat().st_mtime_ns} ".encode() + path.read_bytes()
    blobs = root / "var/lib/containerd/io.containerd.content.v1.content/blobs/sha256"
    return found | {f"blob {path.name}": b"" for path in blobs.iterdir()}


@pytest.mark.soak
def test_over_an_older_bake_it_ends_in_the_same_tree(tmp_path, new):
    done = new.apply(generation=BOOKWORM)
    assert done.returncode == 0, done.stdout + done.stderr
    done = new.apply()
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "clean").mkdir()
    clean = Tree(tmp_path / "clean", "forky")
    assert clean.apply().returncode == 0
    upgraded, made = contents(new.root), contents(clean.root)
    clean.remove()
    assert upgraded.keys() ^ made.keys() == set()
    assert [name for name, content in made.items() if upgraded[name] != content] == []


def test_wheels_are_enough_where_there_is_no_network(tmp_path, new, monkeypatch):
    bake = new.recipe()
    wheels = salt_wheels.directory("3.14", bake)
    archives = containers.archives(FORKY.kubernetes, FORKY.etcd, FORKY.coredns, FORKY.pause)
    words = ["--wheels", wheels, "--archives", archives, "--files", golang.kubernetes(FORKY.kubernetes)]
    command = ["unshare", "--net", bake / "apply", *words, new.root]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert differences(new) == []


def test_a_program_with_another_checksum_is_not_put_there(tmp_path, new):
    files = tmp_path / "files"
    files.mkdir()
    (files / "kubectl").symlink_to(golang.kubernetes(FORKY.kubernetes) / "kubectl")
    (files / "kubelet").write_text("#!/bin/sh\n")
    (files / "kubectl").unlink()
    (files / "kubectl").write_bytes((golang.kubernetes(FORKY.kubernetes) / "kubectl").read_bytes())
    done = new.apply(files=files)
    assert done.returncode == 1
    assert re.search(r"failed: kubelet: .*its SHA-256 is [0-9a-f]{64}, the cluster file says [0-9a-f]{64}", done.stderr)
    assert not (new.root / "usr/bin/kubelet").exists()
    assert new.apply().returncode == 0
    assert differences(new) == []


def test_an_archive_that_is_missing_is_named(tmp_path, new):
    archives = tmp_path / "archives"
    archives.mkdir()
    whole = containers.archives(FORKY.kubernetes, FORKY.etcd, FORKY.coredns, FORKY.pause)
    for path in whole.glob("*.tar"):
        if "coredns" not in path.name:
            (archives / path.name).hardlink_to(path)
    done = new.apply(archives=archives)
    assert done.returncode == 1
    assert f"no archive holds: registry.k8s.io/coredns/coredns:v{FORKY.coredns}" in done.stderr
    assert not (new.root / "etc/kgen/image.json").exists()
    assert new.apply().returncode == 0
    assert differences(new) == []


# What a machine has when apply runs on it: its own root, its runtime file systems, and what was brought along.
ON_THE_MACHINE = """\
set -e
cd "$1" && mount --bind . . && cd "$1"
mount -t proc proc proc && mount -t sysfs sysfs sys && mount --rbind /dev dev && mount -t tmpfs tmpfs run
mkdir run/brought && cd run/brought && mkdir recipe archives files cache
mount --bind "$2" recipe && mount --bind "$3" archives && mount --bind "$4" files && mount --bind "$5" cache
shift 5
exec chroot "$OLDPWD" env XDG_CACHE_HOME=/run/brought/cache /run/brought/recipe/apply \
  --archives /run/brought/archives --files /run/brought/files "$@" /
"""


def test_it_is_applied_to_the_machine_it_runs_on(new):
    assert new.apply().returncode == 0  # Salt for this Python is in the cache now
    archives = containers.archives(FORKY.kubernetes, FORKY.etcd, FORKY.coredns, FORKY.pause)
    programs = golang.kubernetes(FORKY.kubernetes)
    (new.root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    (new.root / "etc/sysctl.d/kgen-image.conf").unlink()

    def apply_inside(*options: str, code: int = 0) -> str:
        words = ["unshare", "--mount", "sh", "-c", ON_THE_MACHINE, "sh"]
        words += map(str, (new.root, new.recipe(), archives, programs, cache.cache_root()))
        done = subprocess.run([*words, *options], capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    assert "changed: /etc/sysctl.d/kgen-image.conf" in apply_inside()
    assert differences(new) == ["/etc/machine-id: is not an empty file: machines would have no identity of their own"]
    assert "apply: /tmp: an image loses what lies there" in apply_inside("--image", "--archives", "/tmp", code=2)
    assert "changed: machine-id" in apply_inside("--image")
    assert differences(new) == []


def test_what_cannot_be_baked_is_reported_in_a_sentence(tmp_path, new):
    empty = tmp_path / "empty"
    empty.mkdir()
    tree = Tree.__new__(Tree)
    tree.directory, tree.root, tree.image = tmp_path, empty, ""
    done = tree.apply()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"apply: {empty} holds no installed system: there is no {empty}/etc/os-release\n"
    (empty / "etc").mkdir()
    (empty / "etc/os-release").write_text("ID=debian\n")
    assert "has no systemd" in tree.apply().stderr
    for path in ("usr/lib/systemd/systemd", "usr/bin/python3", "var/lib/etcd/member/snap/db"):
        (empty / path).parent.mkdir(parents=True, exist_ok=True)
        (empty / path).touch(0o755)
    assert f"apply: {empty} is a machine of a cluster, with files in {empty}/var/lib/etcd: " in tree.apply().stderr
    assert (empty / "var/lib/etcd/member/snap/db").exists()
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(small)], check=True)
    try:
        for path in ("etc/os-release", "usr/lib/systemd/systemd", "usr/bin/python3"):
            (small / path).parent.mkdir(parents=True, exist_ok=True)
            (small / path).touch(0o755)
        tree.root = small
        assert re.search(r"apply: only \d+ MiB are free at", tree.apply().stderr)
    finally:
        subprocess.run(["umount", str(small)], check=True)
