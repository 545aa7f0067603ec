"""The shipped runner, run as the script it is, below a scratch root."""

import json
import os
import re
import resource
import socket
import stat
import subprocess
import time
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from tests import clusters
from tests.unit.runner import scratch
from tests.unit.runner.scratch import DONE, PAYLOAD, PYTHONS, STATE, STATUS, Scratch, python_of

from kgen import payload as model
from kgen.firstboot import payload_json
from kgen.model import File, HttpProxy
from kgen.payload import expand
from kgen.runner import base, master, payload
from kgen.runner.loop import ONCE

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
    assert continuation == ["Then run: systemctl start kgen-firstboot"] * (not re.search("render|reb|apply", remedy))
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
    assert status["error"] == f"systemctl {START} failed"
    assert status["hint"] == "see journalctl -u kubelet"
    assert failure(output) == f"kubelet failed: systemctl {START} failed"
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


def test_systemctl_calls_stop_at_the_first_failure(tmp_path):
    machine = Scratch(tmp_path, body(systemctl=["enable containerd", "restart containerd", "enable --now kubelet"]))
    calls = tmp_path / "calls"
    stand_in = tmp_path / "systemctl"
    stand_in.write_text(f'echo "$@" >> {calls}; test $# = 2\n')
    assert machine.run(kubelet=f"sh {stand_in}")[0] == 1
    assert calls.read_text().splitlines() == ["enable containerd", "restart containerd", "enable --now kubelet"]
    stand_in.write_text("test $1 = enable")
    assert machine.run(kubelet=f"sh {stand_in}")[0] == 1
    assert machine.status()["error"] == "systemctl restart containerd failed"
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
def test_empty_certificates_of_the_kubelet_are_removed_after_a_power_cut(tmp_path, contents, stay, current):
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


def test_systemctl_is_called_again_after_a_power_cut(tmp_path):
    machine = Scratch(tmp_path, body(etcd={**body()["etcd"], "healthURL": "http://127.0.0.1:1"}, waitFactor=0.001))
    for _ in range(2):
        code, output = machine.run(kubelet="true")
        assert code == 3
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


@pytest.mark.parametrize(
    ("path", "calls"),
    [
        ("/etc/containerd/conf.d/a.toml", ["enable containerd", "restart containerd"]),
        ("/etc/systemd/system/containerd.service.d/a.conf", ["enable containerd", "restart containerd"]),
        ("/etc/systemd/system/a.service", ["daemon-reload"]),
        ("/etc/a", []),
    ],
)
def test_what_reads_a_users_file_is_restarted(path, calls):
    file = File(PurePosixPath(path), "", 0o644)
    cluster = clusters.one_master()
    made = scratch.payloads(replace(cluster, machines=(replace(cluster.machines[0], files=(file,)),)))["m1"]
    assert made.parameters["systemctl"] == [*calls, START]


NASTY = "\ufeffa\r\nb\x85c\u2028{{ d }} ${e} 'f' \"g\" \\h \u202e" + "x" * 10_000


@pytest.mark.parametrize("role", ["master", "node"])
def test_the_users_files_are_there_before_the_kubelet_starts(tmp_path, role):
    files = [["/etc/deep/a b'", "0640", "files", [NASTY]], *body(role)["files"]]
    owners = {"/etc/deep/a b'": f"{os.getuid()}:{os.getgid()}"}
    machine = Scratch(tmp_path, {**scratch.body_up_to_the_kubelet(role), "files": files, "owners": owners})
    machine.run()
    found = tmp_path / "etc/deep/a b'"
    assert found.read_bytes() == NASTY.encode()
    assert stat.S_IMODE(found.stat().st_mode) == 0o640
    assert "kubelet" not in machine.steps()


def test_an_owner_who_does_not_exist_is_named(tmp_path):
    machine = Scratch(tmp_path, body(owners={"/etc/sysctl.d/kgen.conf": "nobody-of-this-name"}))
    code, output = machine.run()
    assert code == 2
    assert failure(output) == "files failed: /etc/sysctl.d/kgen.conf cannot be given to nobody-of-this-name"


def test_a_node_with_static_pods_starts_its_kubelet_first(tmp_path):
    """A static pod may be the way to the endpoint."""
    changed = scratch.body_up_to_the_kubelet("node")
    for files, calls in ([], []), ([["/etc/kubernetes/manifests/lb.yaml", "0600", "files", ""]], [START]):
        root = tmp_path / str(len(calls))
        machine = Scratch(root, {**changed, "files": [*changed["files"], *files]})
        stand_in = root / "systemctl"
        stand_in.write_text(f'echo "$@" >> {root}/calls\n')
        (root / "calls").touch()
        assert machine.run(kubelet=f"sh {stand_in}")[0] == 3
        assert (root / "calls").read_text().splitlines() == calls


