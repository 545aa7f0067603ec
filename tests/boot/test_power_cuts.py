"""A first boot whose power is cut again and again ends as if it never had been: one cluster, nothing lost, no rest.

QEMU is killed. What the guest has flushed is in its disk's file; what it has not is lost, for QEMU writes its tables of
a growing disk only when the guest flushes. ``cache=unsafe`` changes nothing of this: it spares the host's own disk.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import re
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import pytest
import yaml

from kgen.runner import master
from kgen.runner.loop import ONCE
from tests.boot.clusters import Cluster, chosen_seed
from tests.boot.host import host, report, scaled
from tests.boot.machines import Machine, Segment
from tests.components import machine_image

MASTER = 11
# A single emulated master misses the deadlines of leader election, and does not need one.
CLUSTER = """\
apiVersion: kgen/v1
name: cuts
kubernetesVersion: v1.37.2
image: {{runner: {runner}}}
networking: {{podSubnet: 10.244.0.0/16}}
controllerManager: {{extraArgs: [{{name: leader-elect, value: "false"}}]}}
scheduler: {{extraArgs: [{{name: leader-elect, value: "false"}}]}}
users: [{{name: ops, sudo: "ALL=(ALL) NOPASSWD:ALL", ssh_authorized_keys: ["{key}"]}}]
machines:
  - {{name: m1, role: master, address: 10.88.0.11}}
