"""Values that only the machine knows: the shipped program fills them in, or says what there is instead."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests import clusters
from tests.unit.config.broken_cases import BASE
from tests.unit.runner import scratch
from tests.unit.runner.scratch import PYTHONS, Scratch, python_of

from kgen.config.load import load_text
from kgen.firstboot import payload_json, program
from kgen.runner import own_values
from kgen.runner.base import Run, Stop

FLAGS = "var/lib/kubelet/kubeadm-flags.env"
INSTANCE_DATA = {
    "ds": {"meta_data": {"rack": "r 7", "keys": [{"data": "k0"}], "port": 7, "secret": "redacted for non-root user"}},
    "v1": {"availability_zone": None, "instance-id": "i-0abc", "instance_id": "i-0abc", "region": "eu-west-1"},
}
# In a network of its own, as root there: addresses of an interface, those that come later, and the program. Where
# addresses come later, it is ended as soon as it has written the flags: what it waits for next is not there.
INSIDE = f"""
import os, pathlib, signal, subprocess, sys, time
now, later, root, command = eval(sys.argv[1]), eval(sys.argv[2]), sys.argv[3], sys.argv[4:]
def ip(*words):
    subprocess.run(["ip", *words], check=True)
ip("link", "set", "lo", "up")
for name in ("eth0", "eth1", "cni0"):
    ip("link", "add", name, "type", "bridge")
    ip("link", "set", name, "up")
def give(addresses):
    for address, name in addresses:
        ip("address", "add", address, "dev", name, *(["nodad"] if ":" in address else []))
give(now)
program = subprocess.Popen(command)
status = pathlib.Path(root, "{scratch.STATUS}")
waits = False
while later and program.poll() is None:
    time.sleep(0.05)
    if not waits and status.exists() and "waiting" in status.read_text():
        waits = True
        give(later)
    if os.path.exists(root + "/{FLAGS}"):
        program.send_signal(signal.SIGINT)
