"""The shipped runner, run as the script it is, below a scratch root."""

import json
import os
import re
import resource
import stat
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests import clusters
from tests.unit.runner import scratch
from tests.unit.runner.scratch import DONE, PAYLOAD, PYTHONS, STATE, Scratch, python_of

from kgen import resources
from kgen.config.model import HttpProxy
from kgen.payload import expand
from kgen.render import payload_json
from kgen.runner import base

KILL = Path(__file__).parents[2] / "control_plane" / "interrupted.py"
START = "enable --now --no-reload kubelet"
UP_TO_SYSTEM = ["preflight", "files", "system"]
UP_TO_KUBELET = [*UP_TO_SYSTEM, "etcd-guard"]


def body(role="master", **changes):
    return scratch.body_for_this_host(scratch.default_payloads()[role], **changes)


def failure(output):
    """Return what the frame on the console says, without its prefix."""
    *_, frame, end = output.split("*" * 72 + "\n")
    assert end == ""
    first, what, remedy, *continuation, story = frame.splitlines()
    assert "Kubernetes" in first
    assert remedy.startswith("To do: ")
    assert continuation == ["Then run: systemctl start kgen-firstboot"] * ("rebuild" not in remedy)
    assert story == "What was done: kgen-firstboot --status"
    return what.removeprefix("kgen: ")


@pytest.fixture
def machine(tmp_path):
    return Scratch(tmp_path, body())


def written(role):
    """Return what must be there when the kubelet starts: mode and content by path."""
    payload = scratch.default_payloads()[role]
    return {
        str(file.path): (file.mode, expand(file.content, payload.blobs).encode())
        for file in payload.files
        if file.stage in ("files", "etcd", "apiserver")
    }


@pytest.mark.parametrize("suite", PYTHONS)
def test_a_master_gets_to_the_kubelet(tmp_path, suite):
    python = python_of(suite)
    machine = Scratch(tmp_path, body(), python)
    code, output = machine.run()
    assert code == 1, output
    assert machine.steps() == UP_TO_KUBELET
    assert machine.tree() == written("master")
    status = machine.status()
    assert (status["phase"], status["step"], status["exit_code"]) == ("failed", "kubelet", 1)
    assert status["error"] == f"cannot {START}"
    assert status["hint"] == "see journalctl -u kubelet"
    assert failure(output) == f"kubelet failed: cannot {START}"
    assert (tmp_path / "proc/sys/net/ipv4/ip_forward").read_text() == "1"


@pytest.mark.parametrize("suite", PYTHONS)
def test_a_node_waits_for_its_endpoint(tmp_path, suite):
    python = python_of(suite)
    machine = Scratch(tmp_path, scratch.body_up_to_the_kubelet("node"), python)
    code, output = machine.run()
    assert code == 3, output
    assert machine.steps() == UP_TO_SYSTEM
    assert machine.tree() == written("node")
    assert "gave up after 0.9 s waiting for https://127.0.0.1:1: [Errno 111] Connection refused" in output


def test_systemctl_is_told_one_thing_after_the_other_until_something_fails(tmp_path):
    machine = Scratch(tmp_path, body(systemctl=["enable containerd", "restart containerd", "enable --now kubelet"]))
    calls = tmp_path / "calls"
    stand_in = tmp_path / "systemctl"
    stand_in.write_text(f'echo "$@" >> {calls}; test $# = 2\n')
    assert machine.run(kubelet=f"sh {stand_in}")[0] == 1
    assert calls.read_text().splitlines() == ["enable containerd", "restart containerd", "enable --now kubelet"]
    stand_in.write_text("test $1 = enable")
    assert machine.run(kubelet=f"sh {stand_in}")[0] == 1
    assert machine.status()["error"] == "cannot restart containerd"
    assert machine.status()["hint"].endswith("journalctl -u containerd")


OWN = ("kubelet.crt", "kubelet.key", "kubelet-client-2026-11-27-10-00-00.pem", "kubelet-client-2026-11-27-10-00-09.pem")
CURRENT = "kubelet-client-current.pem"


