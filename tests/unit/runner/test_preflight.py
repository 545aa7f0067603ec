"""Preflight: each check's real condition is made to fail, and its name read in the report of the shipped runner."""

import gzip
import hashlib
import io
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests import clusters
from tests.components import debian
from tests.unit.runner import scratch
from tests.unit.runner.scratch import PYTHONS, Scratch

from kgen.facts import preflight_rows
from kgen.facts.versions import Version
from kgen.firstboot import preflight
from kgen.model import Argument, Component

CONTROLLERS = "sys/fs/cgroup/cgroup.controllers"
CGROUPS_V1 = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n" + "".join(
    f"{name}\t{number}\t1\t1\n"
    for number, name in enumerate(["cpuset", "cpu", "cpuacct", "memory", "devices", "freezer", "pids"], start=2)
)
CONFIG = f"boot/config-{os.uname().release}"
PROGRAMS = ("losetup", "mount", "cp", "kubelet")

# In a network of its own, as root there: the addresses given, and who listens where.
INSIDE = """
import os, socket, subprocess, sys
addresses, listeners, command = eval(sys.argv[1]), eval(sys.argv[2]), sys.argv[3:]
for address in ("127.0.0.1/8", *addresses):
    subprocess.run(["ip", "address", "add", address, "dev", "lo"], check=True)
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
kept = [socket.create_server(tuple(each), family=10 if ":" in each[0] else 2) for each in listeners]
sys.exit(subprocess.run(command).returncode)
"""


@contextmanager
def machine_of(role="master", python=None, **changes):
    """Give a machine with nothing to find fault with, in a directory whose name is short enough for sockets."""
    payload = scratch.default_payloads()[role]
    soon = {"server": "https://127.0.0.1:1", "waitFactor": 0.0001} if role == "node" else {}
    body = scratch.body_for_this_host(payload, **soon, **changes)
    command = [python, "-I"] if python else (sys.executable, "-I", "-S")
    with tempfile.TemporaryDirectory(prefix="kgen-") as directory:
        yield Scratch(Path(directory), body, command)


@pytest.fixture
def machine():
    with machine_of() as made:
        yield made


@pytest.fixture
def node():
    with machine_of("node") as made:
        yield made


def report(machine, before=(), **options):
    """Return severity → the names found, of one run of preflight; what it is called with stands before."""
    command = [*before, *machine.python, str(machine.runner), "--root", str(machine.root), "--kubelet-command", "false"]
    environment = {**os.environ, "PATH": f"{machine.root}/programs:{os.environ['PATH']}"}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, env=environment, **options
    )
    found = {"error": [], "warning": [], "lines": done.stdout}
    for severity, name in re.findall(r"^(error|warning) ([\w.-]+): ", done.stdout, re.MULTILINE):
        found[severity].append(name)
    status = machine.status()
    found["stopped"] = status["step"] == "preflight" and status["exit_code"] == 2
    assert found["stopped"] == bool(found["error"]), done.stdout
    if found["stopped"]:
        for line in re.findall(r"^error (.*)$", done.stdout, re.MULTILINE):
            assert line in status["error"]
    return found


def errors(machine, *before, **options):
    return report(machine, before, **options)["error"]


def warnings(machine, *before, **options):
    return [name for name in report(machine, before, **options)["warning"] if name not in ("CRI", "Hostname")]


def network(addresses=(), listeners=()):
    """Return the command that runs another one as root of a network with these addresses and listeners."""
    inside = [sys.executable, "-I", "-c", INSIDE, repr(list(addresses)), repr(list(listeners))]
    return ["unshare", "--user", "--map-root-user", "--net", *inside]


@pytest.mark.parametrize("role", ["master", "node"])
@pytest.mark.parametrize("suite", PYTHONS)
def test_a_prepared_machine_passes(role, suite):
    with machine_of(role, suite and debian.python(suite)) as machine:
        found = report(machine)
        assert found["error"] == []
        assert set(found["warning"]) <= {"CRI", "Hostname"}


