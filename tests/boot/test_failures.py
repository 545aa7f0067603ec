"""What can be wrong with a machine: said at once, in one sentence, and repaired by hand. The tests run in order.

The machine is real; the clusters that its endpoint belongs to are those of the control-plane tier, plugged into its
segment: they cost an emulated machine's processor nothing.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.boot.clusters import Cluster
from tests.boot.host import report, scaled
from tests.boot.machines import GATEWAY, PREFIX, Machine, Segment
from tests.components import machine_image
from tests.control_plane import deployment
from tests.control_plane.deployment import Deployment
from tests.control_plane.machines import Bench
from tests.control_plane.machines import Machine as Neighbour
from tests.installed import kgen

MASTER = f"{PREFIX}.11"
NODE, LATE_NODE, CLONE = 21, 22, 23
UNIT = "kgen-firstboot"
BY_HAND = f"systemctl start {UNIT}"
# As at a first boot, which has not failed yet: cloud-init's script starts the unit and gets its code.
AS_CLOUD_INIT = (
    f"systemctl reset-failed {UNIT}; rm -f /var/lib/cloud/instance/sem/config_scripts_user;"
    " cloud-init modules --mode=final"
)
PAYLOAD = "/etc/kgen/payload.json"
FIRST_BOOT_SECONDS = 900
JOURNAL_SECONDS = 60
# kgen-later has been through, after cloud-init's last stage.
CLEANED = "test -e /run/cloud-init/result.json && test ! -s /var/lib/cloud/instance/cloud-config.txt"
ENDPOINT_SECONDS = 30  # from reaching another cluster's endpoint to saying so
YEAR = 365 * 86400
# The masters are no machines of their own kind here, and lack what preflight asks of one.
CLUSTER = f"""\
apiVersion: kgen/v1
name: {{name}}
kubernetesVersion: v1.37.2
controlPlaneEndpoint: {MASTER}:6443
networking: {{{{podSubnet: 10.244.0.0/16}}}}
machines:
  - {{{{name: m1, role: master, address: {MASTER}, nodeRegistration: {{{{ignorePreflightErrors: [all]}}}}}}}}
  - {{{{name: w1, role: node, address: {PREFIX}.{NODE}}}}}
  - {{{{name: w2, role: node, address: {PREFIX}.{LATE_NODE}}}}}