@pytest.mark.parametrize(
    ("contents", "stay", "current"),
    [
        (("x", "x", "x", "x"), OWN, OWN[3]),
        (("x", "x", "x", ""), OWN[2:3], OWN[2]),
        (("x", "x", "x", None), OWN[2:3], OWN[2]),
        ((None, None, "", "x"), OWN[3:], OWN[3]),
        ((None, None, None, "x"), OWN[3:], OWN[3]),
        (("x", "", "x", "x"), OWN[2:], OWN[3]),
        (("", "x", None, ""), (), None),
    ],
)
def test_of_the_kubelets_certificates_goes_what_a_power_cut_left_empty(tmp_path, contents, stay, current):
    machine = Scratch(tmp_path, body())
    folder = tmp_path / "var/lib/kubelet/pki"
    folder.mkdir(parents=True)
    for name, content in zip(OWN, contents, strict=True):
        if content is not None:
            (folder / name).write_text(content)
    (folder / CURRENT).symlink_to(folder / OWN[3])
    machine.run()
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == sorted([*stay, *[CURRENT] * bool(stay)])
    if current:
        assert (folder / CURRENT).resolve().name == current
    assert (folder / CURRENT).is_symlink() == bool(current)


def test_a_kubelet_that_has_no_certificates_yet_is_left_alone(machine):
    machine.run()
    assert not (machine.root / "var/lib/kubelet/pki").exists()


def test_what_systemd_was_told_is_said_again_after_a_cut(tmp_path):
    machine = Scratch(tmp_path, body(etcd={**body()["etcd"], "healthURL": "http://127.0.0.1:1"}, waitFactor=0.001))
    assert machine.run(kubelet="true")[0] == 3
    assert machine.steps()[-1] == "kubelet"
    _, output = machine.run(kubelet="true")
    *_, last = re.findall(r"^kgen: (\S+) [\d.]+ s$", output, re.MULTILINE)
    assert last == "kubelet"


def test_parameters_of_the_kernel_are_set_after_their_files_are_there(machine):
    """A boot in between would set them no more: the step is done, and systemd had not found the files."""
    assert UP_TO_SYSTEM.index("files") < UP_TO_SYSTEM.index("system")
    machine.run()
    assert (machine.root / "etc/sysctl.d/kgen.conf").stat().st_mtime_ns < (
        machine.root / "proc/sys/net/ipv4/ip_forward"
    ).stat().st_mtime_ns


def test_containerd_is_restarted_where_it_gets_proxies():
    proxy = HttpProxy(http_proxy="http://proxy.example:3128")
    made = scratch.payloads(replace(clusters.one_master(), http_proxy=proxy))["m1"]
    assert made.parameters["systemctl"] == [
        *("enable containerd", "restart containerd"),
        "enable --now --no-reload kubelet",
    ]
    assert scratch.default_payloads()["master"].parameters["systemctl"] == ["enable --now --no-reload kubelet"]


def test_directories_have_their_modes(machine):
    machine.run()
    for path, mode in machine.body["directories"].items():
        assert stat.S_IMODE((machine.root / path[1:]).stat().st_mode) == mode, path
    assert stat.S_IMODE((machine.root / "etc/kubernetes").stat().st_mode) == 0o755


@pytest.mark.parametrize("runs_resolved", [True, False])
@pytest.mark.parametrize("decides", [True, False])
def test_resolv_conf_is_decided_on_the_machine(tmp_path, runs_resolved, decides):
    machine = Scratch(tmp_path, body(resolvConf=decides))
    if runs_resolved:
        machine.put("run/systemd/resolve/resolv.conf", "nameserver 127.0.0.53\n")
    machine.run()
    config = machine.tree()["/var/lib/kubelet/config.yaml"][1].decode()
    expected = written("master")["/var/lib/kubelet/config.yaml"][1].decode()
    appended = "resolvConf: /run/systemd/resolve/resolv.conf\n" if runs_resolved and decides else ""
    assert config == expected + appended


@pytest.mark.parametrize("count", [1, 2, 12, 25])
def test_killed_between_two_files_it_leaves_whole_files_and_repeats_the_step(machine, count):
    code, _ = machine.run(before=[str(KILL), "before-file", str(count)])
    assert code == -9
    expected = written("master")
    found = {path: entry for path, entry in machine.tree().items() if not Path(path).name.startswith(".")}
    assert found == {path: expected[path] for path in list(expected)[: count - 1]}
    assert machine.run()[0] == 1
    assert machine.tree() == expected
    assert machine.steps() == UP_TO_KUBELET


@pytest.mark.parametrize("event", ["before-state", "after-state"])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_killed_around_the_state_it_goes_on_from_there(machine, event, count):
    code, _ = machine.run(before=[str(KILL), event, str(count)])
    assert code == -9
    finished = count if event == "after-state" else count - 1
    steps = UP_TO_KUBELET
    assert (machine.steps() if finished else []) == steps[:finished]
    code, output = machine.run()
    assert code == 1
    ran = [line.split()[1] for line in output.splitlines() if line.endswith(" s")]
    assert ran == ["fetch", "verify", "clock", "mend", *steps[finished:]]
    assert machine.tree() == written("master")