@pytest.mark.parametrize("suite", PYTHONS)
def test_everything_wrong_is_in_one_report(suite):
    with machine_of("master", suite and debian.python(suite), addresses=["192.0.2.1"], name="another") as machine:
        (machine.root / CONTROLLERS).unlink()
        (machine.root / "lib/systemd/system/kubelet.service").unlink()
        for program in PROGRAMS:
            (machine.root / "usr/bin" / program).unlink()
        machine.put("proc/cgroups", "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t2\t1\t1\n")
        machine.put("proc/meminfo", "MemTotal:        1048576 kB\n")
        machine.put("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/dev/vdb\tpartition\t1048572\t0\t-2\n")
        machine.put("etc/kgen/image.json", '{"kubernetesVersion": "v1.37.1"}')
        machine.put("etc/kubernetes/kubelet.conf", "")
        machine.put("var/lib/etcd/member/snap/db", "")
        found = report(machine)
    assert set(found["error"]) == {
        "DirAvailable--var-lib-etcd",
        "FileAvailable--etc-kubernetes-kubelet.conf",
        *(f"FileExisting-{program}" for program in PROGRAMS[:3]),
        "KgenAddress",
        "KgenImage",
        "KgenNodeName",
        "KgenSwap",
        "KubeletVersion",
        "Mem",
        "Service-Kubelet",
        "SystemVerification",
    }


def test_one_cpu_is_too_few_for_a_master(machine, node):
    one = ["taskset", "--cpu-list", str(min(os.sched_getaffinity(0)))]
    assert errors(machine, *one) == ["NumCPU"]
    assert errors(node, *one) == []


def test_memory_of_a_master(machine, node):
    for made in (machine, node):
        made.put("proc/meminfo", f"MemTotal: {1699 * 1024 + 1023} kB\n")
    assert errors(machine) == ["Mem"]
    assert errors(node) == []
    machine.put("proc/meminfo", f"MemTotal: {1700 * 1024} kB\n")
    assert errors(machine) == []


def test_swap_is_an_error_where_the_kubelet_refuses_it():
    listing = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/swapfile file\t\t4194300\t\t0\t\t-2\n"
    with machine_of("node") as machine:
        machine.put("proc/swaps", listing)
        found = report(machine)
        assert found["error"] == ["KgenSwap"]
        assert "/swapfile" in found["lines"]
    files = scratch.body_for_this_host(scratch.default_payloads()["node"])["files"]
    for path, text in (
        ("/var/lib/kubelet/config.yaml", "failSwapOn: false\n"),
        ("/var/lib/kubelet/kubeadm-flags.env", 'KUBELET_KUBEADM_ARGS="--fail-swap-on=false"\n'),
    ):
        changed = [
            [name, mode, when, [text, *content] if name == path else content] for name, mode, when, content in files
        ]
        with machine_of("node", files=changed) as machine:
            machine.put("proc/swaps", listing)
            assert errors(machine) == []
            assert warnings(machine) == []
            (machine.root / scratch.STATE).unlink()
            for written in machine.tree():
                (machine.root / written[1:]).unlink()
            assert warnings(machine) == ["Swap"]


def test_leftovers_of_another_cluster_are_errors(machine, node):
    for path in ("manifests/kube-apiserver.yaml", "manifests/kube-controller-manager.yaml", "manifests/etcd.yaml"):
        machine.put(f"etc/kubernetes/{path}", "")
    for path in ("manifests/kube-scheduler.yaml", "kubelet.conf", "pki/ca.crt", "pki/sa.pub"):
        machine.put(f"etc/kubernetes/{path}", "")
        node.put(f"etc/kubernetes/{path}", "")
    node.put("etc/kubernetes/bootstrap-kubelet.conf", "")
    names = [
        f"manifests-{name}.yaml" for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
    ]
    prefix = "FileAvailable--etc-kubernetes-"
    assert sorted(errors(machine)) == sorted(prefix + name for name in (*names, "kubelet.conf", "pki-ca.crt"))
    assert sorted(errors(node)) == [prefix + name for name in ("bootstrap-kubelet.conf", "kubelet.conf", "pki-ca.crt")]


def test_data_of_another_etcd():
    etcd = scratch.default_payloads()["master"].parameters["etcd"]
    with machine_of(etcd={**etcd, "dataDir": "/srv/etcd-data"}) as machine:
        (machine.root / "srv/etcd-data").mkdir(parents=True)
        assert errors(machine) == []
        (machine.root / scratch.STATE).unlink()
        for written in machine.tree():
            (machine.root / written[1:]).unlink()
        machine.put("srv/etcd-data/member/snap/db", "")
        found = report(machine)
        assert found["error"] == ["DirAvailable--srv-etcd-data"]


