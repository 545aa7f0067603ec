import io
import sys

import pytest

from kgen.cli.main import run

KUBEADM = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 10.0.0.11}
nodeRegistration: {name: m1}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.37.2
clusterName: lab
networking: {podSubnet: 10.244.0.0/16}
"""


@pytest.fixture
def kubeadm_yaml(here):
    (here / "kubeadm.yaml").write_text(KUBEADM)


def test_an_import_can_be_rendered(kgen, here, kubeadm_yaml):
    ended = kgen("import", "kubeadm.yaml", "--node", "w1=10.0.0.21")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "written: lab.yaml\nnext: read lab.yaml, then `kgen render lab.yaml`\n"
    assert kgen("render", "lab.yaml").code == 0
    assert (here / "outputs/lab/user-data/w1.yaml.gz").exists()


def test_a_decision_is_a_warning_at_its_line(kgen, here, kubeadm_yaml):
    with (here / "kubeadm.yaml").open("a") as file:
        file.write("certificatesDir: /etc/pki\n")
    ended = kgen("import", "kubeadm.yaml", "--name", "x")
    assert ended.code == 0
    assert ended.err.startswith("warning: kubeadm.yaml:11:1: certificatesDir: certificatesDir cannot be changed [K106]")
    assert ended.out.endswith("next: decide what x.yaml marks with DECIDE, then `kgen render x.yaml`\n")


def test_stdin_to_stdout(kgen, here, kubeadm_yaml, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(KUBEADM))
    ended = kgen("import", "-", "--output", "-")
    assert ended.out.startswith("# Imported from stdin. Nothing needs a decision.\n")
    assert sorted(path.name for path in here.iterdir()) == ["kubeadm.yaml", "prod.yaml"]


def test_import_overwrites_nothing(kgen, here, kubeadm_yaml):
    (here / "lab.yaml").write_text("mine")
    ended = kgen("import", "kubeadm.yaml")
    assert (ended.code, (here / "lab.yaml").read_text()) == (2, "mine")
    assert "lab.yaml exists already" in ended.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.yaml"], "missing.yaml cannot be read: No such file or directory"),
        (["kubeadm.yaml", "--name", "A_b"], "'A_b' cannot be a cluster's name"),
        (["kubeadm.yaml", "--master", "m2"], "'m2' is no machine: write NAME=ADDRESS"),
        (["kubeadm.yaml", "--output", "missing/x.yaml"], "there is no directory missing"),
        (["prod.yaml"], "prod.yaml: has no configuration of kubeadm"),
        ([], "give files of kubeadm's configuration, or --running"),
    ],
)
def test_a_wrong_command_line_is_a_sentence(here, kubeadm_yaml, capsys, arguments, message):
    assert run(["import", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_export_prints_the_configuration_of_a_machine(kgen, rendered):
    master, pool = kgen("export", "kubeadm", "prod.yaml"), kgen("export", "kubeadm", "prod.yaml", "workers")
    assert (master.code, pool.code) == (0, 0)
    token = kgen("token", "join-command", "prod.yaml").out.split("--token ")[1].split()[0]
    assert master.out.count(token) == 2
    assert "kind: InitConfiguration" in master.out
    assert "kind: InitConfiguration" not in pool.out
    ended = kgen("export", "kubeadm", "prod.yaml", "m9")
    assert (ended.code, "there is no machine or pool 'm9'" in ended.err) == (2, True)
    assert "choose one of: m1, w1, workers" in ended.err


def test_export_needs_the_bundle(kgen):
    ended = kgen("export", "kubeadm", "prod.yaml")
    assert (ended.code, "`kgen render prod.yaml` creates it" in ended.err) == (2, True)


def test_the_pki_of_a_cluster_becomes_the_bundle(kgen, here, kubeadm_yaml, rendered):
    pki = rendered / "nodes/m1/etc/kubernetes/pki"
    ended = kgen("import", "kubeadm.yaml", "--pki", str(pki))
    assert (ended.code, ended.err) == (0, "")
    assert f"written: lab.secrets.yaml, with the CAs of {pki}: keep it secret" in ended.out
    assert (here / "lab.secrets.yaml").stat().st_mode & 0o777 == 0o600
    assert kgen("render", "lab.yaml", "--no-new-secrets").code == 0
    authority = (here / "outputs/lab/nodes/m1/etc/kubernetes/pki/ca.crt").read_text()
    assert authority == (pki / "ca.crt").read_text()


@pytest.mark.parametrize(
    ("prepare", "arguments", "message"),
    [
        ("lab.secrets.yaml", [], "lab.secrets.yaml exists already"),
        ("", ["--output", "-"], "--pki needs a cluster file"),
        ("", ["--running"], "give files of kubeadm's configuration, or --running"),
    ],
)
def test_a_bundle_that_cannot_be_made_leaves_no_cluster_file(
    kgen, here, kubeadm_yaml, rendered, prepare, arguments, message
):
    if prepare:
        (here / prepare).write_text("mine")
    before = sorted(here.iterdir())
    ended = kgen("import", "kubeadm.yaml", "--pki", str(rendered / "nodes/m1/etc/kubernetes/pki"), *arguments)
    assert (ended.code, sorted(here.iterdir())) == (2, before)
    assert message in ended.err


def test_a_damaged_pki_directory_leaves_no_cluster_file(kgen, here, kubeadm_yaml):
    (here / "pki").mkdir()
    ended = kgen("import", "kubeadm.yaml", "--pki", "pki")
    assert (ended.code, (here / "lab.yaml").exists()) == (2, False)
    assert ended.err.count("[B105]") == 7
    assert "pki/ca.key: cannot be read: no such file or directory [B105]" in ended.err