sys.exit(program.wait())
"""


def payload(arguments="", labels="", more=""):
    """Return the payload of a pool whose kubelet has these arguments and labels."""
    text = f"{BASE}{more}pools: [{{name: p, role: node, labels: {{{labels}}}, nodeRegistration: "
    return scratch.payloads(load_text(f"{text}{{kubeletExtraArgs: [{arguments}]}}}}]\n", "c.yaml").cluster)["p"]


def machine_of(made, root, python=(sys.executable, "-I", "-S"), **changes):
    body = scratch.body_for_this_host(made, server="https://127.0.0.1:1", **{"waitFactor": 0.001, **changes})
    machine = Scratch(Path(root), body, python)
    extras = program.extras(clusters.one_master(), made)
    source = program.program("node", with_comments=False, extras=extras)
    machine.put("usr/local/lib/kgen/firstboot.py", source)
    machine.put("etc/kgen/payload.json", payload_json.text_of(body, made.format))
    machine.put("run/cloud-init/instance-data.json", json.dumps(INSTANCE_DATA))
    return machine


def provider_id(value):
    return payload(f"{{name: provider-id, value: {value}}}")


def flags(machine):
    return (machine.root / FLAGS).read_text()


@pytest.mark.parametrize("suite", PYTHONS)
def test_metadata_is_filled_in_before_the_kubelet_starts(tmp_path, suite):
    made = payload(
        '{name: provider-id, value: "aws:///{metadata: v1.region}/{metadata: v1.instance_id}"}',
        "zone: {metadata: v1.region}, key: '{metadata: ds.meta_data.keys.0.data}-{metadata: ds.meta_data.port}'",
    )
    machine = machine_of(made, tmp_path, python_of(suite))
    code, output = machine.run()
    assert (code, machine.status()["step"]) == (3, "endpoint"), output
    assert flags(machine) == (
        'KUBELET_KUBEADM_ARGS="--node-labels=key=k0-7,zone=eu-west-1 --provider-id=aws:///eu-west-1/i-0abc"\n'
    )


def test_a_machine_without_own_values_has_no_such_program():
    made = payload("{name: v, value: '2'}")
    assert (made.has_own_values, made.format) == (False, 2)
    assert program.extras(clusters.one_master(), made) == ()
    assert program.extras(clusters.one_master(), provider_id("{metadata: v1.region}")) == ("own_values",)
    assert "own_values" not in program.program("node", with_comments=True, extras=())
    assert provider_id("{metadata: v1.region}").format == 3


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("v1.zone", "v1.zone is not in /run/cloud-init/instance-data.json; below v1 there is: availability_zone, "),
        ("ds.meta.x", "below ds there is: meta_data"),
        ("v2.a", "below /run/cloud-init/instance-data.json there is: ds, v1"),
        ("v1.region.x", "below region there is: nothing"),
        ("ds.meta_data", "ds.meta_data is no single value; below it there is: rack, keys, port, secret"),
        ("v1.availability_zone", "v1.availability_zone is 'None', which cannot be in an argument of the kubelet"),
        ("ds.meta_data.rack", "ds.meta_data.rack is 'r 7', which cannot"),
        ("ds.meta_data.secret", "'redacted for non-root user', which cannot"),
    ],
)
def test_metadata_that_is_not_there_is_told_at_once_with_what_there_is(tmp_path, path, words):
    machine = machine_of(provider_id(f"{{metadata: {path}}}"), tmp_path, waitFactor=100)
    assert machine.run()[0] == 2
    status = machine.status()
    assert status["step"] == "own-values"
    assert "KgenMetadata: " in status["error"]
    assert words in status["error"]
    assert "cloud-init query --all" in status["hint"]
    assert machine.tree() == {}


def test_all_metadata_that_is_missing_is_told_together(tmp_path):
    machine = machine_of(payload("{name: provider-id, value: {metadata: v1.a}}", "zone: {metadata: v1.b}"), tmp_path)
    assert machine.run()[0] == 2
    assert all(f"{path} is not in" in machine.status()["error"] for path in ("v1.a", "v1.b"))


def test_a_machine_without_cloud_inits_data_says_so(tmp_path):
    machine = machine_of(provider_id("{metadata: v1.region}"), tmp_path)
    (tmp_path / "run/cloud-init/instance-data.json").unlink()
    assert machine.run()[0] == 2
    assert "/run/cloud-init/instance-data.json is not there" in machine.status()["error"]


@pytest.mark.parametrize("value", ["a/b", "x" * 64, "-a", ""])
def test_a_label_takes_what_kubernetes_takes(tmp_path, value):
    machine = machine_of(payload("", "zone: {metadata: v1.region}"), tmp_path)
    machine.put("run/cloud-init/instance-data.json", json.dumps({"v1": {"region": value}}))
    assert machine.run()[0] == 2
    assert "cannot be in the value of a label" in machine.status()["error"]


def in_network(machine, now, later=()):
    """Run the program in a network whose interfaces have these addresses; return its exit code and output."""
    inside = [sys.executable, "-I", "-c", INSIDE, repr(now), repr(later), machine.root, *machine.command()]
    command = ["unshare", "--user", "--map-root-user", "--net", *inside]
    return machine.checked(subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))


PODS = ("10.244.3.1/24", "cni0")
BOTH = [PODS, ("192.0.2.5/24", "eth0"), ("10.1.2.3/24", "eth1"), ("fd00::3/64", "eth1")]


@pytest.fixture
def root():
    with tempfile.TemporaryDirectory(prefix="kgen-") as directory:
        yield directory


@pytest.mark.parametrize("suite", PYTHONS)
@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("{network: 10.0.0.0/8}", "10.1.2.3"),
        ("{interface: eth1}", "10.1.2.3"),
        ("{network: 'fd00::/8'}", "fd00::3"),
        ("'{interface: eth0},{network: fd00::/8}'", "192.0.2.5,fd00::3"),
        ("'::'", "::"),
        ("0.0.0.0", "0.0.0.0"),
    ],
)
def test_a_pools_address_is_found_on_the_machine(root, value, found, suite):
    made = payload(f"{{name: node-ip, value: {value}}}", more="networking: {podSubnet: 10.244.0.0/16}\n")
    machine = machine_of(made, root, python_of(suite))
    code, output = in_network(machine, BOTH)
    assert code == 3, output
    assert flags(machine) == f'KUBELET_KUBEADM_ARGS="--node-ip={found}"\n'


def test_an_address_that_comes_late_is_waited_for(root):
    machine = machine_of(payload("{name: node-ip, value: {network: 10.1.0.0/16}}"), root, waitFactor=0.1)
    _, output = in_network(machine, BOTH[:2], BOTH[2:3])
    assert flags(machine) == 'KUBELET_KUBEADM_ARGS="--node-ip=10.1.2.3"\n'
    assert "waiting for this machine's address, at most 12 s: KgenAddress: this machine has no address" in output


@pytest.mark.parametrize("value", ["{network: 172.16.0.0/12}", "{interface: eth9}"])
def test_an_address_that_does_not_come_needs_a_person(root, value):
    machine = machine_of(payload(f"{{name: node-ip, value: {value}}}"), root)
    assert in_network(machine, BOTH)[0] == 2
    error = machine.status()["error"]
    assert "KgenAddress: this machine has no address of the " in error
    assert error.endswith("it has 192.0.2.5 on eth0, 10.1.2.3 on eth1, fd00::3 on eth1, 10.244.3.1 on cni0")


def test_a_listed_machines_address_wins_over_the_clusters_choice():
    cluster = load_text(
        f"{BASE}nodeRegistration: {{kubeletExtraArgs: [{{name: node-ip, value: '::'}}, {{name: v, value: '2'}}]}}\n"
        "pools: [{name: p, role: node}]\n",
        "c.yaml",
    ).cluster
    given = [
        {each.name: each.value for each in machine.registration.kubelet_extra_args} for machine in cluster.documents
    ]
    assert given == [{"v": "2"}, {"node-ip": "::", "v": "2"}]


def test_apply_fills_them_in_too(tmp_path):
    run = Run(str(tmp_path), "true")
    run.body = machine_of(provider_id("{metadata: v1.region}"), tmp_path).body
    own_values.own_values(run)
    (content,) = (content for path, _, _, content in run.body["files"] if path.endswith("kubeadm-flags.env"))
    assert "".join(content) == 'KUBELET_KUBEADM_ARGS="--provider-id=eu-west-1"\n'
    assert "own_values(run)" in program.apply_program()
    run.body = machine_of(provider_id("{metadata: v1.gone}"), tmp_path / "other").body
    with pytest.raises(Stop):
        own_values.own_values(run)


@pytest.mark.parametrize("role", ["master", "node"])
def test_they_are_filled_in_just_before_preflight(role):
    from kgen.runner import master, node

    steps = (master if role == "master" else node).STEPS
    assert [step.__name__ for step, _ in steps].index("preflight") == 3
    before = "(token, EVERY_RUN), " if role == "node" else ""
    assert f"*STEPS[1:3], {before}(own_values, EVERY_RUN), *STEPS[3:])" in program.program(role, with_comments=True)
