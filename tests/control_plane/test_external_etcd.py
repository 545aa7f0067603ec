"""Two masters without etcd, and a real etcd of three members outside that shows and wants certificates."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kgen.secrets_bundle.model import Bundle
from kgen.secrets_bundle.populate import populate
from tests import clusters
from tests.components import golang
from tests.control_plane import deployment, objects, tree
from tests.control_plane.conftest import HERE
from tests.control_plane.deployment import ETCD, Deployment, api, kubectl
from tests.control_plane.machines import Bench, Machine, until
from tests.control_plane.test_outside import run
from tests.installed import kgen

MEMBERS = {f"e{number}": f"10.74.0.3{number}" for number in (1, 2, 3)}
MASTERS = {"m1": "10.74.0.11", "m2": "10.74.0.12"}
HOSTS = "10.74.0.11 api.external.example\n"
CLIENT = "apiserver-etcd-client"


def certificates_of_etcd() -> Bundle:
    """Return the certificates of the members, and a client's of each."""
    machines = tuple(clusters.master(name, address) for name, address in MEMBERS.items())
    return populate(None, replace(clusters.three_masters(), machines=machines), datetime.now(UTC)).bundle


def put_client(directory: Path, bundle: Bundle, member: str) -> None:
    """Write the files that the cluster file names, with the client's certificate of a member."""
    client = bundle.certificates[f"{member}/{CLIENT}"]
    (directory / "etcd-ca.crt").write_text(bundle.authorities["etcd/ca"].certificate)
    (directory / "etcd-client.crt").write_text(client.certificate)
    (directory / "etcd-client.key").write_text(client.key or "")


def member(name: str, bundle: Bundle, directory: Path) -> Machine:
    """Return the machine of a member, with its certificates."""
    machine = Machine(name, MEMBERS[name], directory / "machines" / name, [golang.etcd(ETCD) / "etcdctl"])
    for kind in ("server", "peer"):
        entry = bundle.certificates[f"{name}/etcd/{kind}"]
        deployment.write(machine.root / f"{kind}.crt", entry.certificate)
        deployment.write(machine.root / f"{kind}.key", entry.key or "", 0o600)
    deployment.write(machine.root / "ca.crt", bundle.authorities["etcd/ca"].certificate)
    return machine


def start_etcd(machine: Machine) -> None:
    """Start the member, whose clients and peers must show certificates of etcd's CA."""
    url, root = f"https://{machine.address}", machine.root
    peers = ",".join(f"{name}=https://{address}:2380" for name, address in MEMBERS.items())
    flags = {
        "name": machine.name,
        "data-dir": root / "data",
        "initial-cluster": peers,
        "initial-advertise-peer-urls": f"{url}:2380",
        "listen-peer-urls": f"{url}:2380",
        "advertise-client-urls": f"{url}:2379",
        "listen-client-urls": f"{url}:2379",
        "client-cert-auth": "true",
        "peer-client-cert-auth": "true",
        **{"trusted-ca-file": root / "ca.crt", "cert-file": root / "server.crt", "key-file": root / "server.key"},
        **{
            "peer-trusted-ca-file": root / "ca.crt",
            "peer-cert-file": root / "peer.crt",
            "peer-key-file": root / "peer.key",
            "log-outputs": root / "etcd.log",
        },
    }
    machine.start([golang.etcd(ETCD) / "etcd", *(f"--{name}={value}" for name, value in flags.items())], stdout=None)


def keys_of(machine: Machine, prefix: str) -> str:
    """Return the keys that begin so, as the member on its machine has them; nothing if it does not answer."""
    root = machine.root
    tls = ["--cacert", root / "ca.crt", "--cert", root / "server.crt", "--key", root / "server.key"]
    command = ["etcdctl", "--endpoints", f"https://{machine.address}:2379", *tls, "get", prefix]
    status, output = machine.run([*command, "--prefix", "--keys-only"])
    return output if status == 0 else ""