"""


@dataclass(frozen=True)
class Condition:
    """One thing that is wrong: the check that finds it, words of the finding, and scripts that make and repair it."""

    check: str
    words: str
    broken: str
    repaired: str


def port_taken(port: int) -> Condition:
    """Something else listens there."""
    # While the machine boots no job of systemd's may be waited for.
    start = f"systemd-run --no-block --collect --property=DefaultDependencies=no --unit=taken-{port}"
    listens = f"timeout 100 sh -c 'until ss -ltn | grep -q :{port}; do sleep 0.2; done'"
    return Condition(
        f"Port-{port}",
        f"{port}",
        f"{start} socat TCP-LISTEN:{port},fork,reuseaddr /dev/null; {listens}",
        f"systemctl stop taken-{port}",
    )


def conditions(name: str, address: str) -> tuple[Condition, ...]:
    """Return what can be wrong with any machine."""
    swap = "fallocate -l 64M /swap && chmod 600 /swap && mkswap /swap && swapon /swap"
    routed = f"ip address add {address}/24 dev eth0; ip route replace default via {GATEWAY}"
    return (
        Condition("KgenSwap", "/swap", swap, "swapoff /swap"),
        port_taken(10250),
        Condition("KgenNodeName", f"hostname is other, not {name}", "hostname other", f"hostname {name}"),
        Condition("KgenAddress", f"{address} is not on", f"ip address del {address}/24 dev eth0", routed),
        Condition("CRI", "containerd", "systemctl stop containerd", "systemctl start containerd"),
        Condition("KubeletVersion", "no kubelet in", "mv /usr/bin/kubelet /root", "mv /root/kubelet /usr/bin"),
    )


CONDITIONS = conditions("w1", f"{PREFIX}.{NODE}")
MASTER_CONDITIONS = (
    *conditions("m1", MASTER),
    port_taken(6443),
    port_taken(2379),
    Condition("DirAvailable--var-lib-etcd", "not empty", "mkdir -p /var/lib/etcd/member", "rm -r /var/lib/etcd/member"),
)


def provider_breaks(wrong: Sequence[Condition]) -> str:
    """Return vendor data: a script that cloud-init runs before anything of the document, and no say in the hostname."""
    script = "#!/bin/sh\n" + "\n".join(each.broken for each in wrong) + "\n"
    parts = [
        {"type": "text/cloud-boothook", "content": script},
        {"type": "text/cloud-config", "content": "#cloud-config\npreserve_hostname: true\n"},
    ]
    return "#cloud-config-archive\n" + yaml.safe_dump(parts)


def repairs(wrong: Sequence[Condition]) -> str:
    """Return the script that repairs what is not repaired yet."""
    return "; ".join(f"({each.repaired}) 2>/dev/null" for each in wrong)


@dataclass(frozen=True)
class Failure:
    """How a run of the unit failed, where a user may look."""

    code: int
    status: dict[str, object]
    journal: str
    console: str

    @property
    def error(self) -> str:
        """Return the sentence of status.json."""
        return str(self.status["error"])


def _journal(machine: Machine) -> str:
    """Return what the unit has said in this boot, as a user reads it."""
    return machine.shell(f"journalctl --boot --output=cat --unit={UNIT}").stdout


def failed(machine: Machine, start: str, *, from_power_on: bool = False) -> Failure:
    """Run ``start``, in which the unit fails, and return how; the same sentence must stand everywhere.

    What the console and the journal have said before does not count, unless ``from_power_on``.
    """
    console, journal = (0, 0) if from_power_on else (len(machine.console()), len(_journal(machine)))
    done = machine.shell(
        f"({start}) >/dev/null 2>&1; cat /run/kgen/status.json; echo;"
        f"systemctl show --property=ExecMainStatus --value {UNIT}"
    )
    status, code = done.stdout.splitlines()
    # journald reads what a unit has printed when it comes to it: on an emulated machine that may be after its end.
    machine.wait_for("hint in the journal", lambda: "To do: " in _journal(machine)[journal:], JOURNAL_SECONDS)
    failure = Failure(int(code), json.loads(status), _journal(machine)[journal:], machine.console()[console:])
    assert failure.status["phase"] == "failed"
    assert failure.status["exit_code"] == failure.code
    assert failure.status["hint"]
    sentence = f"kgen: {failure.status['step']} failed: {failure.error}"
    for place in (failure.journal, failure.console):
        assert place.count(sentence) == 1, f"{sentence}\n\nis not said once in\n\n{place}"
        assert f"To do: {failure.status['hint']}" in place
    return failure


def status(machine: Machine) -> dict[str, object]:
    """Return status.json, empty before there is one."""
    return dict(json.loads(machine.shell("cat /run/kgen/status.json || echo {}").stdout))


def cloud_init_saw(machine: Machine, runs: int) -> None:
    """Assert that cloud-init ends, and shows that its script failed as often as it ran it."""
    said = machine.shell("cloud-init status --wait --long")  # prints dots while it waits
    assert said.returncode == 1
    assert said.stdout.lstrip(".\n").startswith("status: error"), said.stdout
    assert said.stdout.count("('scripts-user', ") == runs, said.stdout


def waits(machine: Machine, factor: float) -> None:
    """Give the payload another ``waitFactor``, longer on a slow host, and the checksum that belongs to it."""
    factor = scaled(factor)
    done = machine.shell(
        f"""python3 - <<'END'
import hashlib, json
path = "{PAYLOAD}"
document = json.load(open(path))
document["body"]["waitFactor"] = {factor}
text = json.dumps(document["body"], sort_keys=True)
document["sha256"] = hashlib.sha256(text.encode()).hexdigest()
json.dump(document, open(path, "w"))
END"""
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def bench(segment: Segment) -> Iterator[Bench]:
    """Machines without virtual machines, on the same segment."""
    with Bench() as bench:
        bench.connect(segment.name, "br0")
        yield bench


def rendered(directory: Path, bench: Bench, name: str) -> Deployment:
    """Render cluster ``name``, with a CA of its own."""
    directory.mkdir()
    source = directory.with_suffix(".yaml")
    seconds = f"{scaled(240):.0f}s"
    text = CLUSTER.format(name=name) + f"timeouts: {{controlPlaneComponentHealthCheck: {seconds}}}\n"
    source.write_text(text, encoding="utf-8")
    return Deployment.render(source, directory, bench, [])


@pytest.fixture(scope="module")
def cluster(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The machine's cluster; no master is on."""
    return rendered(tmp_path_factory.mktemp("failures") / "mine", bench, "mine")


