"""kubeadm renews every certificate and joins a master where all CA keys are, as by default, and fails elsewhere."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator

import pytest
import yaml
from cryptography import x509

from tests.control_plane import deployment
from tests.control_plane.deployment import Deployment, dry_run_join, join_command
from tests.control_plane.machines import Machine

NEEDS_OTHER_CAS = {  # kubeadm's name of the certificate: its file
    "etcd-server": "etcd/server",
    "etcd-peer": "etcd/peer",
    "etcd-healthcheck-client": "etcd/healthcheck-client",
    "apiserver-etcd-client": "apiserver-etcd-client",
    "front-proxy-client": "front-proxy-client",
}
PKI = ("apiserver", "apiserver-kubelet-client", *NEEDS_OTHER_CAS.values())
KUBECONFIGS = ("admin.conf", "controller-manager.conf", "scheduler.conf", "super-admin.conf")
OF_CLUSTER_CA = ("apiserver", "apiserver-kubelet-client", "admin.conf", "controller-manager.conf", "scheduler.conf")


def copied(cluster: Deployment, address: str) -> Machine:
    """Return a machine that stands for the first master, with a copy of its files, for kubeadm to change."""
    machine = cluster.machine(
        "m1", address, root="m1-copy", hosts=f"{cluster.machines['m1'].address} api.three.example\n"
    )
    shutil.copytree(cluster.machines["m1"].root / "etc/kubernetes", machine.root / "etc/kubernetes")
    return machine


@pytest.fixture
def with_keys(one: Deployment) -> Iterator[Machine]:
    """A copy of a master as every cluster file without ``pki`` has it."""
    machine = copied(one, "10.71.0.41")
    yield machine
    machine.power_off()
    shutil.rmtree(machine.root)


@pytest.fixture
def without_keys(with_keys: Machine) -> Machine:
    """The same with the files that ``pki.shipCAKeys: cluster`` leaves out."""
    for name in ("etcd/ca.key", "front-proxy-ca.key"):
        (with_keys.root / "etc/kubernetes/pki" / name).unlink()
    return with_keys


def renew(machine: Machine, name: str) -> tuple[int, str]:
    command = ["kubeadm", "certs", "renew", name, "--kubeconfig", f"/{deployment.ADMIN}"]
    return machine.run(command, chroot=True)


def certificates(machine: Machine) -> dict[str, x509.Certificate]:
    """Return every certificate that ``kubeadm certs renew all`` is about, by its file."""
    directory = machine.root / "etc/kubernetes"
    found = {f"{name}.crt": (directory / "pki" / f"{name}.crt").read_bytes() for name in PKI}
    for name in KUBECONFIGS:
        user = yaml.safe_load((directory / name).read_text())["users"][0]["user"]
        found[name] = base64.b64decode(user["client-certificate-data"])
    return {name: x509.load_pem_x509_certificate(pem) for name, pem in found.items()}


def names_in(certificate: x509.Certificate) -> object:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def test_kubeadm_renews_all_eleven_certificates_of_a_default_master(with_keys: Machine) -> None:
    before = certificates(with_keys)
    status, output = renew(with_keys, "all")
    assert status == 0, output
    assert "can't be renewed" not in output
    after = certificates(with_keys)
    assert len(after) == 11
    for name, certificate in after.items():
        assert certificate.serial_number != before[name].serial_number, name
        assert certificate.not_valid_after_utc >= before[name].not_valid_after_utc, name
        assert certificate.subject == before[name].subject, name
        assert names_in(certificate) == names_in(before[name]), name


@pytest.mark.parametrize("name", OF_CLUSTER_CA)
def test_kubeadm_renews_what_the_cluster_ca_signs_everywhere(without_keys: Machine, name: str) -> None:
    status, output = renew(without_keys, name)
    assert status == 0, output


@pytest.mark.parametrize("name", NEEDS_OTHER_CAS)
def test_kubeadm_leaves_alone_what_keyless_cas_sign(without_keys: Machine, name: str) -> None:
    path = without_keys.root / "etc/kubernetes/pki" / f"{NEEDS_OTHER_CAS[name]}.crt"
    before = path.read_bytes()
    _, output = renew(without_keys, name)
    assert path.read_bytes() == before
    assert "can't be renewed" in output


def test_kubeadm_would_join_another_master(three: Deployment) -> None:
    """A fourth master by kubeadm's own means, with the shared files copied to it as kubeadm's manual describes."""
    shared = (
        "ca.crt",
        "ca.key",
        "sa.key",
        "sa.pub",
        "front-proxy-ca.crt",
        "front-proxy-ca.key",
        "etcd/ca.crt",
        "etcd/ca.key",
    )
    hosts = "10.73.0.11 api.three.example\n"
    machine = three.machine("m9", "10.73.0.19", user_data=three.user_data("workers"), hosts=hosts)
    for name in shared:
        source = three.machines["m1"].root / "etc/kubernetes/pki" / name
        target = machine.root / "etc/kubernetes/pki" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    try:
        output = dry_run_join(machine, *join_command(three), "--control-plane")
        assert "This node has joined the cluster and a new control plane instance was created" in output
    finally:
        machine.power_off()