def test_a_done_step_is_not_repeated(machine):
    machine.run()
    before = scratch.snapshot(machine.root / "etc/kubernetes")
    machine.run()
    assert scratch.snapshot(machine.root / "etc/kubernetes") == before


def test_the_state_of_another_payload_does_not_count(machine):
    machine.run()
    machine.body = {**machine.body, "kubernetesVersion": "v1.37.3", "ignorePreflightErrors": ["all"]}
    machine.deliver(machine.body)
    assert "kgen: files" in machine.run()[1]


def test_only_one_line_a_step(machine):
    _, output = machine.run()
    steps = [line for line in output.partition("***")[0].splitlines() if not line.startswith("warning ")]
    assert [line.split()[:2] for line in steps] == [
        ["kgen:", name] for name in ("fetch", "verify", "clock", "mend", *UP_TO_KUBELET)
    ]


def damage(text: str) -> str:
    return text.replace('"waitFactor":1', '"waitFactor":2')


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (damage, "damaged"),
        (lambda text: text[: len(text) // 2], "damaged"),
        (lambda text: "", "damaged"),
        (lambda text: "[]", "damaged"),
        (lambda text: "{}", "damaged"),
        (lambda text: text.replace('"format":1', '"format":2'), "format"),
        (lambda text: text.replace('"runner":"', '"runner":"0'), "runner"),
    ],
)
def test_a_damaged_payload_is_refused(machine, change, reason):
    path = machine.root / PAYLOAD
    path.write_text(change(path.read_text()))
    code, output = machine.run()
    assert code == 4
    assert reason in failure(output)
    assert "rebuild" in machine.status()["hint"]
    assert machine.tree() == {}


def test_a_damaged_runner_is_refused(machine):
    machine.runner.write_text(machine.runner.read_text() + "\n")
    assert machine.run()[0] == 4


def test_a_missing_payload_is_said(machine):
    (machine.root / PAYLOAD).unlink()
    code, output = machine.run()
    assert code == machine.status()["exit_code"] == 4
    assert f"payload /{PAYLOAD} is missing" in failure(output)


def test_an_expired_certificate_stops_at_once_and_is_named(tmp_path):
    day = 86400
    validity = {"ca.crt": [0, time.time() + day], "etcd/peer.crt": [0, time.time() - day]}
    machine = Scratch(tmp_path, body(validity=validity))
    code, _ = machine.run()
    status = machine.status()
    assert code == status["exit_code"] == 2
    assert "etcd/peer.crt expired" in status["error"]
    assert "kgen certs renew cluster.yaml etcd/peer, render again and rebuild" in status["hint"]
    assert machine.tree() == {}


def test_a_clock_behind_is_waited_for_and_then_said(tmp_path):
    validity = {"ca.crt": [time.time() + 3600, time.time() + 7200]}
    machine = Scratch(tmp_path, body(validity=validity, waitFactor=0.002))
    code, output = machine.run()
    assert code == 3
    assert "the clock is behind" in output
    assert machine.status()["step"] == "clock"


def test_a_clock_behind_that_is_corrected_is_no_failure(tmp_path):
    validity = {"ca.crt": [time.time() + 1.5, time.time() + 7200]}
    machine = Scratch(tmp_path, body(validity=validity))
    assert machine.run()[0] == 1
    assert machine.status()["step"] == "kubelet"


def test_preflight_reports_all_findings_at_once(tmp_path):
    machine = Scratch(tmp_path, body(name="another", addresses=["192.0.2.1", "2001:db8::1"]))
    machine.put("etc/kubernetes/manifests/etcd.yaml", "")
    code, output = machine.run()
    assert code == 2
    error = machine.status()["error"]
    assert error in output
    for finding in (
        "FileAvailable--etc-kubernetes-manifests-etcd.yaml: /etc/kubernetes/manifests/etcd.yaml exists",
        "KgenAddress: 192.0.2.1 ",
        "KgenAddress: 2001:db8::1 ",
        f"KgenNodeName: hostname is {scratch.HOST}, not another",
    ):
        assert finding in error
    assert "ignorePreflightErrors" in machine.status()["hint"]
    assert list(machine.tree()) == ["/etc/kubernetes/manifests/etcd.yaml"]


@pytest.mark.parametrize("ignored", [[*scratch.NOT_HERE, "kgenaddress", "kgennodename"], ["all"]])
def test_ignored_findings_are_warnings(tmp_path, ignored):
    machine = Scratch(tmp_path, body(name="another", addresses=["192.0.2.1"], ignorePreflightErrors=ignored))
    code, output = machine.run()
    assert code == 1
    assert "warning KgenAddress: 192.0.2.1 " in output
    assert "warning KgenNodeName" in output
    assert machine.status()["step"] == "kubelet"


