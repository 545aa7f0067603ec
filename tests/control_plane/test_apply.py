"""`kgen apply` on the running master of a cluster that has only one: the script that a user pipes to the machine."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.control_plane import deployment, tree
from tests.control_plane.conftest import HERE
from tests.control_plane.deployment import Deployment, api, kubectl
from tests.control_plane.machines import Bench, Machine, Running
from tests.installed import kgen

ADDRESS = "10.71.0.11"
COPIES = "var/lib/kgen/replaced"
CURRENT = "var/lib/kubelet/pki/kubelet-client-current.pem"
STANDIN = "run/kubelet-standin/pods"
COMPONENTS = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory, machines: list[Machine]) -> Iterator[Deployment]:
    """A cluster whose only master is up and holds a ConfigMap of ours."""
    with Bench() as bench:
        cluster = Deployment.render(HERE / "one.yaml", tmp_path_factory.mktemp("apply"), bench, machines)
        m1 = cluster.machine("m1", ADDRESS)
        cluster.first_boot(m1)
        kubectl(m1, "create", "configmap", "ours")
        yield cluster


@pytest.fixture(scope="module")
def m1(lone: Deployment) -> Machine:
    """The only master."""
    return lone.machines["m1"]


def start(lone: Deployment, m1: Machine, *, wait_seconds: int = 240) -> Running:
    """Start the script that kgen prints, below the machine's root directory and with the kubelet's stand-in."""
    script = kgen("apply", lone.cluster_file, m1.name, "--output", lone.outputs.parent)
    call = '"$directory" </dev/null'
    assert call in script
    script = script.replace(call, f'"$directory" {m1.root} {deployment.kubelet_command(m1)} </dev/null')
    script = script.replace("seconds: float = 240", f"seconds: float = {wait_seconds}")
    path = m1.root / "tmp/apply.sh"
    deployment.write(path, script, 0o600)
    return m1.start(["sh", path])


def applied(lone: Deployment, m1: Machine, *, expect: int = 0, wait_seconds: int = 240) -> str:
    """Run the script to its end and return what it printed."""
    return deployment.finished(start(lone, m1, wait_seconds=wait_seconds), m1, expect=expect)


def rendered_with(lone: Deployment, **values: object) -> None:
    """Change keys of the cluster file and render; None takes a key away."""
    content = yaml.safe_load(lone.cluster_file.read_text()) | values
    lone.cluster_file.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
    kgen("render", lone.cluster_file, "--output", lone.outputs.parent, "--quiet")


def processes(m1: Machine) -> dict[str, int]:
    """Return the process of each static pod."""
    return {path.stem: json.loads(path.read_text())["pid"] for path in sorted((m1.root / STANDIN).glob("*.json"))}


def restarted(before: dict[str, int], m1: Machine) -> set[str]:
    """Return the static pods that have another process than before."""
    after = processes(m1)
    assert set(before) == set(after) == COMPONENTS
    return {name for name in before if before[name] != after[name]}


def is_as_rendered(lone: Deployment, m1: Machine) -> None:
    """Assert that the machine has the rendered files and serves the cluster that it had."""
    assert (m1.root / "etc/kubernetes/manifests/etcd.yaml").exists()
    assert tree.differences(lone.review("m1"), m1.root) == []
    assert api(m1, "configmap", "ours")["metadata"]["name"] == "ours"
    assert not (m1.root / COPIES).exists()


def test_nothing_changes_where_nothing_was_rendered(lone: Deployment, m1: Machine) -> None:
    before = processes(m1)
    assert "nothing to change" in applied(lone, m1)
    assert restarted(before, m1) == set()


def test_renewed_certificates_are_served_by_the_same_cluster(lone: Deployment, m1: Machine) -> None:
    uid = api(m1, "namespace", "kube-system")["metadata"]["uid"]
    before, old = processes(m1), (m1.root / "etc/kubernetes/pki/apiserver.crt").read_text()
    kgen("certs", "renew", lone.cluster_file)
    rendered_with(lone)
    output = applied(lone, m1)
    assert "PRIVATE KEY" not in output
    assert restarted(before, m1) == COMPONENTS
    is_as_rendered(lone, m1)
    assert api(m1, "namespace", "kube-system")["metadata"]["uid"] == uid
    served = m1.check(["openssl", "s_client", "-connect", f"{ADDRESS}:6443", "-showcerts"])
    new = (m1.root / "etc/kubernetes/pki/apiserver.crt").read_text()
    assert new != old
    assert new.splitlines()[1] in served
    assert (m1.root / "var/lib/kgen/replaced-last/etc/kubernetes/pki/apiserver.crt").read_text() == old
    assert "nothing to change" in applied(lone, m1)


def test_only_what_reads_a_changed_file_restarts(lone: Deployment, m1: Machine) -> None:
    before = processes(m1)
    rendered_with(lone, scheduler={"extraArgs": [{"name": "v", "value": "1"}]})
    applied(lone, m1)
    assert restarted(before, m1) == {"kube-scheduler"}
    is_as_rendered(lone, m1)


@pytest.mark.parametrize(("name", "address"), [("m1", ADDRESS), ("w1", "10.71.0.21")])
def test_a_kubelet_whose_certificate_has_expired_gets_another(
    lone: Deployment, m1: Machine, name: str, address: str
) -> None:
    machine = m1
    if name != "m1":
        machine = lone.machine(name, address)
        lone.first_boot(machine)
    current, conf = machine.root / CURRENT, machine.root / "etc/kubernetes/kubelet.conf"
    before = conf.read_text()
    machine.check([*shlex.split(deployment.kubelet_command(machine)), "stop"])
    current.resolve().write_text(expired(lone, current.read_text()))
    output = applied(lone, machine)
    assert "the kubelet's certificate has expired" in output
    assert "restarting kubelet" in output
    assert x509.load_pem_x509_certificate(current.read_bytes()).not_valid_after_utc > datetime.now(UTC)
    assert yaml.safe_load(conf.read_text())["users"][0]["user"] == yaml.safe_load(before)["users"][0]["user"]
    assert not (machine.root / "etc/kubernetes/bootstrap-kubelet.conf").exists()
    pem = f"--client-certificate=/{CURRENT}", f"--client-key=/{CURRENT}"
    server = f"--server=https://{ADDRESS}:6443", "--certificate-authority=/etc/kubernetes/pki/ca.crt"
    assert kubectl(machine, "get", "node", name, "--kubeconfig=/dev/null", *server, *pem)
    assert "nothing to change" in applied(lone, machine)


def expired(lone: Deployment, pem: str) -> str:
    """Return a kubelet's certificate and key with its end in the past, signed by the cluster's CA."""
    pki = lone.review("m1") / "etc/kubernetes/pki"
    ca = x509.load_pem_x509_certificate((pki / "ca.crt").read_bytes())
    old, key = x509.load_pem_x509_certificate(pem.encode()), ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(ca.subject, old.subject, key.public_key(), old.serial_number)
    builder = builder.not_valid_before(datetime.now(UTC) - timedelta(days=2))
    builder = builder.not_valid_after(datetime.now(UTC) - timedelta(days=1))
    for extension in old.extensions:
        if not isinstance(extension.value, x509.SubjectKeyIdentifier):
            builder = builder.add_extension(extension.value, extension.critical)
    made = builder.sign(serialization.load_pem_private_key((pki / "ca.key").read_bytes(), None), hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return (made.public_bytes(serialization.Encoding.PEM) + private).decode()


def files_of(m1: Machine) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of every file of the control plane and the kubelet's configuration."""
    folders = ("etc/kubernetes", "var/lib/kubelet")
    paths = [path for folder in folders for path in sorted((m1.root / folder).rglob("*")) if path.is_file()]
    return {str(path): (path.stat().st_mode, path.read_bytes()) for path in paths}


