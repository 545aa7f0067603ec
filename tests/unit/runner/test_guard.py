"""The etcd guard: shipped runners of three masters that look for each other, on addresses of the loopback."""

import copy
import json
import re
import ssl
import subprocess
import time
import urllib.request
from dataclasses import replace

import pytest
import yaml
from tests import clusters
from tests.unit.runner import scratch
from tests.unit.runner.scratch import Scratch

from kgen import engine
from kgen.runner import guard
from kgen.runner.base import Run, Stop

PORT = 12380
NAMES = ("m1", "m2", "m3")
ADDRESSES = {name: f"127.0.71.{number}" for number, name in enumerate(NAMES, start=1)}
URLS = {name: f"https://{address}:{PORT}" for name, address in ADDRESSES.items()}


@pytest.fixture(scope="module")
def bodies():
    masters = tuple(clusters.master(name, address) for name, address in ADDRESSES.items())
    payloads = scratch.payloads(replace(clusters.three_masters(), machines=masters))
    return {
        name: scratch.body_for_this_host(
            payloads[name],
            name=name,
            addresses=[address],
            ignorePreflightErrors=[*scratch.NOT_HERE, "kgennodename", "diravailable--var-lib-etcd"],
            etcd={
                **payloads[name].parameters["etcd"],
                "peerURL": URLS[name],
                "others": {other: url for other, url in URLS.items() if other != name},
            },
        )
        for name, address in ADDRESSES.items()
    }


@pytest.fixture
def masters(bodies, tmp_path):
    made = {name: Scratch(tmp_path / name, body) for name, body in bodies.items()}
    running = {}
    go = tmp_path / "go"
    kubelet = tmp_path / "kubelet"  # fails when it may, so that nothing else follows
    kubelet.write_text(f"while test ! -e {go}; do sleep 0.05; done; exit 1\n")

    def start(name):
        command = made[name].command(f"sh {kubelet}")
        running[name] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def finish(name):
        until(lambda: passed(made[name]))
        go.touch()
        output, _ = running[name].communicate(timeout=30)
        return running[name].returncode, output

    yield made, start, finish
    go.touch()  # a stand-in that waits keeps the pipe open
    for process in running.values():
        process.kill()
        process.communicate()


def passed(machine):
    path = machine.root / scratch.STATE
    return path.exists() and "etcd-guard" in machine.steps()


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def waits_for(machine, *names):
    path = machine.root / scratch.STATUS
    status = json.loads(path.read_text()) if path.exists() else {}
    return status.get("phase") == "waiting" and re.findall(r"\bm\d\b", status["error"]) == list(names)


def test_masters_pass_when_all_have_answered_and_not_before(masters):
    made, start, finish = masters
    start("m1")
    until(lambda: waits_for(made["m1"], "m2", "m3"))
    start("m2")
    until(lambda: waits_for(made["m1"], "m3"))
    until(lambda: waits_for(made["m2"], "m3"))
    assert not (made["m1"].root / "etc/kubernetes/manifests/etcd.yaml").exists()
    start("m3")
    for name in NAMES:
        until(lambda name=name: passed(made[name]))
    for name in NAMES:
        code, output = finish(name)
        assert code == 1, output
        assert passed(made[name])
        assert made[name].status()["step"] == "kubelet"


def test_a_master_with_data_asks_no_other_master(masters):
    made, start, finish = masters
    made["m1"].put("var/lib/etcd/member/wal/0.wal", "")
    start("m1")
    assert finish("m1")[0] == 1
    assert passed(made["m1"])


def test_a_lone_master_asks_no_other_master(tmp_path):
    machine = Scratch(tmp_path, scratch.body_for_this_host(scratch.default_payloads()["master"]))
    machine.run()
    assert passed(machine)


def test_only_a_certificate_of_etcds_ca_is_answered(masters, bodies, tmp_path):
    made, start, _ = masters
    start("m1")
    until(lambda: waits_for(made["m1"], "m2", "m3"))
    anonymous = ssl._create_unverified_context()
    with pytest.raises(OSError, match=r"alert|closed|reset|EOF"):
        urllib.request.urlopen(f"{URLS['m1']}/members", context=anonymous, timeout=5).read()
    stranger = Run(str(tmp_path / "stranger"), "")
    stranger.body = scratch.body_for_this_host(scratch.default_payloads()["master"])
    client = guard.pair(stranger, "etcd/peer")
    with pytest.raises(OSError, match="certificate verify failed"):
        guard.get(guard.connect(URLS["m1"], guard.pem(stranger, "etcd/ca.crt"), client), "/members")
    stranger.body["blobs"]["etcd/ca.crt"] = bodies["m1"]["blobs"]["etcd/ca.crt"]
    with pytest.raises(OSError, match=r"alert|closed|reset|EOF"):
        guard.get(guard.connect(URLS["m1"], guard.pem(stranger, "etcd/ca.crt"), client), "/members")


def test_only_the_question_for_members_is_answered(masters, bodies):
    made, start, _ = masters
    start("m1")
    until(lambda: waits_for(made["m1"], "m2", "m3"))
    peer = Run(str(made["m1"].root), "")
    peer.body = bodies["m1"]
    client = guard.pair(peer, "etcd/peer")
    link = guard.connect(URLS["m1"], guard.pem(peer, "etcd/ca.crt"), client)
    assert json.loads(guard.get(link, "/members")) == {"fresh": True}
    with pytest.raises(OSError, match=r"RemoteDisconnected|alert|closed|reset|EOF"):
        guard.get(guard.connect(URLS["m1"], guard.pem(peer, "etcd/ca.crt"), client), "/raft/stream/message/1")