"""
KEY = f"ssh-ed25519 {'A' * 68} test-only"
BOOT_SECONDS = 1500
RECORDED = [step.__name__.replace("_", "-") for step, when in master.STEPS if when == ONCE]
STEPS = [step.__name__.replace("_", "-") for step, _ in master.STEPS]
STEPS = STEPS[STEPS.index("preflight") :]
CLOCK = "kgen: clock "  # of the steps that run at every boot, the last
BOOTED = "finished at"  # cloud-init's last word; it waits for the runner
# The power-on, and what the console shows when cloud-init looks for its data and works on it; seconds from there in
# which the runner has not started yet, on a host of the usual pace.
BEFORE = {"": 12, "running 'init-local'": 5, "running 'init'": 2}
# Steps that take a while or leave much behind; about the seconds that a machine needs for them, at the usual pace.
INSIDE = {
    "files": 1,
    "etcd": 20,
    "apiserver": 40,
    "publish": 8,
    "controllers-healthy": 15,
    "kubelet-finalize": 10,
    "cleanup": 0.3,
}


@dataclass(frozen=True)
class Cut:
    """When the power goes: so many seconds after this boot has shown ``mark``, a pattern, or begins after it."""

    mark: str
    seconds: float = 0

    def due(self, earlier: str, console: str) -> bool:
        """Whether ``console``, of this boot, has come there, after ``earlier`` boots, or to an end without it."""
        resumed = self.mark.startswith("kgen: ") and re.search(self.mark, earlier) and CLOCK in console
        return bool(re.search(self.mark, console) or resumed or BOOTED in console)


def after(step: str) -> Cut:
    """The end of a step: it is recorded, and the next one has hardly begun."""
    return Cut(rf"kgen: {step} \d")


def before(chance: random.Random, mark: str) -> Cut:
    """A random moment before the runner starts."""
    return Cut(mark, round(chance.uniform(0, BEFORE[mark]) * host().pace, 2))


def inside(chance: random.Random, step: str) -> Cut:
    """A random moment after the step before this one has ended."""
    return Cut(after(STEPS[STEPS.index(step) - 1]).mark, round(chance.uniform(0, INSIDE[step]) * host().pace, 2))


def few(chance: random.Random) -> list[Cut]:
    """One cut before the runner starts, one inside of a step."""
    step = chance.choice(["apiserver", "publish", "kubelet-finalize", "cleanup"])
    return [before(chance, chance.choice([*BEFORE])), inside(chance, step)]


def between(chance: random.Random) -> list[Cut]:
    """A cut after each step."""
    return [after(step) for step in STEPS]


def anywhere(chance: random.Random) -> list[Cut]:
    """Cuts in each stage before the runner starts, then inside of every step that takes a while."""
    return [before(chance, mark) for mark in BEFORE] + [inside(chance, step) for step in INSIDE]


class Witness:
    """Who asks the API server all the time and remembers what it was shown: that must be there in the end."""

    COLLECTIONS = ("namespaces", "nodes", "secrets", "configmaps", "serviceaccounts", "services")

    def __init__(self, cluster: Cluster) -> None:
        """Nothing has been seen."""
        self.cluster = cluster
        self.seen: dict[str, set[str]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(3):
            try:
                self.look()
            except (AssertionError, ValueError, subprocess.TimeoutExpired):
                continue  # not up, or cut in the middle of an answer

    def look(self) -> dict[str, str]:
        """Return the uid of everything there is, by kind and name, and remember it."""
        # One process and one connection: TLS handshakes would keep an emulated processor busy.
        timeout = f"--request-timeout={scaled(20):.0f}s"
        found = {}
        for each in self.cluster.get(",".join(self.COLLECTIONS), "--all-namespaces", timeout)["items"]:
            metadata = each["metadata"]
            name = f"{each['kind']} {metadata.get('namespace', '')}/{metadata['name']}"
            found[name] = metadata["uid"]
            self.seen.setdefault(name, set()).add(metadata["uid"])
        return found


@dataclass
class End:
    """A machine that has come to its end after its power was cut, and what was seen of its cluster on the way."""

    cluster: Cluster
    machine: Machine
    witness: Witness

    @property
    def document(self) -> dict[str, Any]:
        """The user-data that the machine was given."""
        found: dict[str, Any] = yaml.safe_load((self.cluster.outputs / "user-data/m1.yaml").read_text(encoding="utf-8"))
        return found

    @property
    def payload(self) -> dict[str, Any]:
        """payload.json of the document."""
        (text,) = (each["content"] for each in self.document["write_files"] if each["path"].endswith("/payload.json"))
        found: dict[str, Any] = json.loads(text)
        return found


@pytest.fixture(
    scope="module",
    params=[
        (few, "embedded"),
        pytest.param((few, "baked"), marks=pytest.mark.soak),
        pytest.param((between, "embedded"), marks=pytest.mark.soak),
        pytest.param((anywhere, "baked"), marks=pytest.mark.soak),
    ],
    ids=lambda param: f"{param[0].__name__}-{param[1]}",
)
def end(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[End]:
    """A master whose power was cut by plan, then left alone until its runner was done."""
    plan, runner = request.param
    seed = chosen_seed()
    cuts = plan(random.Random(f"{seed} {runner}"))
    report(f"seed {seed}: {len(cuts)} cuts, runner {runner}")
    with Segment("cuts") as segment:
        cluster = Cluster(segment, tmp_path_factory.mktemp("cuts"), CLUSTER.format(runner=runner, key=KEY))
        disk = machine_image.PLAIN_DISK if runner == "embedded" else machine_image.DISK
        machine = cluster.machine("m1", MASTER, disk=disk)
        with Witness(cluster) as witness:
            end = End(cluster, machine, witness)
            for cut in cuts:
                boot(end, cut)
            earlier = len(machine.console())
            machine.power_on()
            machine.wait_for("end of the first boot", lambda: finished(machine, earlier), BOOT_SECONDS)
            report(f"done {time.monotonic() - machine.powered_on:.0f} s after the last power-on")
            # The last boot may have had nothing to wait for.
            cluster.until(
                "apiserver that knows its rules", lambda: cluster.kubectl("auth", "can-i", "*", "*") == "yes\n"
            )
        yield end


def boot(end: End, cut: Cut) -> None:
    """Power the machine on, and cut its power when the moment has come."""
    machine = end.machine
    earlier = machine.console()
    machine.power_on()
    seconds = scaled(BOOT_SECONDS)
    deadline = time.monotonic() + seconds
    while not cut.due(earlier, machine.console()[len(earlier) :]):
        assert time.monotonic() < deadline, f"no {cut.mark!r} in {seconds:.0f} s:\n{machine.console()[-4000:]}"
        assert_no_failure(machine, len(earlier))
        time.sleep(0.02)
    time.sleep(cut.seconds)
    machine.kill()
    seconds = time.monotonic() - machine.powered_on
    shown = ["nothing", *re.findall(r"kgen: \S+|running '\S+'", machine.console()[len(earlier) :])]
    report(f"cut {seconds:.0f} s after power-on, {cut.seconds} s after {cut.mark!r}; the last shown was {shown[-1]!r}")


def assert_no_failure(machine: Machine, earlier: int) -> None:
    """Whoever has only lost power needs nobody to repair anything."""
    console = machine.console()[earlier:]
    assert not re.search(r"kgen: \S+ failed", console), console[-4000:]


def finished(machine: Machine, earlier: int) -> bool:
    """Whether this boot has come to its end: cloud-init is through, the runner is done, and what comes after it."""
    assert_no_failure(machine, earlier)
    settled = (
        "test -e /var/lib/kgen/done && ! systemctl is-active --quiet kgen-firstboot kgen-later"
        " && ! systemctl list-jobs | grep -q kgen-"
    )
    return BOOTED in machine.console()[earlier:] and machine.shell(settled).returncode == 0


def guest_tree(machine: Machine) -> dict[str, tuple[str, str, bytes]]:
    """Return mode, owner and content of every file of kgen's and kubeadm's directories on the machine, by path."""
    tops = "etc/kubernetes etc/kgen etc/modules-load.d etc/sysctl.d var/lib/kgen run/kgen"
    script = (
        f"cd / && tar --create --gzip {tops} $(find var/lib/kubelet -maxdepth 1 -type f) 2>/dev/null | base64 --wrap=0"
    )
    data = base64.b64decode(machine.shell(script).stdout)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {
            each.name: (f"{each.mode:o}", f"{each.uname}:{each.gname}", _content(archive, each))
            for each in archive
            if each.isfile()
        }


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None
    return file.read()


def test_files_are_those_of_the_review_tree(end: End) -> None:
    review = end.cluster.outputs / "nodes/m1"
    found = guest_tree(end.machine)
    assert (review / "etc/kubernetes/manifests/kube-apiserver.yaml").is_file()
    for path in sorted(path for path in review.rglob("*") if path.is_file()):
        name = str(path.relative_to(review))
        assert name in found, f"missing on the machine: {name}"
        mode, owner, content = found[name]
        assert (mode, owner) == (f"{path.stat().st_mode & 0o7777:o}", "root:root"), name
        expected = path.read_bytes()
        if name == "var/lib/kubelet/config.yaml":
            expected += b"resolvConf: /run/systemd/resolve/resolv.conf\n"
        if name == "etc/kubernetes/kubelet.conf":
            current = b"/var/lib/kubelet/pki/kubelet-client-current.pem"
            assert yaml.safe_load(content)["users"][0]["user"] == {
                "client-certificate": current.decode(),
                "client-key": current.decode(),
            }
        else:
            assert content == expected, f"other content: {name}"
    expected_names = {str(path.relative_to(review)) for path in review.rglob("*") if path.is_file()}
    assert {name for name in found if name.startswith("etc/kubernetes/")} <= expected_names
    hidden = [name for name in found if name.rpartition("/")[2].startswith(".")]
    ours = [name for name in hidden if not re.fullmatch(r"var/lib/kubelet/\.\d+", name)]  # those are the kubelet's own
    assert ours == [], "half-written files"


def test_runner_is_done_and_has_removed_its_secrets(end: End) -> None:
    found = guest_tree(end.machine)
    payload = end.payload
    record = json.loads(found["var/lib/kgen/done"][2])
    assert record.pop("files") == [file[0] for file in payload["body"]["files"]]
    assert record == {"payload": payload["sha256"], "hostname": "m1", "pool": None}
    (steps,) = json.loads(found["var/lib/kgen/state.json"][2]).values()
    assert list(steps) == RECORDED
    left = [name for name in found if name.startswith("etc/kgen/")]
    assert left == ["etc/kgen/image.json"], "the payload is still there"
    secret = payload["body"]["blobs"]["ca.key"][1]
    assert len(secret) > 100
    where = "/etc /run /var/lib/cloud /var/lib/kgen /var/log /tmp /root"
    # In two pieces: the guest agent logs what it runs.
    pattern = f'"$(printf %s%s {secret[:50]} {secret[50:100]})"'
    copies = end.machine.shell(f"grep -r -l --fixed-strings {pattern} {where}")
    assert (copies.returncode, copies.stdout) == (1, ""), f"copies of the payload:\n{copies.stdout}{copies.stderr}"
    copies = end.machine.shell("find /var/lib/cloud/instances -name 'user-data*'").stdout.split()
    assert copies, "cloud-init keeps its copies elsewhere"
    kept = end.machine.shell("find /var/lib/cloud/instances -name 'user-data*' -size +0")
    assert kept.stdout == ""


def test_the_kernel_is_set_as_the_files_of_this_boot_say(end: End) -> None:
    settings = end.machine.shell("cat /etc/sysctl.d/kgen.conf").stdout.splitlines()
    names = [line.partition(" = ")[0] for line in settings]
    assert "net.ipv4.ip_forward" in names
    assert end.machine.shell(f"sysctl {' '.join(names)}").stdout.splitlines() == settings
    assert end.machine.shell("ls -d $(sed s:^:/sys/module/: /etc/modules-load.d/kgen.conf)").returncode == 0


def test_the_users_can_log_in(end: End) -> None:
    found = end.machine.shell("cat ~ops/.ssh/authorized_keys /etc/sudoers.d/*").stdout.splitlines()
    assert KEY in found
    assert "ops ALL=(ALL) NOPASSWD:ALL" in found


def test_one_cluster(end: End) -> None:
    members = end.cluster.etcdctl("m1", [end.machine.address], "member", "list")["members"]
    assert [member["name"] for member in members] == ["m1"]
    (status,) = end.cluster.etcdctl("m1", [end.machine.address], "endpoint", "status")
    assert status["Status"]["header"]["member_id"] == members[0]["ID"]
    now = end.witness.look()
    assert [name for name in now if name.startswith("Node ")] == ["Node /m1"]
    assert "Namespace /kube-system" in end.witness.seen
    for name, uids in sorted(end.witness.seen.items()):
        assert uids == {now.get(name)}, f"{name} was seen as {uids}, now it is {now.get(name)}"
    authority = (end.cluster.outputs / "nodes/m1/etc/kubernetes/pki/ca.crt").read_bytes()
    for config in (end.cluster.outputs / "admin.conf", end.cluster.outputs / "super-admin.conf"):
        cluster = yaml.safe_load(config.read_text(encoding="utf-8"))["clusters"][0]["cluster"]
        assert base64.b64decode(cluster["certificate-authority-data"]) == authority
    on_disk = end.machine.shell("sha256sum </etc/kubernetes/pki/ca.crt").stdout.split()[0]
    assert on_disk == hashlib.sha256(authority).hexdigest()


def test_every_object_is_there(end: End) -> None:
    assert list((end.cluster.outputs / "api").iterdir())
    there = end.cluster.kubectl("get", "--filename", end.cluster.outputs / "api", "--output=name").split()
    assert len(there) == len(list((end.cluster.outputs / "api").iterdir()))
    (token,) = end.cluster.get(
        "secrets", "--namespace=kube-system", "--field-selector=type=bootstrap.kubernetes.io/token"
    )["items"]
    assert base64.b64decode(token["data"]["token-id"]).decode() in token["metadata"]["name"]

    def signed() -> bool:
        data = end.cluster.get("configmap", "cluster-info", "--namespace=kube-public")["data"]
        return any(name.startswith("jws-kubeconfig-") for name in data)

    end.cluster.until("signature of cluster-info", signed, 300)


def test_the_node_is_marked_once(end: End) -> None:
    node = end.cluster.get("node", "m1")
    assert [taint["key"] for taint in node["spec"]["taints"] if "control-plane" in taint["key"]] == [
        "node-role.kubernetes.io/control-plane"
    ]
    assert "node-role.kubernetes.io/control-plane" in node["metadata"]["labels"]