@pytest.fixture(scope="module")
def etcd() -> Bundle:
    """The certificates of the etcd outside."""
    return certificates_of_etcd()


@pytest.fixture(scope="module")
def external(tmp_path_factory: pytest.TempPathFactory, machines: list[Machine], etcd: Bundle) -> Iterator[Deployment]:
    """Both masters are up. They booted while one member was missing, which came when they waited for it."""
    directory = tmp_path_factory.mktemp("external")
    put_client(directory, etcd, "e1")
    with Bench() as bench:
        cluster = Deployment.render(HERE / "external.yaml", directory, bench, machines)
        for name in MEMBERS:
            cluster.machines[name] = bench.add(member(name, etcd, directory))
        for name in ("e1", "e2"):
            start_etcd(cluster.machines[name])
        masters = [cluster.machine(name, address, hosts=HOSTS) for name, address in MASTERS.items()]
        booting = [(machine, deployment.start_first_boot(machine)) for machine in masters]
        missing = "ExternalEtcdVersion: https://10.74.0.33:2379: "
        for machine in masters:
            until("wait for e3", lambda machine=machine: missing in deployment.status(machine).get("error", ""))
            assert not (machine.root / "etc/kubernetes/pki").exists()
        start_etcd(cluster.machines["e3"])
        for machine, running in booting:
            deployment.finished(running, machine)
        yield cluster


@pytest.mark.parametrize("name", MASTERS)
def test_the_tree_on_the_machine_is_the_review_tree_without_etcd(external: Deployment, name: str) -> None:
    root = external.machines[name].root
    assert tree.differences(external.review(name), root) == []
    manifests = [path.stem for path in sorted((root / "etc/kubernetes/manifests").iterdir())]
    assert manifests == ["kube-apiserver", "kube-controller-manager", "kube-scheduler"]
    assert [path.name for path in (root / "etc/kubernetes/pki/etcd").iterdir()] == ["ca.crt"]
    assert not (root / "var/lib/etcd").exists()


def test_every_object_was_published_into_the_etcd_outside(external: Deployment) -> None:
    found = objects.live(external, external.machines["m1"])
    rendered = external.published()
    assert len(found) == len(rendered) > 25
    assert [objects.missing(each, found[objects.key(each)]) for each in rendered] == [[]] * len(rendered)
    keys = keys_of(external.machines["e3"], "/registry/configmaps/kube-system")
    assert "/registry/configmaps/kube-system/kubeadm-config" in keys


def test_kubeadm_finds_its_certificates_and_makes_none_of_etcd(external: Deployment) -> None:
    m1 = external.machines["m1"]
    conf = f"/{deployment.ADMIN}"
    listed = m1.check(["kubeadm", "certs", "check-expiration", "--kubeconfig", conf], chroot=True)
    assert "apiserver-kubelet-client" in listed
    assert "etcd" not in listed
    with (m1.root / "etc/hosts").open() as hosts:
        assert HOSTS in hosts.read()
    command = ["kubeadm", "upgrade", "plan", "v1.37.3", "--kubeconfig", conf]
    plan = m1.check([*command, "--ignore-preflight-errors=CreateJob"], chroot=True, seconds=120)
    assert "kube-apiserver" in plan


def test_status_shows_what_the_masters_run(external: Deployment) -> None:
    status, out, err = run(external.machines["m1"], "status", external.cluster_file, "--json")
    seen = json.loads(out)
    assert {each["name"] for each in seen["components"]} == {
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
    }, err
    assert status in (0, 3)


def test_a_snapshot_comes_from_a_member(external: Deployment, tmp_path: Path) -> None:
    path = tmp_path / "etcd.db"
    status, out, err = run(external.machines["m2"], "etcd", "snapshot", external.cluster_file, path)
    assert status == 0, err
    assert "from https://10.74.0.31:2379, revision " in out
    etcdutl = golang.etcd(ETCD, ("etcdutl",)) / "etcdutl"
    keys = external.machines["m2"].check([etcdutl, "snapshot", "status", path, "--write-out", "simple"]).split(", ")[2]
    assert int(keys) > 100