@pytest.fixture(scope="module")
def master(cluster: Deployment) -> Neighbour:
    """The cluster's master, running."""
    machine = cluster.machine("m1", MASTER)
    cluster.first_boot(machine)
    return machine


@pytest.fixture(scope="module")
def machine(segment: Segment, cluster: Deployment) -> Machine:
    """The node, powered on where everything is wrong; its document brings the runner and the unit."""
    disk = machine_image.PLAIN_DISK
    machine = Machine(segment, cluster.directory / "w1", NODE, cpus=1, memory=2048, disk=disk)
    document = cluster.user_data("w1").with_suffix(".yaml.gz").read_bytes()
    machine.seed(document, "i-w1-1", vendor_data=provider_breaks(CONDITIONS))
    machine.power_on()
    return machine


def reports_every_finding(machine: Machine, wrong: Sequence[Condition]) -> None:
    """The first boot fails; one report names everything."""
    seconds = machine.wait_for(
        "the report", lambda: "What was done: kgen-firstboot" in machine.console(), FIRST_BOOT_SECONDS
    )
    report(f"{machine.directory.name}: first boot failed {seconds:.0f} s after power-on")
    failure = failed(machine, "true", from_power_on=True)
    assert failure.code == 2
    for condition in wrong:
        assert f"{condition.check}: " in failure.error
        assert condition.words in failure.error
    story = machine.shell("kgen-firstboot --status")
    assert story.returncode == 2
    assert failure.error in story.stdout
    cloud_init_saw(machine, 1)


def test_first_boot_reports_every_finding(machine: Machine) -> None:
    reports_every_finding(machine, CONDITIONS)


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition.check)
def test_each_finding_alone(machine: Machine, condition: Condition) -> None:
    others = [each for each in CONDITIONS if each is not condition]
    waits(machine, 0.1)  # for an address, a hostname and a runtime that may come late
    failure = failed(machine, f"{repairs(others)}; ({condition.broken}); {BY_HAND}")
    assert failure.code == 2
    assert failure.status["step"] == "preflight"
    assert f"{condition.check}: " in failure.error
    assert condition.words in failure.error
    assert [each.check for each in others if f"{each.check}: " in failure.error] == [], "these are repaired"


# From here on the last condition is still there, and is what a run comes to after what is repaired first.
STOPS_AT = CONDITIONS[-1]


def test_damaged_payload(machine: Machine) -> None:
    damage = f"cp {PAYLOAD} /root; printf X | dd of={PAYLOAD} conv=notrunc seek=1000 bs=1"
    failure = failed(machine, f"{damage}; {AS_CLOUD_INIT}")
    assert failure.code == 4
    assert "the payload is damaged" in failure.error
    cloud_init_saw(machine, 2)
    machine.shell(f"mv /root/payload.json {PAYLOAD}")
    assert failed(machine, BY_HAND).error.startswith(STOPS_AT.check)


@pytest.mark.parametrize("factor", [0.25, pytest.param(1, marks=pytest.mark.soak)])
def test_clock_three_years_behind(machine: Machine, factor: float) -> None:
    waits(machine, factor)
    machine.shell(f"date --set=@{time.time() - 3 * YEAR:.0f}; ({AS_CLOUD_INIT}) >/dev/null 2>&1 </dev/null &")
    machine.wait_for("clock", lambda: status(machine).get("phase") == "waiting", 60)
    waiting = status(machine)
    assert "clock is behind" in str(waiting["error"])
    assert "ca.crt is valid from" in str(waiting["error"])
    assert machine.shell("kgen-firstboot --status").returncode == 3
    failure = failed(machine, BY_HAND)  # cloud-init waits for the same run
    assert failure.code == 3
    assert "clock is behind" in failure.error
    # The unit starts again by itself.
    machine.shell(f"date --set=@{time.time():.0f}")
    machine.wait_for("the next run", lambda: status(machine).get("step") == "preflight", 300)
    cloud_init_saw(machine, 3 if factor < 1 else 4)
    assert failed(machine, BY_HAND).error.startswith(STOPS_AT.check)