def test_a_firewall_is_a_warning_that_names_the_ports():
    with machine_of(ports=[["", 6443], ["", 10250]]) as machine:
        (machine.root / "sys/fs/cgroup/system.slice/firewalld.service").mkdir(parents=True)
        found = report(machine, network(["127.0.0.2/8"]))
        assert "Firewalld" in found["warning"]
        assert "6443, 10250" in found["lines"]
        assert not found["stopped"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_missing_program(node, program):
    (node.root / "usr/bin" / program).chmod(0o644)
    assert errors(node) == ["KubeletVersion" if program == "kubelet" else f"FileExisting-{program}"]


def test_a_missing_kubelet_unit(node):
    unit = node.root / "lib/systemd/system/kubelet.service"
    unit.unlink()
    assert errors(node) == ["Service-Kubelet"]
    node.put("etc/systemd/system/kubelet.service", "")
    assert errors(node) == []


def test_an_image_of_another_version(node):
    node.put("etc/kgen/image.json", '{"kubernetesVersion": "v1.36.3", "other": 1}')
    found = report(node)
    assert found["error"] == ["KgenImage"]
    assert "v1.36.3" in found["lines"]
    assert "v1.37.2" in found["lines"]
    node.put("etc/kgen/image.json", '{"kubernetesVersion": "v1.37.2", "other": 1}')
    assert errors(node) == []


def test_the_hostname_and_whether_it_resolves():
    with machine_of("node", name="no-such-machine") as machine:
        found = report(machine, network())
        assert found["error"] == ["KgenNodeName"]
        assert "Hostname" in found["warning"]
        assert "hostnamectl set-hostname no-such-machine" in found["lines"]


def test_an_address_that_is_not_there():
    with machine_of("node", addresses=["192.0.2.1", "2001:db8::1"]) as machine:
        assert errors(machine, *network()) == ["KgenAddress", "KgenAddress"]
        assert errors(machine, *network(["192.0.2.1/32", "2001:db8::1/128"])) == []


WAITS = "kgen: waiting for this machine, at most 12 s: "


def once_it_waits(machine, command):
    """Return the words before a program that does ``command`` as soon as the machine's first boot waits."""
    waits = f"grep -qs waiting {machine.root / scratch.STATUS} || ! test -d {machine.root}"
    return ["sh", "-c", f'(until {waits}; do sleep 0.05; done; {command}) & exec "$@"', "sh"]


def test_an_address_that_comes_late_is_waited_for_with_its_port():
    ports = [["192.0.2.1", 7001], ["192.0.2.2", 7002]]
    with machine_of(addresses=["192.0.2.1"], ports=ports, waitFactor=0.1) as machine:
        late = once_it_waits(machine, "ip address add 192.0.2.1/32 dev lo")
        found = report(machine, [*network(["192.0.2.2/32"]), *late])
        assert found["error"] == []
        assert WAITS + "KgenAddress: 192.0.2.1 is not on this machine" in found["lines"]
        assert machine.steps()[0] == "preflight"


def test_a_port_on_an_address_that_is_not_there_may_pass(node):
    node.body |= {"ports": [["192.0.2.1", 7001]], "waitFactor": 0.01}
    node.deliver(node.body)
    found = report(node, network())
    assert found["error"] == ["KgenAddress"]
    assert "waiting for this machine, at most 1.2 s: KgenAddress: 192.0.2.1 is not on this machine" in found["lines"]


def test_a_hostname_that_is_set_late_is_waited_for():
    with machine_of(name="late", waitFactor=0.1) as machine:
        found = report(machine, [*network(), "unshare", "--uts", *once_it_waits(machine, "hostname late")])
        assert found["error"] == []
        assert WAITS + f"KgenNodeName: hostname is {scratch.HOST}, not late" in found["lines"]


def ports_of(minor, **changes):
    cluster = replace(clusters.one_master(), kubernetes_version=Version(1, minor, 0), **changes)
    return preflight.parameters(cluster, cluster.machines[0])["ports"]


ALL_PORTS = [6443, 10259, 10257, 2379, 2380, 10250]


@pytest.mark.parametrize(
    ("minor", "address", "taken"),
    [
        (36, "127.0.0.5", ALL_PORTS),
        (36, "::1", ALL_PORTS),
        (36, "10.0.0.11", ALL_PORTS),
        (37, "127.0.0.5", [6443, 10259, 10257, 10250]),
        (37, "::1", [6443, 10259, 10257, 10250]),
        (37, "10.0.0.11", ALL_PORTS),
        (37, "127.0.0.1", [6443, 10259, 10257, 2379, 10250]),
    ],
)
def test_a_port_that_is_taken(minor, address, taken):
    inside = network(["10.0.0.11/32"], [(address, port) for port in ALL_PORTS])
    with machine_of(ports=ports_of(minor), addresses=["10.0.0.11"]) as machine:
        assert errors(machine, *inside) == [f"Port-{port}" for port in taken]


def test_a_port_where_the_cluster_file_puts_its_program():
    scheduler = Component(extra_args=(Argument("bind-address", "10.0.0.12"),))
    for minor, taken in ((36, ["Port-10259"]), (37, [])):
        with machine_of(ports=ports_of(minor, scheduler=scheduler), addresses=["10.0.0.11"]) as machine:
            inside = network(["10.0.0.11/32", "10.0.0.12/32"], [("10.0.0.11", 10259)])
            assert errors(machine, *inside) == taken


def test_a_node_needs_the_port_of_its_kubelet(node):
    node.body["ports"] = scratch.default_payloads()["node"].parameters["ports"]
    node.deliver(node.body)
    assert errors(node, *network(["127.0.0.2/8"], [("127.0.0.1", 10250), ("127.0.0.1", 6443)])) == ["Port-10250"]


def kernel_of(minor):
    cluster = replace(clusters.one_master(), kubernetes_version=Version(1, minor, 0))
    return preflight.parameters(cluster, cluster.machines[0])["kernel"]


@pytest.mark.parametrize(("minor", "severity"), [(33, "error"), (34, "warning"), (37, "warning")])
def test_an_old_kernel(minor, severity):
    with machine_of(kernel=kernel_of(minor)) as machine:
        release = subprocess.run(
            ["setarch", "--uname-2.6", "uname", "-r"], capture_output=True, text=True
        ).stdout.strip()
        assert release.startswith("2.6.")
        (machine.root / CONFIG).rename(machine.root / f"boot/config-{release}")
        found = report(machine, ["setarch", "--uname-2.6"])
        assert "SystemVerification" in found[severity]
        assert f"kernel {release}" in found["lines"]


@pytest.mark.parametrize(
    ("release", "minors"),
    [
        ("4.18.0-553.el8", []),
        ("4.19.0-27-amd64", [33]),
        ("5.4.0", [33, 34]),
        ("5.5.19", [33]),
        ("5.14.0-503.el9", [33]),
        ("5.15.0-91-generic", [33, 34]),
        ("6.1.0-31-amd64", [33, 34]),
        ("7.2.4-cloud-amd64", [33, 34]),
        ("10.0.1", [33, 34]),
    ],
)
def test_kernels_that_the_rows_take(release, minors):
    assert [
        minor for minor in (33, 34) if re.match(preflight_rows.row_of(Version(1, minor, 0)).kernels, release)
    ] == minors


@pytest.mark.parametrize(("minor", "severity"), [(33, "warning"), (34, "warning"), (35, "error"), (37, "error")])
def test_control_groups_of_version_1(minor, severity):
    with machine_of("node", kernel=kernel_of(minor)) as machine:
        (machine.root / CONTROLLERS).unlink()
        machine.put("proc/cgroups", CGROUPS_V1)
        found = report(machine)
        assert found[severity].count("SystemVerification") == 1
        assert "cgroup v1" in found["lines"]
        assert "lacks" not in found["lines"]


def test_a_controller_of_version_1_that_is_switched_off():
    with machine_of("node", kernel=kernel_of(33)) as machine:
        (machine.root / CONTROLLERS).unlink()
        machine.put("proc/cgroups", CGROUPS_V1.replace("memory\t5\t1\t1", "memory\t5\t1\t0"))
        found = report(machine)
        assert "SystemVerification" in found["error"]
        assert "lacks memory" in found["lines"]


def test_a_controller_of_version_2_that_is_missing(node):
    node.put(CONTROLLERS, "cpuset cpu io hugetlb rdma misc\n")
    found = report(node)
    assert found["error"] == ["SystemVerification"]
    assert "lacks memory pids" in found["lines"]


@pytest.mark.parametrize("minor", [34, 37])
@pytest.mark.parametrize("place", [CONFIG, "proc/config.gz", f"usr/lib/modules/{os.uname().release}/config"])
def test_a_kernel_built_without_something(place, minor):
    with machine_of("node", kernel=kernel_of(minor)) as machine:
        text = (machine.root / CONFIG).read_text()
        (machine.root / CONFIG).unlink()
        lacking = text.replace("CONFIG_CGROUP_BPF=y", "# CONFIG_CGROUP_BPF is not set").replace("CONFIG_PID_NS=y\n", "")
        machine.put(place, "")
        path = machine.root / place
        path.write_bytes(gzip.compress(lacking.encode()) if place.endswith("gz") else lacking.encode())
        found = report(machine)
        assert found["error"] == ["SystemVerification"]
        assert ("lacks CGROUP_BPF PID_NS\n" if minor == 37 else "lacks PID_NS\n") in found["lines"]
        path.write_bytes(gzip.compress(text.encode()) if place.endswith("gz") else text.encode())
        assert errors(machine) == []


def test_a_kernel_without_a_config_file_is_an_error(node):
    (node.root / CONFIG).unlink()
    found = report(node)
    assert found["error"] == ["SystemVerification"]
    assert f"boot/config-{os.uname().release}" in found["lines"]


def contained(tree, name):
    """Return the command that runs a program of an unpacked Debian tree with the tree's own libraries."""
    loader = next((tree / "usr/lib").glob("*/ld-linux*.so.*"))
    return [loader, "--library-path", loader.parent, tree / "usr/bin" / name]


@contextmanager
def containerd(machine, suite, more=""):
    """Run the containerd of ``suite`` where the machine's kubelet looks for it; give a function that calls ctr."""
    tree = debian.root("containerd", suite, ["containerd", "runc"])
    run = machine.root / "var/run/containerd"
    run.mkdir(parents=True)
    config = machine.root / "etc/containerd/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(
        f'version = 2\nroot = "{machine.root}/containerd"\nstate = "{run}/state"\n{more}\n'
        f'[grpc]\naddress = "{run}/containerd.sock"\n[ttrpc]\naddress = "{run}/containerd.sock.ttrpc"\n'
        "[debug]\nlevel = 'warn'\n"
    )
    # Its own mounts: it wants its directories to be mount points.
    private = ["unshare", "--mount", "--propagation", "private"]
    if os.geteuid():
        private = ["unshare", "--user", "--map-root-user", "--mount"]
    log = machine.root / "containerd.log"
    path = f"{tree}/usr/sbin:{tree}/usr/bin:{os.environ['PATH']}"
    for name in ("ctr", "containerd"):
        words = shlex.join(map(str, contained(tree, name)))
        machine.put(f"programs/{name}", f'#!/bin/sh\nexec {words} "$@"\n')
        (machine.root / "programs" / name).chmod(0o755)
    with log.open("w") as output:
        daemon = subprocess.Popen(
            [*private, *contained(tree, "containerd"), "--config", config],
            stdout=output,
            stderr=output,
            env={**os.environ, "PATH": path},
        )

    def ctr(*words):
        command = [*contained(tree, "ctr"), "--address", run / "containerd.sock", *words]
        return subprocess.run(command, capture_output=True, text=True)

    try:
        deadline = time.monotonic() + 60
        while ctr("version").returncode:
            assert daemon.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield ctr
    finally:
        daemon.terminate()
        daemon.wait()