def test_directories_have_their_modes(machine):
    machine.run()
    for path, mode in machine.body["directories"].items():
        assert stat.S_IMODE((machine.root / path[1:]).stat().st_mode) == int(mode, 8), path
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
def test_a_run_killed_around_the_state_file_continues(machine, event, count):
    code, _ = machine.run(before=[str(KILL), event, str(count)])
    assert code == -9
    finished = count if event == "after-state" else count - 1
    steps = UP_TO_KUBELET
    assert (machine.steps() if finished else []) == steps[:finished]
    code, output = machine.run()
    assert code == 1
    ran = [line.split()[1] for line in output.splitlines() if line.endswith(" s")]
    assert ran == ["fetch", "clock", "mend", *steps[finished:]]
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
        ["kgen:", name] for name in ("fetch", "clock", "mend", *UP_TO_KUBELET)
    ]


@pytest.fixture(params=["master", "node"])
def failed(request, tmp_path):
    """A machine whose first boot has failed after it had started the kubelet, and what systemctl was called with."""
    machine = Scratch(tmp_path, scratch.body_up_to_the_kubelet(request.param))
    calls = tmp_path / "calls"
    stand_in = tmp_path / "systemctl"
    stand_in.write_text(f'echo "$@" >> {calls}; test "$1" != enable\n')
    machine.systemctl = f"sh {stand_in}"
    machine.run(kubelet=machine.systemctl)
    machine.put("etc/kubernetes/kubelet.conf", "the kubelet's own")
    machine.put("var/lib/etcd/member/wal/0.wal", "")
    calls.write_text("")
    return machine, calls


def correct(machine, **changes):
    """Deliver a payload of the same cluster with another kubelet configuration."""
    path = "/var/lib/kubelet/config.yaml"
    files = [[*file[:3], "corrected"] if file[0] == path else file for file in machine.body["files"]]
    machine.body = {**machine.body, "files": files, "resolvConf": False, **changes}
    machine.deliver(machine.body)


def test_a_corrected_payload_is_taken_after_a_failed_first_boot(failed):
    machine, calls = failed
    steps = machine.steps()
    correct(machine)
    code, output = machine.run(kubelet=machine.systemctl)
    assert machine.steps() == steps, output
    assert machine.tree()["/var/lib/kubelet/config.yaml"][1] == b"corrected"
    assert calls.read_text().splitlines()[0] == "disable --now kubelet"
    calls.write_text("")
    assert machine.run(kubelet=machine.systemctl)[0] == code
    assert "disable" not in calls.read_text()


def test_a_corrected_payload_waits_until_earlier_static_pods_stop(tmp_path):
    machine = Scratch(tmp_path, body())
    machine.run()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        manifest = tmp_path / "etc/kubernetes/manifests/etcd.yaml"
        words = ["sh", "-c", f"until grep -qs waiting {tmp_path / STATUS} || ! test -d {tmp_path}; do sleep 0.1; done"]
        with subprocess.Popen(words, pass_fds=[listener.fileno()]):
            listener.close()
            assert manifest.exists()
            correct(machine, ports=[["127.0.0.1", port], ["", 10250]])
            _, output = machine.run()
    assert "waiting for the earlier static pods to stop: " in output
    assert machine.steps() == UP_TO_KUBELET
    assert manifest.exists()


def test_a_payload_of_another_cluster_is_refused_after_a_failed_first_boot(failed):
    machine, calls = failed
    correct(machine)
    machine.put("etc/kubernetes/pki/ca.crt", "another CA")
    code, _ = machine.run(kubelet=machine.systemctl)
    assert code == 2
    error = machine.status()["error"]
    assert "/etc/kubernetes/pki/ca.crt exists: remove what another cluster left" in error
    assert calls.read_text() == ""


def test_files_that_no_first_boot_has_left_are_refused(failed):
    machine, calls = failed
    correct(machine)
    (machine.root / STATE).unlink()
    assert machine.run(kubelet=machine.systemctl)[0] == 2
    assert "/etc/kubernetes/kubelet.conf exists" in machine.status()["error"]
    assert calls.read_text() == ""


def damage(text: str) -> str:
    document = json.loads(text)
    document["body"]["waitFactor"] = 2
    return json.dumps(document)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (damage, "damaged"),
        (lambda text: text[: len(text) // 2], "damaged"),
        (lambda text: "", "damaged"),
        (lambda text: "[]", "damaged"),
        (lambda text: "{}", "damaged"),
    ],
)
def test_a_damaged_payload_is_refused(machine, change, reason):
    path = machine.root / PAYLOAD
    path.write_text(change(path.read_text()))
    code, output = machine.run()
    assert code == 4
    assert reason in failure(output)
    assert "kgen render" in machine.status()["hint"]
    assert machine.tree() == {}


