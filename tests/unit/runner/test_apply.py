"""The program of `kgen apply`: what it refuses, what it puts back, and what it says. Nothing is restarted here."""

import json
import os
import signal
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.unit.runner import scratch
from tests.unit.runner.scratch import HOST

from kgen.firstboot import payload_json
from kgen.firstboot.program import apply_program
from kgen.runner import apply, restart
from kgen.runner.base import FAILED, Run, Stop

SCHEDULER = "/etc/kubernetes/manifests/kube-scheduler.yaml"


@pytest.fixture(params=["master", "node"])
def role(request):
    return request.param


def machine(root, role="master"):
    """Return a run on a machine that has the rendered files."""
    run = Run(str(root), "true")
    run.body = scratch.body_for_this_host(scratch.default_payloads()[role], waitFactor=0.001)
    run.sha256 = payload_json.checksum(run.body)
    for path, mode, text in list(apply.rendered(run)):
        apply.write(run.root + path, text, mode)
    apply.write(run.root + apply.DONE, json.dumps({"payload": "before", "hostname": HOST}))
    if role == "node":
        apply.write(run.root + apply.KUBELET_CONF, f"clusters:\n- cluster:\n    server: {run.body['server']}\n")
    return run


def change(run, path, text="another\n"):
    apply.write(run.root + path, text)


def refused(run):
    with pytest.raises(Stop) as stop:
        apply.apply(run)
    return stop.value.args


def test_a_machine_with_the_rendered_files_needs_nothing(tmp_path, role, capsys):
    apply.apply(machine(tmp_path, role))
    assert "nothing to change" in capsys.readouterr().out
    assert json.loads((tmp_path / "var/lib/kgen/done").read_text())["earlier"] == ["before"]


def test_a_name_that_only_begins_the_same_is_another_machine(tmp_path):
    run = machine(tmp_path)
    change(run, apply.KUBELET_FLAGS, 'KUBELET_KUBEADM_ARGS="--hostname-override=m10"\n')
    run.body["name"] = "m1"
    assert "not m1" in refused(run)[1]
    run.body["name"] = "m10"
    apply.right_machine(run)


def test_an_endpoint_that_the_kubelet_would_not_learn_of_is_refused(tmp_path):
    run = machine(tmp_path, "node")
    run.body["server"] = "https://new.example.com:6443"
    assert "the cluster's endpoint is" in refused(run)[1]


def test_another_pod_subnet_is_refused_and_a_first_one_is_not(tmp_path):
    run = machine(tmp_path)
    path = "/etc/kubernetes/manifests/kube-controller-manager.yaml"
    there = tmp_path / path[1:]
    there.write_text(there.read_text() + "    - --cluster-cidr=10.244.0.0/16\n")
    assert "the pod subnet is 10.244.0.0/16 here and empty" in refused(run)[1]
    there.write_text(there.read_text().replace("    - --cluster-cidr=10.244.0.0/16\n", ""))
    apply.possible(run)


def test_static_pods_are_not_touched_while_the_kubelet_is_away(tmp_path):
    run = machine(tmp_path)
    change(run, restart.KUBELET_CONFIG, "healthzPort: 1\n")
    change(run, SCHEDULER)
    assert "the kubelet does not answer" in refused(run)[1]
    assert (tmp_path / SCHEDULER[1:]).read_text() == "another\n"
    assert not (tmp_path / apply.COPIES[1:]).exists()


@pytest.fixture
def kubelet(monkeypatch):
    """Let the kubelet answer, and every component be healthy at once; return the calls of systemctl."""
    calls = []
    monkeypatch.setattr(apply, "kubelet_runs", lambda run: None)
    monkeypatch.setattr(restart, "kubelet_health", lambda run: None)
    monkeypatch.setattr(restart, "watch", lambda *_: None)
    monkeypatch.setattr(restart, "systemctl", lambda run, words: calls.append(words))
    return calls


def started(run, manifest):
    """Start a process with the command line of a static pod, which /proc below the root then shows."""
    words = yaml.safe_load(apply.read(run.root + manifest))["spec"]["containers"][0]["command"]
    process = subprocess.Popen([words[0], "-c", "import time; time.sleep(60)", *words[1:]], executable=sys.executable)
    folder = f"{run.root}/proc/{process.pid}"
    apply.write(folder + "/cmdline", "\0".join(words) + "\0")
    return process