@contextmanager
def machine_with_containerd(suite, role="node", more="", **changes):
    with (
        machine_of(role, ignorePreflightErrors=[], **changes) as machine,
        containerd(machine, suite, more) as ctr,
    ):
        yield machine, ctr


def of_the_runtime(found, severity):
    names = ("CRI", "ContainerRuntimeVersion", "ImagePull")
    return [name for name in found[severity] if name in names]


def test_no_container_runtime(node):
    node.body["ignorePreflightErrors"] = []
    node.deliver(node.body)
    found = report(node)
    assert found["error"] == ["CRI"]
    assert "CRI: /var/run/containerd/containerd.sock: [Errno 2] No such file" in found["lines"]
    socket_path = node.root / "var/run/containerd/containerd.sock"
    socket_path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(socket_path))
        found = report(node)
    assert found["error"] == ["CRI"]
    assert "Connection refused" in found["lines"]


def until_it_waits(machine):
    status = machine.root / scratch.STATUS
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (status.exists() and "waiting" in status.read_text()):
        time.sleep(0.05)


def test_a_runtime_that_starts_late_is_waited_for(machine):
    machine.body.update(ignorePreflightErrors=[], waitFactor=0.1)
    machine.deliver(machine.body)
    path = machine.root / "var/run/containerd/containerd.sock"
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        started = threading.Thread(target=lambda: (until_it_waits(machine), listener.listen()))
        started.start()
        found = report(machine)
        started.join()
    assert found["error"] == []
    assert WAITS + "CRI: /var/run/containerd/containerd.sock" in found["lines"]