def test_a_parameter_that_cannot_be_set_stops_unless_it_is_the_bridges(machine):
    bridge, forward = (machine.root / "proc/sys" / path for path in ("net/bridge", "net/ipv4"))
    for path in (*bridge.iterdir(), bridge):
        path.unlink() if path.is_file() else path.rmdir()
    code, output = machine.run()
    assert code == 1
    assert "warning: " in output
    for path in (*forward.iterdir(), forward):
        path.unlink() if path.is_file() else path.rmdir()
    (machine.root / STATE).unlink()
    for path in machine.tree():
        (machine.root / path[1:]).unlink()
    code, output = machine.run()
    assert code == 2
    assert "net.ipv4.ip_forward" in output


def test_a_module_that_is_not_there_is_a_warning(machine):
    (machine.root / "sys/module/br_netfilter").rmdir()
    code, output = machine.run()
    assert code == 1
    assert "warning: no module br_netfilter" in output


def test_a_component_that_never_answers_is_named_with_its_url(tmp_path):
    etcd = {**body()["etcd"], "healthURL": "http://127.0.0.1:1/readyz"}
    machine = Scratch(tmp_path, body(etcd=etcd, waitFactor=0.001))
    code, output = machine.run(kubelet="true")
    assert code == 3
    assert "waiting for etcd at http://127.0.0.1:1/readyz: [Errno 111] Connection refused" in output
    assert machine.status()["exit_code"] == 3
    assert "/etc/kubernetes/manifests/etcd.yaml" in machine.tree()
    # A single member's API server may start beside it, the controllers may not.
    assert "/etc/kubernetes/manifests/kube-apiserver.yaml" in machine.tree()
    assert "/etc/kubernetes/manifests/kube-scheduler.yaml" not in machine.tree()