@pytest.mark.parametrize("other", [1, 4, "2"])
def test_a_payload_of_another_format_is_refused_in_one_sentence(machine, other):
    path = machine.root / PAYLOAD
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": other}))
    code, output = machine.run()
    assert code == 4
    assert f"the payload has format {other}, this program takes 2 or 3" in failure(output)
    assert "kgen bake" in machine.status()["hint"]
    assert machine.tree() == {}


@pytest.mark.parametrize(("formats", "code"), [("(1, 2)", 0), ("(1,)", 4)])
def test_an_image_made_by_another_kgen_boots_what_its_program_takes(tmp_path, formats, code):
    machine = Scratch(tmp_path, scratch.body_up_to_the_kubelet("master"))
    program = machine.runner.read_text()
    assert "FORMATS = (2, 3)" in program
    machine.runner.write_text(program.replace("FORMATS = (2, 3)", f"FORMATS = {formats}") + "\n# another build\n")
    ended, output = machine.run()
    if code:
        assert ended == code
        assert "has format 2, this program takes 1" in failure(output)
    else:
        assert "etcd-guard" in machine.steps()


def test_kgen_writes_a_format_that_its_program_takes():
    assert (model.FORMAT, model.FORMAT_WITH_OWN_VALUES) == payload.FORMATS


def test_the_layout_of_the_payload_does_not_matter(machine):
    path = machine.root / PAYLOAD
    path.write_text(json.dumps(json.loads(path.read_text()), indent=3))
    assert machine.run()[0] == 1
    assert machine.steps() == UP_TO_KUBELET


@pytest.mark.parametrize("role", ["master", "node"])
def test_the_program_of_an_image_writes_what_that_of_a_document_writes(tmp_path, role):
    told = scratch.body_up_to_the_kubelet(role)
    baked, embedded = scratch.Baked(tmp_path / "baked", told), Scratch(tmp_path / "embedded", told)
    assert baked.run()[0] == embedded.run()[0]
    assert baked.steps() == embedded.steps()
    assert baked.tree() == embedded.tree()


def test_a_missing_payload_is_reported(machine):
    (machine.root / PAYLOAD).unlink()
    code, output = machine.run()
    assert code == machine.status()["exit_code"] == 4
    assert f"/{PAYLOAD} is missing" in failure(output)


def test_an_expired_ca_has_another_remedy_than_a_leaf(tmp_path):
    machine = Scratch(tmp_path, body(validity={"etcd/ca.crt": [0, time.time() - 86400]}))
    assert machine.run()[0] == 2
    assert "kgen render --new-cluster" in machine.status()["hint"]
    assert "certs renew" not in machine.status()["hint"]


def test_an_expired_certificate_stops_at_once_and_is_named(tmp_path):
    day = 86400
    validity = {"ca.crt": [0, time.time() + day], "etcd/peer.crt": [0, time.time() - day]}
    machine = Scratch(tmp_path, body(validity=validity))
    code, _ = machine.run()
    status = machine.status()
    assert code == status["exit_code"] == 2
    assert "etcd/peer.crt expired" in status["error"]
    assert "kgen certs renew cluster.yaml etcd/peer, then run kgen render" in status["hint"]
    assert machine.tree() == {}


def test_a_slow_clock_is_waited_for_and_then_reported(tmp_path):
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
    assert "waiting" not in output
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
    assert "warning: cannot load kernel modules: br_netfilter" in output


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


def test_without_root_it_stops_before_it_touches_anything(machine):
    done = subprocess.run(["unshare", "--user", *machine.python, machine.runner], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "kgen: only root can do this: use sudo\n")
    assert done.stderr == ""


def verb(machine, *words, **environment):
    command = [*machine.python, str(machine.runner), "--root", str(machine.root), *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment or None)
    return machine.checked(done)


def test_after_done_nothing_changes(machine):
    (machine.root / PAYLOAD).unlink()
    machine.put(DONE, json.dumps({"hostname": socket.gethostname()}))
    before = scratch.snapshot(machine.root)
    assert machine.run() == (0, "")
    assert scratch.snapshot(machine.root) == before
    assert verb(machine, "--status") == (0, "done\n")


def finished(machine):
    """Make the machine one that has finished with its payload, which was then delivered again."""
    sha256 = json.loads((machine.root / PAYLOAD).read_text())["sha256"]
    machine.put(DONE, json.dumps({"payload": sha256, "hostname": socket.gethostname()}))
    machine.put("var/lib/cloud/instances/i-2/user-data.txt.i", "copy")
    return sha256