def test_a_component_that_does_not_stop_keeps_a_manifest(tmp_path, kubelet):
    run = machine(tmp_path)
    change(run, SCHEDULER, (tmp_path / SCHEDULER[1:]).read_text() + "# changed\n")
    process = started(run, SCHEDULER)
    try:
        code, error, hint = refused(run)
    finally:
        process.kill()
        process.wait()
    assert code == FAILED
    assert "then this machine was not put back as it was" in error
    assert "run the script again" in hint
    assert (tmp_path / SCHEDULER[1:]).read_text().endswith("# changed\n")
    assert json.loads((tmp_path / "run/kgen/status.json").read_text())["phase"] == "done"


def test_a_component_whose_manifest_stays_is_ended_for_the_kubelet_to_start(tmp_path, kubelet):
    run = machine(tmp_path)
    change(run, "/etc/kubernetes/scheduler.conf")
    process = started(run, SCHEDULER)
    other = started(run, "/etc/kubernetes/manifests/kube-controller-manager.yaml")
    try:
        with pytest.raises(Stop, match="gave up"):
            restart.restart_pod(run, "kube-scheduler", "", None, 0o600, apply.read(run.root + SCHEDULER))
        assert process.wait(10) == -signal.SIGTERM
        assert other.poll() is None
    finally:
        process.kill()
        other.kill()
        other.wait()
    assert kubelet == []


def test_a_component_that_does_not_run_starts_without_a_pause(tmp_path, kubelet):
    run = machine(tmp_path)
    change(run, "/etc/kubernetes/scheduler.conf")
    apply.apply(run)
    assert kubelet == ["restart kubelet"]


def test_only_what_was_restarted_is_put_back(tmp_path, kubelet, monkeypatch):
    run = machine(tmp_path)
    old = {path: apply.read(run.root + path) for path, _, _ in apply.rendered(run) if path.startswith(apply.MANIFESTS)}
    for path in old:
        change(run, path, old[path] + "# before\n")
    restarted = []

    def watch(run, name, *_):
        restarted.append(name)
        if name == "kube-apiserver" and len(restarted) == 2:
            raise Stop(3, "gave up", "")

    monkeypatch.setattr(restart, "watch", watch)
    assert "nothing has changed on this machine" in refused(run)[1]
    assert restarted == ["etcd", "kube-apiserver", "etcd", "kube-apiserver"]
    assert {path: apply.read(run.root + path) for path in old} == {path: old[path] + "# before\n" for path in old}


def test_what_is_no_longer_rendered_is_removed_and_a_copy_kept(tmp_path, role, kubelet, capsys):
    run = machine(tmp_path, role)
    drop_in, users = "/etc/systemd/system/containerd.service.d/kgen-proxy.conf", "/etc/hosts.allow"
    change(run, drop_in)
    change(run, users)
    record = json.loads((tmp_path / "var/lib/kgen/done").read_text())
    (tmp_path / "var/lib/kgen/done").write_text(json.dumps({**record, "files": [drop_in, users]}))
    apply.apply(run)
    output = capsys.readouterr().out
    assert f"kgen: removing {drop_in}\n" in output
    assert f"kgen: no longer rendered, and not removed: {users}\n" in output
    assert not (tmp_path / drop_in[1:]).exists()
    assert (tmp_path / users[1:]).exists()
    assert (tmp_path / apply.LAST_COPIES[1:] / drop_in[1:]).read_text() == "another\n"
    assert kubelet == ["daemon-reload", "restart containerd", "restart kubelet"]
    assert json.loads((tmp_path / "var/lib/kgen/done").read_text())["files"] == [file[0] for file in run.body["files"]]


@pytest.mark.parametrize(
    ("recorded", "applied", "reason"),
    [
        ("web", "web", ""),
        (None, None, ""),
        ("web", "gpu", "this machine belongs to the pool web"),
        (None, "web", "this machine belongs to no pool"),
        ("web", None, "this machine belongs to the pool web"),
    ],
)
def test_files_of_another_pool_are_refused(tmp_path, recorded, applied, reason):
    run = machine(tmp_path, "node")
    apply.write(run.root + apply.DONE, json.dumps({"payload": "before", "pool": recorded}))
    if applied:
        run.body["pool"] = applied
    if reason:
        assert reason in refused(run)[1]
    else:
        apply.apply(run)


def test_a_pool_that_was_not_recorded_is_said_to_be_unchecked(tmp_path, capsys):
    run = machine(tmp_path, "node")
    run.body["pool"] = "web"
    apply.apply(run)
    assert "not checked that it is web" in capsys.readouterr().out