def test_while_it_waits_the_status_says_for_what(tmp_path):
    etcd = {**body()["etcd"], "healthURL": "http://127.0.0.1:1/readyz"}
    machine = Scratch(tmp_path, body(etcd=etcd))
    running = subprocess.Popen(machine.command("true"), stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        status = {}
        while status.get("phase") != "waiting":
            assert time.monotonic() < deadline
            path = machine.root / scratch.STATUS
            status = json.loads(path.read_text()) if path.exists() else {}
        assert status["step"] == "etcd"
        assert "http://127.0.0.1:1/readyz" in status["error"]
        assert verb(machine, "--status")[0] == 3
    finally:
        running.kill()
        running.wait()


def verb(machine, *words, **environment):
    command = [*machine.python, str(machine.runner), "--root", str(machine.root), *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment or None)
    return machine.checked(done)


def test_after_done_nothing_changes(machine):
    (machine.root / PAYLOAD).unlink()
    machine.put(DONE, "{}")
    before = scratch.snapshot(machine.root)
    assert machine.run() == (0, "")
    assert scratch.snapshot(machine.root) == before
    assert verb(machine, "--status") == (0, "done\n")


def finished(machine):
    """Make the machine one that has finished with its payload, which was then delivered again."""
    sha256 = json.loads((machine.root / PAYLOAD).read_text())["sha256"]
    machine.put(DONE, json.dumps({"payload": sha256, "hostname": "m1"}))
    machine.put("var/lib/cloud/instances/i-2/user-data.txt.i", "copy")
    return sha256


def test_a_payload_that_is_delivered_again_goes_with_its_copies(machine):
    finished(machine)
    assert machine.run() == (0, "")
    assert not (machine.root / PAYLOAD).exists()
    assert (machine.root / "var/lib/cloud/instances/i-2/user-data.txt.i").read_text() == ""
    assert machine.tree() == {"/var/lib/cloud/instances/i-2/user-data.txt.i": (0o600, b"")}
    assert verb(machine, "--status") == (0, "done\n")


@pytest.mark.parametrize(("is_done", "is_over", "is_kept"), [(0, 0, True), (0, 1, False), (1, 0, False)])
def test_cloud_inits_copies_are_kept_until_its_last_stage_is_over(machine, is_done, is_over, is_kept):
    sha256 = finished(machine)
    if not is_done:
        (machine.root / DONE).unlink()
        steps = re.findall(r"^    (\w+),$", resources.runner_source("master").partition("STEPS = ")[2], re.MULTILINE)
        assert steps[-2:] == ["cleanup", "done"]
        machine.put(STATE, json.dumps({sha256: {step.replace("_", "-"): 0.1 for step in steps[:-2]}}))
    machine.put("var/lib/cloud/instances/i-2/obj.pkl", "copy")
    machine.put("run/kgen/client.pem", "copy")
    if is_over:
        machine.put("run/cloud-init/result.json", "{}")
    assert machine.run(kubelet="true")[0] == 0
    for name in ("obj.pkl", "user-data.txt.i"):
        assert (machine.root / "var/lib/cloud/instances/i-2" / name).read_text() == "copy" * is_kept
    assert (machine.root / "run/kgen/client.pem").read_text() == ""


@pytest.mark.parametrize("is_damaged", [False, True])
def test_another_payload_is_not_applied_but_named(machine, is_damaged):
    first = finished(machine)
    machine.deliver({**machine.body, "kubernetesVersion": "v1.37.3"})
    delivered = machine.root / PAYLOAD
    second = json.loads(delivered.read_text())["sha256"]
    if is_damaged:
        delivered.write_bytes(delivered.read_bytes()[:80] + b"\xff")
        second = "(damaged)"
    code, output = machine.run()
    assert code == 2
    assert failure(output) == f"later failed: payload {second} is not applied, this machine has {first}"
    assert machine.status()["error"] in output
    assert machine.status()["hint"] == "rebuild this machine"
    assert not delivered.exists()
    assert list(machine.tree()) == ["/var/lib/cloud/instances/i-2/user-data.txt.i"]
    assert verb(machine, "--status")[0] == 2


def test_status_tells_the_story(machine):
    assert verb(machine, "--status") == (
        3,
        "not started yet: see cloud-init status --long\n",
    )
    machine.run()
    code, output = verb(machine, "--status")
    assert code == 1
    *steps, phase, error, hint = output.splitlines()
    assert [line.split()[0] for line in steps] == UP_TO_KUBELET
    assert all(re.fullmatch(r"\S+ \d+\.\d s", line) for line in steps)
    assert re.fullmatch(r"failed in step kubelet, \d+ s since the start", phase)
    assert (error, hint) == (f"cannot {START}", "see journalctl -u kubelet")


@pytest.mark.parametrize("words", [["--help"], ["status"], ["--status", "--all"], ["--launch", "now"]])
def test_a_wrong_argument_starts_nothing(machine, words):
    before = scratch.snapshot(machine.root)
    assert verb(machine, *words) == (2, "usage: kgen-firstboot --status\n")
    assert scratch.snapshot(machine.root) == before


def test_the_log_of_what_does_not_answer_is_told(tmp_path):
    etcd = {**body()["etcd"], "healthURL": "http://127.0.0.1:1/readyz"}
    machine = Scratch(tmp_path, body(etcd=etcd, waitFactor=0.001))
    _, output = machine.run(kubelet="true")
    assert machine.status()["error"].endswith("; etcd: no log, has the kubelet started etcd?")
    prefix = "2026-11-24T00:00:00.000000001Z stderr F "
    lines = [f"{prefix}line {number}\n" for number in range(20)]
    machine.put("var/log/pods/kube-system_etcd-m1_0f/etcd/0.log", "".join(lines))
    newest = [*lines, f"{prefix}token abcdef.0123456789abcdef\n", f"{prefix}panic: no space\n"]
    machine.put("var/log/pods/kube-system_etcd-m1_0f/etcd/1.log", "".join(newest))
    os.utime(machine.root / "var/log/pods/kube-system_etcd-m1_0f/etcd/0.log", (0, 0))
    code, output = machine.run(kubelet="true")
    assert code == 3
    told = [line for line in output.splitlines() if line.startswith("etcd: ")]
    assert told == [*(f"etcd: line {number}" for number in range(12, 20)), "etcd: panic: no space"]
    assert machine.status()["error"].endswith("Connection refused; etcd: panic: no space")


def test_both_sides_hash_a_body_that_is_not_ascii_alike(tmp_path):
    machine = Scratch(tmp_path, body(node={"metadata": {"labels": {"köln": "\u2028\U0001f600"}}}))
    assert "\\ud83d" in payload_json.canonical(machine.body)
    assert machine.run()[0] == 1


def test_a_file_that_cannot_be_written_whole_is_named_and_the_one_before_stays(tmp_path):
    path = tmp_path / "there"
    base.write(str(path), "before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, limits[1]))  # a write over it fails, as on a full disk
    try:
        with pytest.raises(OSError, match=re.escape(f"'{path}'")):
            base.write(str(path), "too long by far")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == "before"