def test_a_component_that_does_not_come_back_is_put_back_and_nothing_else(lone: Deployment, m1: Machine) -> None:
    text, before, files = lone.cluster_file.read_text(), processes(m1), files_of(m1)
    broken = {"extraArgs": [{"name": "max-requests-inflight", "value": "-1"}]}
    rendered_with(lone, apiServer=broken, scheduler={"extraArgs": [{"name": "v", "value": "2"}]})
    output = applied(lone, m1, expect=3, wait_seconds=15)
    assert "putting back what was replaced" in output
    assert "nothing has changed on this machine: gave up after 15 s" in output
    assert "restarting etcd" not in output
    assert "restarting kube-scheduler" not in output
    assert "etcd" not in restarted(before, m1)  # the controllers may end by themselves: they lose their lease
    assert files_of(m1) == files
    lone.cluster_file.write_text(text)
    rendered_with(lone)
    assert "nothing to change" in applied(lone, m1)
    is_as_rendered(lone, m1)


def test_a_run_that_is_cut_anywhere_is_continued_by_the_next(lone: Deployment, m1: Machine) -> None:
    for words in ("replacing", "restarting etcd", "restarting kube-apiserver", "restarting kube-scheduler"):
        kgen("certs", "renew", lone.cluster_file)
        rendered_with(lone)
        running = start(lone, m1)
        output = running._process.stdout
        assert output is not None
        for line in output:
            if f"kgen: {words}" in line:
                break
        else:
            raise AssertionError(f"the script never said {words!r}")
        running.kill()
        applied(lone, m1)
        is_as_rendered(lone, m1)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (
            {"networking": {"podSubnet": "10.244.0.0/16", "serviceSubnet": "10.97.0.0/16"}},
            "the service subnet is 10.96",
        ),
        ({"localAPIEndpoint": {"bindPort": 7443}}, "the port of the API server is 6443 here and 7443"),
        ({"etcd": {"local": {"dataDir": "/srv/etcd"}}}, "the directory of etcd's data is /var/lib/etcd"),
    ],
)
def test_what_a_running_machine_cannot_change_is_refused(
    lone: Deployment, m1: Machine, values: dict, reason: str
) -> None:
    text, before = lone.cluster_file.read_text(), processes(m1)
    rendered_with(lone, **values)
    try:
        assert reason in applied(lone, m1, expect=2)
        assert restarted(before, m1) == set()
    finally:
        lone.cluster_file.write_text(text)
        kgen("render", lone.cluster_file, "--output", lone.outputs.parent, "--quiet")


def test_another_machine_and_another_cluster_are_refused(lone: Deployment, m1: Machine, tmp_path: Path) -> None:
    record = m1.root / "var/lib/kgen/done"
    ca = m1.root / "etc/kubernetes/pki/ca.crt"
    for path, text, reason in (
        (ca, "another\n", "is the CA of another cluster"),
        (record, None, "the first boot of this machine is not done"),
    ):
        kept = path.read_text()
        try:
            path.unlink()
            if text is not None:
                path.write_text(text)
            assert reason in applied(lone, m1, expect=2)
        finally:
            path.write_text(kept)
            path.chmod(0o644)