def test_certificates_expired(machine: Machine) -> None:
    failure = failed(machine, f"date --set=@{time.time() + 11 * YEAR:.0f}; {BY_HAND}")
    machine.shell(f"date --set=@{time.time():.0f}")
    assert failure.code == 2
    assert "certificate ca.crt expired" in failure.error
    assert failed(machine, BY_HAND).error.startswith(STOPS_AT.check)


def test_endpoint_of_another_cluster(machine: Machine, bench: Bench, cluster: Deployment) -> None:
    other = rendered(cluster.directory.parent / "other", bench, "other")
    master = other.machine("m1", MASTER)
    other.first_boot(master)
    waits(machine, 4)
    failure = failed(machine, f"{repairs(CONDITIONS)}; {BY_HAND}")
    master.power_off()
    assert failure.code == 2
    assert failure.status["step"] == "endpoint"
    assert failure.error.startswith("KgenClusterCA: ")
    assert MASTER in failure.error
    seconds = failure.status["seconds"]
    report(f"another cluster's endpoint named {seconds} s after the start of the run")
    assert isinstance(seconds, int)
    assert seconds <= scaled(ENDPOINT_SECONDS)


def test_a_corrected_payload_is_taken_after_a_failed_first_boot(machine: Machine, cluster: Deployment) -> None:
    text = cluster.cluster_file.read_text(encoding="utf-8")
    node = f"address: {PREFIX}.{NODE}"
    cluster.cluster_file.write_text(text.replace(node, f"{node}, labels: {{corrected: 'yes'}}"), encoding="utf-8")
    kgen("render", cluster.cluster_file, "--output", cluster.outputs.parent, "--quiet")
    document = yaml.safe_load(cluster.user_data("w1").read_text(encoding="utf-8"))
    (payload,) = (each["content"] for each in document["write_files"] if each["path"] == PAYLOAD)
    delivered = base64.b64encode(payload.encode()).decode()
    machine.shell(f"echo {delivered} | base64 -d >{PAYLOAD}; systemctl start --no-block {UNIT}")
    # It goes on to the endpoint, which does not answer: the master is not on yet.
    flags = "cat /var/lib/kubelet/kubeadm-flags.env"
    machine.wait_for("its files", lambda: "corrected=yes" in machine.shell(flags).stdout, FIRST_BOOT_SECONDS)
    (taken,) = json.loads(machine.shell("cat /var/lib/kgen/state.json").stdout)
    assert taken == json.loads(payload)["sha256"]


def becomes_done(machine: Machine) -> None:
    """What is repaired goes on where it stopped, to its end."""
    begin = time.monotonic()
    machine.wait_for("done", lambda: "kgen: done " in machine.console(), FIRST_BOOT_SECONDS)
    report(f"{machine.directory.name}: done {time.monotonic() - begin:.0f} s after the repair")
    assert machine.shell("kgen-firstboot --status").returncode == 0
    assert machine.shell(f"test -e {PAYLOAD}").returncode == 1


def test_the_first_boot_continues_after_a_repair(machine: Machine, master: Neighbour) -> None:
    machine.shell(f"systemctl start --no-block {UNIT}")
    becomes_done(machine)
    node = deployment.api(master, "node", "w1")
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.37.2"
    assert node["metadata"]["labels"]["corrected"] == "yes"