def test_a_lost_member_changes_nothing_for_clients(external: Deployment, tmp_path: Path) -> None:
    e1 = external.machines["e1"]
    e1.power_off()
    try:
        for name in MASTERS:
            machine = external.machines[name]
            until(f"writes through {name}", lambda machine=machine, name=name: creates(machine, f"without-e1-{name}"))
        status, out, err = run(external.machines["m1"], "etcd", "snapshot", external.cluster_file, tmp_path / "x.db")
        assert status == 0, err
        assert "from https://10.74.0.32:2379, revision " in out
    finally:
        e1.power_on()
        start_etcd(e1)
    until("e1 again", lambda: "without-e1-m2" in keys_of(e1, "/registry/configmaps/default"))


def creates(machine: Machine, name: str) -> bool:
    """Return whether a ConfigMap could be created through the API server on the machine."""
    server = f"https://{machine.address}:6443"
    command = ["kubectl", "--kubeconfig", f"/{deployment.ADMIN}", "--server", server, "create", "configmap", name]
    return machine.run(command, chroot=True)[0] == 0


def test_a_master_on_an_empty_disk_comes_back_by_itself(external: Deployment) -> None:
    m2 = external.machines["m2"]
    m1 = external.machines["m1"]
    before = {key: found["metadata"]["uid"] for key, found in objects.live(external, m1).items()}
    m2.power_off()
    hosts = (m2.root / "etc/hosts").read_text()
    shutil.rmtree(m2.root)
    deployment.write(m2.root / "etc/hosts", hosts)
    deployment.deliver(external.user_data("m2"), m2.root)
    m2.power_on()
    external.first_boot(m2)
    assert {key: found["metadata"]["uid"] for key, found in objects.live(external, m1).items()} == before


def test_a_renewed_client_certificate_is_taken_and_applied(external: Deployment, etcd: Bundle) -> None:
    m1 = external.machines["m1"]
    kubectl(m1, "create", "configmap", "ours")
    old = (m1.root / f"etc/kubernetes/pki/{CLIENT}.crt").read_text()
    put_client(external.directory, etcd, "e2")
    said = kgen("render", external.cluster_file, "--output", external.outputs.parent)
    assert f"{CLIENT}" in said
    script = kgen("apply", external.cluster_file, "m1", "--output", external.outputs.parent)
    call = '"$directory" </dev/null'
    script = script.replace(call, f'"$directory" {m1.root} {deployment.kubelet_command(m1)} </dev/null')
    deployment.write(m1.root / "tmp/apply.sh", script, 0o600)
    output = deployment.finished(m1.start(["sh", m1.root / "tmp/apply.sh"]), m1)
    assert "restarting kube-apiserver" in output
    assert "PRIVATE KEY" not in output
    new = (m1.root / f"etc/kubernetes/pki/{CLIENT}.crt").read_text()
    assert new == etcd.certificates[f"e2/{CLIENT}"].certificate != old
    assert api(m1, "configmap", "ours")["metadata"]["name"] == "ours"


def test_an_etcd_that_is_too_old_stops_a_master_before_it_changes_anything(external: Deployment) -> None:
    m3 = external.machine("m2", "10.74.0.13", root="m3")
    body = json.loads((m3.root / "etc/kgen/payload.json").read_text())["body"]
    deployment.reseal(m3, etcd={**body["etcd"], "oldest": [3, 99, 0]}, addresses=["10.74.0.13"])
    output = deployment.finished(deployment.start_first_boot(m3), m3, expect=2)
    assert f"ExternalEtcdVersion: https://10.74.0.32:2379 runs etcd {ETCD}: 3.99.0 or newer is needed" in output
    assert not (m3.root / "etc/kubernetes/manifests").exists()
    m3.power_off()