def test_a_payload_delivered_again_is_removed_with_its_copies(machine):
    finished(machine)
    seed = machine.root / "var/lib/cloud/seed/nocloud/user-data"
    document = '#cloud-config\nhostname: m1\nwrite_files:\n- path: "/etc/kgen/payload.json"\n  content: a\n'
    machine.put(seed.relative_to(machine.root), document)
    assert machine.run() == (0, "")
    assert not (machine.root / PAYLOAD).exists()
    assert (machine.root / "var/lib/cloud/instances/i-2/user-data.txt.i").read_text() == ""
    assert seed.read_text() == "#cloud-config\nhostname: m1\n"
    seed.unlink()
    assert machine.tree() == {"/var/lib/cloud/instances/i-2/user-data.txt.i": (0o600, b"")}
    assert verb(machine, "--status") == (0, "done\n")


@pytest.mark.parametrize(("is_done", "is_over", "is_kept"), [(0, 0, True), (0, 1, False), (1, 0, False)])
def test_cloud_inits_copies_are_kept_until_its_last_stage_is_over(machine, is_done, is_over, is_kept):
    sha256 = finished(machine)
    if not is_done:
        (machine.root / DONE).unlink()
        steps = [step.__name__.replace("_", "-") for step, when in master.STEPS if when == ONCE]
        machine.put(STATE, json.dumps({sha256: dict.fromkeys(steps, 0.1)}))
    machine.put("var/lib/cloud/instances/i-2/obj.pkl", "copy")
    machine.put("run/kgen/client.pem", "copy")
    if is_over:
        machine.put("run/cloud-init/result.json", "{}")
    code, output = machine.run(kubelet="true")
    assert code == 0
    # The copy is no pickle.
    assert ("kgen: emptied cloud-init's obj.pkl: " in output) == (not is_kept)
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
    assert failure(output) == (
        f"later failed: the user-data has payload {second}, which is not applied: this machine has {first}"
    )
    assert machine.status()["error"] in output
    assert machine.status()["hint"].startswith("kgen apply cluster.yaml ")
    assert not delivered.exists()
    assert list(machine.tree()) == ["/var/lib/cloud/instances/i-2/user-data.txt.i"]
    assert verb(machine, "--status")[0] == 2


def test_a_clone_under_another_hostname_stops_and_keeps_no_secret(machine):
    sha256 = finished(machine)
    machine.put(DONE, json.dumps({"payload": sha256, "hostname": "m1-of-the-image"}))
    code, output = machine.run(kubelet=f"touch {machine.root}/started;")
    assert code == 2
    assert failure(output).startswith(
        "later failed: this machine was m1-of-the-image of its cluster, and its hostname is "
    )
    assert "Then run" not in output
    assert not (machine.root / PAYLOAD).exists()
    assert (machine.root / "var/lib/cloud/instances/i-2/user-data.txt.i").read_text() == ""
    assert not (machine.root / "started").exists()


def test_a_machine_whose_hostname_came_late_starts_its_kubelet(machine):
    finished(machine)
    assert machine.run(kubelet=f"touch {machine.root}/started;")[0] == 0
    assert (machine.root / "started").exists()


def test_payload_from_before_an_apply_is_no_failure(machine):
    first = finished(machine)
    record = machine.root / "var/lib/kgen/done"
    record.write_text(json.dumps({**json.loads(record.read_text()), "payload": "0" * 64, "earlier": [first]}))
    machine.deliver(machine.body)
    assert machine.run()[0] == 0
    assert not (machine.root / PAYLOAD).exists()


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
    assert (error, hint) == (f"systemctl {START} failed", "see journalctl -u kubelet")


@pytest.mark.parametrize("words", [["--help"], ["status"], ["--status", "--all"], ["--launch", "now"]])
def test_a_wrong_argument_starts_nothing(machine, words):
    before = scratch.snapshot(machine.root)
    assert verb(machine, *words) == (2, "usage: kgen-firstboot --status\n")
    assert scratch.snapshot(machine.root) == before


def test_a_failed_wait_shows_the_components_log(tmp_path):
    etcd = {**body()["etcd"], "healthURL": "http://127.0.0.1:1/readyz"}
    machine = Scratch(tmp_path, body(etcd=etcd, waitFactor=0.001))
    _, output = machine.run(kubelet="true")
    assert machine.status()["error"].endswith("; etcd: no log, has the kubelet started it?")
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


@pytest.mark.parametrize("content", ["", "{", "[]", "\xff"])
@pytest.mark.parametrize("path", [STATE, DONE, "etc/kgen/image.json"])
def test_a_damaged_file_is_named_in_a_sentence(machine, path, content):
    machine.put(path, content)
    code, output = machine.run()
    assert code == 2
    assert f"{machine.root / path} is damaged: it is not a JSON object" in failure(output)
    assert "then reboot" in machine.status()["hint"]


def test_a_kernel_configuration_that_is_damaged_is_named(machine):
    path = machine.root / "proc/config.gz"
    path.write_bytes(b"\x1f\x8b not gzip")
    code, output = machine.run()
    assert code == 2
    assert f"{path} is damaged" in failure(output)


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