@pytest.mark.real
@pytest.mark.parametrize("suite", ["bookworm", "trixie", "forky"])
def test_a_runtime_without_its_cri_plugin(suite):
    with machine_with_containerd(suite, more='disabled_plugins = ["io.containerd.grpc.v1.cri"]') as (machine, _):
        found = report(machine)
        assert found["error"] == ["CRI"]
        assert "disabled_plugins" in found["lines"]


SYSTEMD = """
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = true
"""


@pytest.mark.real
@pytest.mark.parametrize(
    ("suite", "minor", "more", "warned"),
    [
        ("bookworm", 37, "", ["ContainerRuntimeVersion", "CRI"]),
        ("bookworm", 33, "", ["CRI"]),
        ("bookworm", 37, SYSTEMD, ["ContainerRuntimeVersion"]),
        ("trixie", 34, SYSTEMD, []),
        ("forky", 37, SYSTEMD, []),
    ],
)
def test_a_runtime_is_asked_what_it_knows(suite, minor, more, warned):
    asks = preflight_rows.row_of(Version(1, minor, 0)).asks_runtime_config
    with machine_with_containerd(suite, more=more, runtimeConfig=asks) as (machine, _):
        found = report(machine)
        assert found["error"] == []
        assert of_the_runtime(found, "warning") == warned