def member(name, *, started):
    urls = {"clientURLs": [f"https://{ADDRESSES[name]}:2379"]} if started else {}
    return {"id": int(name[1]) + 0xABC0, "name": name, "peerURLs": [URLS[name]], **urls}


def test_a_member_that_has_started_before_must_not_start(bodies):
    run = Run("", "")
    run.body = bodies["m2"]
    guard.judge(run, "m1", [member("m1", started=True), member("m2", started=False)])
    with pytest.raises(Stop) as stopped:
        guard.judge(run, "m3", [member("m1", started=False), member("m2", started=True)])
    code, error, hint = stopped.value.args
    assert code == 2
    assert "etcd member m2 has run before (m3 knows it)" in error
    where, commands = hint.split(": ", 1)
    assert where == "on m3"
    called = [command.split(" -- ") for command in commands.split("; ")]
    kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-system exec etcd-m3"
    assert [kubectl, kubectl] == [before for before, _ in called]
    assert [words.split()[-3:] for _, words in called] == [
        ["member", "remove", "abc2"],
        ["add", "m2", f"--peer-urls={URLS['m2']}"],
    ]


def test_a_master_that_is_no_member_must_not_start(bodies):
    run = Run("", "")
    run.body = bodies["m2"]
    with pytest.raises(Stop) as stopped:
        guard.judge(run, "m1", [member("m1", started=True), member("m3", started=True)])
    assert stopped.value.args[0] == 2
    assert URLS["m2"] in stopped.value.args[1]
    assert stopped.value.args[2].endswith(f"member add m2 --peer-urls={URLS['m2']}")


def test_the_port_is_free_when_etcd_is_handed_over(masters, bodies, monkeypatch):
    made, _, _ = masters
    run = Run(str(made["m1"].root), "")
    run.body = {**bodies["m1"], "etcd": {**bodies["m1"]["etcd"], "others": {}}}
    waited = []

    def wait(*_):
        with pytest.raises(OSError, match="in use"):
            guard.listen(ADDRESSES["m1"], PORT)
        waited.append(PORT)

    monkeypatch.setattr(guard, "wait", wait)
    guard.ask_others(run)
    assert waited == [PORT]
    guard.listen(ADDRESSES["m1"], PORT).close()


@pytest.mark.parametrize("is_patched", [False, True])
@pytest.mark.parametrize("is_added", [False, True])
def test_a_member_that_was_added_joins_the_etcd_that_runs(masters, bodies, monkeypatch, is_added, is_patched):
    made, _, _ = masters
    run = Run(str(made["m2"].root), "")
    run.body = copy.deepcopy(bodies["m2"])
    path = "/etc/kubernetes/manifests/etcd.yaml"
    (file,) = (file for file in run.body["files"] if file[0] == path)
    rendered = yaml.safe_load("".join(file[3]))
    if is_patched:
        file[3] = engine.to_yaml(rendered)
    mine = member("m2", started=False)
    if is_added:
        del mine["name"]
    monkeypatch.setattr(guard, "ask_others", lambda run: guard.judge(run, "m1", [member("m1", started=True), mine]))
    guard.etcd_guard(run)
    written = yaml.safe_load(made["m2"].tree()[path][1])
    command = written["spec"]["containers"][0]["command"]
    if is_added:
        where = command.index("--initial-cluster-state=existing")
        assert command[where - 1].startswith("--initial-cluster=")
        del command[where]
    assert written == rendered


def lone(tmp_path, *, may_start_empty, others=None):
    run = Run(str(tmp_path), "false")
    etcd = {"others": others or {}, "dataDir": "/var/lib/etcd", "mayStartEmpty": may_start_empty}
    run.body = {"etcd": etcd, "files": [], "resolvConf": False}
    return run


def test_a_lone_master_without_data_starts_in_a_cluster_that_never_ran(tmp_path):
    guard.etcd_guard(lone(tmp_path, may_start_empty=True))


def test_a_lone_master_without_data_does_not_start_in_a_cluster_that_has_run(tmp_path):
    with pytest.raises(Stop) as stop:
        guard.etcd_guard(lone(tmp_path, may_start_empty=False))
    assert stop.value.args[0] == 2
    assert "kgen render --new-cluster" in stop.value.args[2]


def test_a_lone_master_with_data_starts_in_a_cluster_that_has_run(tmp_path):
    (tmp_path / "var/lib/etcd/member").mkdir(parents=True)
    guard.etcd_guard(lone(tmp_path, may_start_empty=False))


@pytest.mark.parametrize("etcd_runs", [True, False])
def test_masters_that_are_all_empty_do_not_start_a_cluster_that_has_run(tmp_path, monkeypatch, etcd_runs):
    monkeypatch.setattr(guard, "ask_others", lambda run: etcd_runs)
    run = lone(tmp_path, may_start_empty=False, others={"m2": "https://10.0.0.12:2380"})
    if etcd_runs:
        guard.etcd_guard(run)
    else:
        with pytest.raises(Stop, match="this cluster has run before"):
            guard.etcd_guard(run)