@pytest.mark.soak
def test_a_reboot_without_the_seed_is_no_new_instance(machine: Machine, cluster: Deployment) -> None:
    marks = "cat /var/lib/cloud/data/instance-id; ls /var/lib/cloud/instances; stat -c %Y /var/lib/cloud/instance/sem/*"
    machine.wait_for("cleaned copies", lambda: machine.shell(CLEANED).returncode == 0, FIRST_BOOT_SECONDS)
    before = machine.shell(marks).stdout
    assert before.startswith("i-w1-1\ni-w1-1\n")
    token = re.findall(r"token: \W*(\w{6}\.\w{16})", cluster.user_data("w1").read_text(encoding="utf-8"))[0]
    # In two pieces: the guest agent logs what it runs.
    pattern = f'"$(printf %s%s {token[:10]} {token[10:]})"'
    copies = machine.shell(f"grep -r -l --fixed-strings {pattern} /etc /run /root /tmp /var")
    assert (copies.returncode, copies.stdout) == (1, ""), copies.stdout + copies.stderr
    # cloud-init asks its data source, or DMI, whether the instance is still the same. This setting says that it is.
    machine.shell("echo 'manual_cache_clean: true' >/etc/cloud/cloud.cfg.d/99-trust.cfg; sync")
    machine.kill()
    machine.remove_seed()
    earlier = len(machine.console())
    machine.power_on()
    machine.wait_for("end of cloud-init", lambda: "finished at" in machine.console()[earlier:], FIRST_BOOT_SECONDS)
    assert machine.shell(marks).stdout == before
    assert machine.shell("hostname; systemctl is-active kubelet").stdout == "w1\nactive\n"


@pytest.mark.soak
def test_a_clone_is_no_second_machine_of_the_name(segment: Segment, machine: Machine, cluster: Deployment) -> None:
    machine.kill()
    clone = Machine(segment, cluster.directory / "clone", CLONE, cpus=1, memory=2048)
    clone.new_disk(machine.directory / "disk.qcow2")
    clone.seed(cluster.user_data("w2").with_suffix(".yaml.gz").read_bytes(), "i-w2-clone")
    clone.power_on()
    said = "this machine was w1 of its cluster, and its hostname is w2: the kubelet does not start"
    clone.wait_for("the finding", lambda: said in clone.console(), FIRST_BOOT_SECONDS)
    assert clone.shell("hostname; systemctl is-active kubelet").stdout == "w2\ninactive\n"
    assert said in clone.shell("kgen-firstboot --status").stdout
    assert clone.shell(f"test -e {PAYLOAD}").returncode == 1
    clone.kill()
    machine.power_on()


@pytest.mark.soak
def test_clock_behind_since_power_on(segment: Segment, cluster: Deployment, master: Neighbour) -> None:
    machine = Machine(segment, cluster.directory / "w2", LATE_NODE, cpus=1, memory=2048)
    machine.seed(cluster.user_data("w2").with_suffix(".yaml.gz").read_bytes(), "i-w2-1")
    machine.power_on("-rtc", f"base={time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(time.time() - 3 * YEAR))}")
    machine.wait_for("the finding", lambda: "the clock is behind" in machine.console(), FIRST_BOOT_SECONDS)
    assert "running" in machine.shell("cloud-init status").stdout
    machine.shell(f"date --set=@{time.time():.0f}")
    becomes_done(machine)
    assert deployment.api(master, "node", "w2")


@pytest.mark.soak
def test_master_whose_image_has_the_runner(tmp_path: Path) -> None:
    """It starts by itself, before cloud-init's last stage, which still shows how it failed."""
    text = CLUSTER.format(name="master").replace(", nodeRegistration: {ignorePreflightErrors: [all]}", "")
    text += "image: {runner: baked}\n"
    with Segment("master") as segment:
        cluster = Cluster(segment, tmp_path, text)
        machine = cluster.machine("m1", 11)
        document = (cluster.outputs / "user-data/m1.yaml.gz").read_bytes()
        machine.seed(document, "i-m1-1", vendor_data=provider_breaks(MASTER_CONDITIONS))
        machine.power_on()
        reports_every_finding(machine, MASTER_CONDITIONS)
        expired = failed(machine, f"date --set=@{time.time() + 1.1 * YEAR:.0f}; {BY_HAND}")
        assert expired.code == 2
        assert expired.error.startswith("certificate apiserver.crt expired ")
        machine.shell(f"date --set=@{time.time():.0f}; {repairs(MASTER_CONDITIONS)}; systemctl start --no-block {UNIT}")
        becomes_done(machine)
        assert cluster.get("node", "m1")