def test_new_files_that_are_taken_away_again_are_unloaded(tmp_path, monkeypatch):
    run = machine(tmp_path, "node")
    unit = "/etc/systemd/system/containerd.service.d/kgen-proxy.conf"
    run.body["files"] = [*run.body["files"], [unit, "0644", "files", "[Service]\n"]]
    calls = []

    def fails_once(run, words):
        calls.append(words)
        if len(calls) == 1:
            raise Stop(FAILED, "systemctl failed", "")

    monkeypatch.setattr(restart, "systemctl", fails_once)
    monkeypatch.setattr(restart, "kubelet_health", lambda run: None)
    assert "nothing has changed on this machine" in refused(run)[1]
    assert calls == ["daemon-reload", "daemon-reload", "restart containerd", "restart kubelet"]
    assert not (tmp_path / unit[1:]).exists()


def test_a_users_file_with_other_line_ends_is_not_taken_for_a_changed_one(tmp_path):
    run = machine(tmp_path, "node")
    run.body["files"] = [*run.body["files"], ["/etc/a", "0644", "files", ["a\r\n"]]]
    run.body["owners"] = {"/etc/a": str(os.getuid())}
    for changed in (["/etc/a"], []):
        found = list(apply.changed_files(run))
        assert [path for path, _, _ in found] == changed
        apply.replace(run, found)
        apply.keep_last(run)
    assert (tmp_path / "etc/a").read_bytes() == b"a\r\n"


def test_a_bug_puts_everything_back_and_quotes_nothing(tmp_path, monkeypatch):
    run = machine(tmp_path, "node")
    change(run, "/etc/kubernetes/bootstrap-kubelet.conf")

    def buggy(run, changed):
        raise KeyError("the payload")

    monkeypatch.setattr(apply, "replace", buggy)
    error = refused(run)[1]
    assert "a bug of kgen: KeyError" in error
    assert "the payload" not in error


def test_new_labels_start_the_timer_again(tmp_path, monkeypatch):
    run = machine(tmp_path)
    run.body["files"] = [*run.body["files"], [apply.LABELS, "0644", "files", "{}"]]
    calls = []
    monkeypatch.setattr(apply, "systemctl", lambda run, words: calls.append(words))
    apply.apply(run)
    assert calls == ["enable --now kgen-labels.timer"]


def test_copies_of_the_last_change_stay_when_there_is_nothing_to_change(tmp_path):
    run = machine(tmp_path)
    change(run, "/etc/kubernetes/admin.conf")
    apply.apply(run)
    apply.apply(run)
    assert (tmp_path / "var/lib/kgen/replaced-last/etc/kubernetes/admin.conf").read_text() == "another\n"


@pytest.mark.parametrize(("expired", "has_quorum"), [({"m2", "m3"}, False), ({"m3"}, True), (set(), True)])
def test_masters_with_expired_certificates_are_not_waited_for(tmp_path, monkeypatch, capsys, expired, has_quorum):
    run = machine(tmp_path)
    run.body["etcd"]["others"] = {"m2": "https://m2:2380", "m3": "https://m3:2380"}

    def get(link, path):
        if link.host in expired:
            problem = ssl.SSLCertVerificationError("certificate has expired")
            problem.verify_code = 10
            raise problem

    monkeypatch.setattr(apply, "get", get)
    assert apply.has_quorum(run) is has_quorum
    said = f"the certificates of {', '.join(sorted(expired))} have expired: use kgen apply there next"
    assert (said in capsys.readouterr().out) is bool(expired)


def test_a_master_that_is_away_for_another_reason_is_waited_for(tmp_path, monkeypatch):
    run = machine(tmp_path)
    run.body["etcd"]["others"] = {"m2": "https://127.0.0.1:1"}
    change(run, "/etc/kubernetes/admin.conf")
    assert refused(run)[2] == "wait until m2 serves"


def test_never_says_to_boot_a_running_machine_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (tmp_path / "payload.json").write_text("damaged")
    assert apply.main(str(tmp_path), str(tmp_path / "root"), "true") == 4
    output = capsys.readouterr().out
    assert "To do: run kgen render, then kgen apply again" in output
    assert "boot this machine" not in output
    assert "kgen: the payload is damaged" in output, "apply has its payload from elsewhere than the first boot"