def put_image(ctr, directory, name):
    """Import an image of one empty layer under ``name``; the CRI plugin learns of it by itself."""
    layer = io.BytesIO()
    tarfile.open(fileobj=layer, mode="w").close()
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]}}
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    files = {"manifest.json": json.dumps(manifest).encode(), "config.json": json.dumps(config).encode()}
    with tarfile.open(directory / "image.tar", "w") as archive:
        for member, data in {**files, "layer.tar": layer.getvalue()}.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    done = ctr("--namespace", "k8s.io", "images", "import", "--no-unpack", directory / "image.tar")
    assert done.returncode == 0, done.stderr


@pytest.mark.real
@pytest.mark.parametrize("suite", ["bookworm", "forky"])
def test_images_that_are_missing(suite, tmp_path):
    sandbox = '[plugins."io.containerd.grpc.v1.cri"]\nsandbox_image = "registry.k8s.io/pause:3.10.2"\n' + SYSTEMD
    with machine_with_containerd(suite, "master", sandbox) as (machine, ctr):
        # A registry with a port; one without a tag, which is no reference; names that containerd completes.
        own = ["example.com:5000/a/b:v1", "example.com:5000/a", "busybox:1", f"there/{'x' * 200}:v1"]
        put_image(ctr, tmp_path, "docker.io/" + own[3])
        machine.body["objects"].append(["/pods", {"containers": [{"image": image} for image in own]}, [], None])
        machine.deliver(machine.body)
        found = report(machine)
        assert found["error"] == []
        wanted = re.findall("^warning ImagePull: (.*) is not on this machine$", found["lines"], re.MULTILINE)
        names = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "coredns/coredns", "kube-proxy"]
        expected = [f"registry.k8s.io/{name}" for name in [*names, "pause"]]
        assert own[0] in wanted
        assert sorted(image.partition(":")[0] for image in wanted) == sorted([*expected, "busybox", "example.com"])
        (machine.root / scratch.STATE).unlink()
        for written in machine.tree():
            if not written.startswith("/etc/containerd/"):
                (machine.root / written[1:]).unlink()
        for image in wanted[1:]:
            put_image(ctr, tmp_path, "docker.io/library/busybox:1" if image == "busybox:1" else image)
        machine.body["pull"] = False
        machine.deliver(machine.body)
        deadline = time.monotonic() + 30
        while report(machine)["error"] != ["ImagePull"]:
            assert time.monotonic() < deadline, report(machine)["lines"]
        assert machine.status()["error"] == f"ImagePull: {wanted[0]} is not on this machine"


def test_a_kernel_without_swap_has_none_on(node):
    (node.root / "proc/swaps").unlink()
    assert report(node)["error"] == []