def test_only_one_run_at_a_time(tmp_path):
    with apply.alone(Run(str(tmp_path), "true")), pytest.raises(Stop, match="another kgen apply"):
        apply.alone(Run(str(tmp_path), "true"))


def test_goes_on_when_its_output_is_gone(tmp_path):
    """A connection that is cut must not leave a component without its manifest."""
    program = apply_program().partition('if __name__ == "__main__":')[0]
    probe = "\nwith contextlib.redirect_stdout(Console(sys.stdout)):\n    print('gone')\n"
    command = [sys.executable, "-ISu", "-c", program + probe + f"open({str(tmp_path / 'end')!r}, 'w').close()\n"]
    reader, writer = os.pipe()
    os.close(reader)
    subprocess.run(command, stdout=writer, stderr=subprocess.DEVNULL)
    os.close(writer)
    assert (tmp_path / "end").exists()


def test_another_minor_version_of_etcd_is_refused_and_another_patch_is_not(tmp_path):
    run = machine(tmp_path)
    path = "/etc/kubernetes/manifests/etcd.yaml"
    text = apply.read(run.root + path)
    assert "/etcd:3.7.0-0" in text
    change(run, path, text.replace("/etcd:3.7.0-0", "/etcd:3.6.5-0"))
    assert "etcd's minor version is 3.6 here and 3.7 in the rendered files" in refused(run)[1]
    change(run, path, text.replace("/etcd:3.7.0-0", "/etcd:3.7.9-0"))
    apply.possible(run)


def test_etcd_does_not_move(tmp_path):
    run = machine(tmp_path)
    etcd = "/etc/kubernetes/manifests/etcd.yaml"
    run.body["files"] = [file for file in run.body["files"] if file[0] != etcd]
    assert "is on the masters here and outside of the masters in the rendered files" in refused(run)[1]
    (tmp_path / etcd[1:]).unlink()
    apply.possible(run)
    run = machine(tmp_path)
    (tmp_path / etcd[1:]).unlink()
    assert "is outside of the masters here and on the masters in the rendered files" in refused(run)[1]


def kubelet_certificate(run, days):
    """Give the kubelet a certificate of the cluster's CA that is valid for so many days more."""
    blobs = scratch.default_payloads()["master"].blobs
    ca, key = x509.load_der_x509_certificate(blobs["ca.crt"].der[0]), ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(ca.subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - timedelta(days=9)).not_valid_after(now + timedelta(days))
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    made = builder.sign(serialization.load_der_private_key(blobs["ca.key"].der[0], None), hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    change(run, apply.CURRENT, (made.public_bytes(serialization.Encoding.PEM) + private).decode())


def test_an_expired_certificate_of_the_kubelet_is_noticed(tmp_path, role):
    run = machine(tmp_path, role)
    assert not apply.has_expired(run)
    kubelet_certificate(run, 1)
    assert not apply.has_expired(run)
    kubelet_certificate(run, -1)
    assert apply.has_expired(run)


@pytest.mark.parametrize("is_signed", [True, False])
def test_a_kubelet_whose_certificate_has_expired_gets_another(tmp_path, role, monkeypatch, capsys, is_signed):
    run = machine(tmp_path, role)
    kubelet_certificate(run, 1)
    for path, mode, text in list(apply.rendered(run)):
        apply.write(run.root + path, text, mode)
    bootstrap, conf = tmp_path / apply.BOOTSTRAP_CONF[1:], tmp_path / apply.KUBELET_CONF[1:]
    bootstrap.unlink(missing_ok=True)
    before = conf.read_text()
    kubelet_certificate(run, -1)
    restarts = []

    def restart(run, paths):
        restarts.append("bootstrap-kubelet" if bootstrap.exists() else "client-certificate-data" in conf.read_text())
        if is_signed:
            kubelet_certificate(run, 1)

    monkeypatch.setattr(apply, "restart_kubelet", restart)
    monkeypatch.setattr(apply, "kubelet_runs", lambda run: pytest.fail("it does not run"))
    own = True if role == "master" else "bootstrap-kubelet"
    if is_signed:
        apply.apply(run)
        assert restarts == [own]
    else:
        code, error, _ = refused(run)
        assert code == 3
        assert "waiting for the kubelet's certificate" in error
        assert restarts == [own, False]
    assert "the kubelet's certificate has expired" in capsys.readouterr().out
    assert conf.read_text() == before
    assert not bootstrap.exists()
