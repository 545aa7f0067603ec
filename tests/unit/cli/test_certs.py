import json
import re

import pytest
from tests import corporate

from kgen.secrets_bundle import store


def test_certs_shows_every_certificate(kgen, rendered):
    ended = kgen("certs", "prod.yaml")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].split() == ["name", "subject", "CA", "expires", "days", "left"]
    names = [line.split()[0] for line in lines[1:]]
    assert names[0] == "ca"
    assert {"m1/apiserver", "m1/etcd/server", "front-proxy-ca", "admin", "super-admin"} <= set(names)
    assert re.search(
        r"^admin +O=kubeadm:cluster-admins, CN=kubernetes-admin +ca +\d{4}-\d\d-\d\d .* 364$", ended.out, re.M
    )
    assert kgen("certs", "show", "prod.yaml").out == ended.out


def test_certs_takes_cluster_yaml_by_default(kgen, rendered, here):
    (here / "prod.secrets.yaml").rename(here / "cluster.secrets.yaml")
    assert kgen("certs").code == 0
    assert kgen("certs", "--json").code == 0


def test_certs_in_an_empty_folder_names_both_files_and_the_next_step(kgen):
    ended = kgen("certs")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines() == [
        "error: there is neither a cluster file cluster.yaml nor a secrets bundle cluster.secrets.yaml",
        "  hint: give the path of your cluster file; `kgen init` writes one to start from",
    ]


@pytest.mark.parametrize("more", [(), ("prod.yaml",), ("prod.yaml", "admin")])
def test_misspelt_renew_is_not_taken_for_a_file(kgen, rendered, here, more):
    ended = kgen("certs", "renw", *more)
    assert (ended.code, ended.out) == (2, "")
    assert "there is no command and no file 'renw'; did you mean 'renew'?" in ended.err
    (here / "prod.secrets.yaml").rename(here / "renw.secrets.yaml")
    (here / "renw").touch()
    assert kgen("certs", "renw").code == 0


def test_certs_json(kgen, rendered):
    found = {entry["name"]: entry for entry in json.loads(kgen("certs", "prod.yaml", "--json").out)["certificates"]}
    apiserver = found["m1/apiserver"]
    assert apiserver["ca"] == "ca"
    assert apiserver["daysLeft"] == 364
    assert {"m1", "kubernetes.default.svc.cluster.local", "10.96.0.1", "10.0.0.11"} <= set(apiserver["sans"])
    assert apiserver["algorithm"] == "ECDSA-P256"
    assert apiserver["issuer"] == "CN=kubernetes"
    assert (found["ca"]["ca"], found["ca"]["issuer"]) == (None, None)


def test_certs_names_the_issuer_of_an_intermediate_ca(kgen, here):
    corporate.three_levels().write(here / "own", "ca")
    assert kgen("certs", "accept", "prod.yaml", "own").code == 0
    lines = {line.split()[0]: line for line in kgen("certs", "prod.yaml").out.splitlines()}
    assert " CN=Example Infrastructure CA,O=Example " in lines["ca"]
    assert " itself " in lines["etcd/ca"]
    assert " ca " in lines["admin"]


def test_certs_renew_takes_the_kubelets_serving_certificates(kgen, here):
    with (here / "prod.yaml").open("a") as file:
        file.write("pki: {kubeletServingCertificates: true}\nkubelet: {serverTLSBootstrap: true}\n")
    assert kgen("render", "prod.yaml").code == 0
    listed = [line.split()[0] for line in kgen("certs", "prod.yaml").out.splitlines()]
    assert listed[-2:] == ["m1/kubelet-serving", "w1/kubelet-serving"]
    key = here / "outputs/prod/nodes/w1/var/lib/kubelet/pki/kubelet-serving.key"
    before = key.read_text()
    renewed = json.loads(kgen("certs", "renew", "prod.yaml", "w1", "--json").out)["renewed"]
    assert [each["name"] for each in renewed] == ["w1/kubelet-serving"]
    ended = kgen("render", "prod.yaml")
    assert "kgen apply prod.yaml w1" in ended.out
    assert "kgen apply prod.yaml m1" not in ended.out
    assert key.read_text() != before


def test_certs_without_a_bundle_says_what_creates_it(kgen):
    ended = kgen("certs", "prod.yaml")
    assert (ended.code, ended.out) == (2, "")
    assert "`kgen render prod.yaml` creates it" in ended.err


def test_damaged_certificate_is_reported_in_a_sentence(kgen, rendered, here):
    path = here / "prod.secrets.yaml"
    text = path.read_text()
    start = text.index("MII")
    path.write_text(text[:start] + "AAAA" + text[start + 4 :])
    ended = kgen("certs", "prod.yaml")
    assert ended.code == 2
    assert "prod.secrets.yaml" in ended.err


def test_renew_issues_the_named_leaves_again(kgen, rendered, here):
    before = store.read(here / "prod.secrets.yaml")
    ended = kgen("certs", "renew", "prod.yaml", "admin", "etcd/server")
    assert ended.code == 0
    assert [line.split()[0] for line in ended.out.splitlines()[1:-1]] == ["m1/etcd/server", "admin"]
    assert ended.out.splitlines()[-1] == "next: `kgen render prod.yaml`; it says what to do on each machine"
    after = store.read(here / "prod.secrets.yaml")
    changed = {name for name, entry in after.entries.items() if entry != before.entries[name]}
    assert changed == {"admin", "m1/etcd/server"}
    assert kgen("render", "prod.yaml", "--check").code == 3
    assert kgen("render", "prod.yaml").code == 0
    assert kgen("render", "prod.yaml", "--check").code == 0


def test_renew_without_names_renews_all_leaves_and_no_ca(kgen, rendered, here):
    before = store.read(here / "prod.secrets.yaml")
    assert kgen("certs", "renew", "prod.yaml").code == 0
    after = store.read(here / "prod.secrets.yaml")
    assert after.authorities == before.authorities
    assert after.tokens == before.tokens
    assert after.service_account == before.service_account
    assert all(entry != before.certificates[name] for name, entry in after.certificates.items())


def test_renew_of_an_unknown_name_writes_nothing(kgen, rendered, here):
    before = (here / "prod.secrets.yaml").read_bytes()
    ended = kgen("certs", "renew", "prod.yaml", "amdin")
    assert ended.code == 2
    assert "did you mean 'admin'?" in ended.err
    assert (here / "prod.secrets.yaml").read_bytes() == before


def test_renew_needs_a_bundle(kgen, here):
    assert kgen("certs", "renew", "prod.yaml").code == 2
    assert not (here / "prod.secrets.yaml").exists()


def test_join_command_is_the_stock_line(kgen, rendered, here):
    ended = kgen("token", "join-command", "prod.yaml")
    assert (ended.code, ended.err) == (0, "")
    token = re.escape(store.read(here / "prod.secrets.yaml").tokens[0])
    line = rf"kubeadm join 10\.0\.0\.11:6443 --token {token} --discovery-token-ca-cert-hash sha256:[0-9a-f]{{64}}\n"
    assert re.fullmatch(line, ended.out)


def test_join_command_needs_a_bundle(kgen, here):
    assert kgen("token", "join-command", "prod.yaml").code == 2
    assert not (here / "prod.secrets.yaml").exists()


def shortened(here, validity):
    """Make the cluster file ask for certificates of this validity, so that renewed ones expire soon."""
    file = here / "prod.yaml"
    file.write_text(file.read_text() + f"certificateValidityPeriod: {validity}\n")


@pytest.mark.parametrize("words", [("certs", "prod.yaml"), ("render", "prod.yaml")], ids=lambda words: words[0])
def test_fail_on_exits_3_when_a_certificate_expires_in_time(kgen, rendered, here, words):
    assert kgen(*words, "--fail-on", "30d").code == 0
    assert kgen(*words, "--fail-on", "366d").code == 3
    assert kgen(*words, "--fail-on", "8000h").code == 0
    shortened(here, "480h")
    assert kgen("certs", "renew", "prod.yaml", "m1/apiserver").code == 0
    ended = kgen(*words, "--fail-on", "30d")
    assert ended.code == 3
    assert "m1/apiserver expires within 30 days" in ended.err
    assert kgen(*words, "--fail-on", "10d").code == 0
    assert kgen(*words).code == 0


@pytest.mark.parametrize("text", ["d", "-3d", "30 days", "1234567d"])
def test_fail_on_takes_days_and_durations_only(kgen, rendered, text):
    assert kgen("certs", "prod.yaml", "--fail-on", text).code == 2


def test_what_to_do_after_renewing_a_lone_master_never_replaces_it(kgen, rendered):
    assert "rebuild" not in kgen("certs", "renew", "prod.yaml").out
    steps = kgen("render", "prod.yaml").out.partition("next:")[2]
    (master,) = [line for line in steps.splitlines() if line.startswith("  m1:")]
    assert "`kgen apply prod.yaml m1 | ssh root@m1 sh`" in master


def test_own_cas_and_certificates_from_outside(kgen, here):
    corporate.three_levels().write(here / "own", "etcd/ca")
    outside = corporate.three_levels()
    outside.write(here / "own", "ca", key=False)
    ended = kgen("certs", "accept", "prod.yaml", "own")
    assert ended.code == 0, ended.err
    assert "made by kgen: front-proxy-ca" in ended.out
    assert re.search("^m1/apiserver +is missing$", ended.out, re.M)
    assert ended.out.splitlines()[-1] == "next: `kgen certs csr prod.yaml DIR` writes requests for them"
    assert (here / "prod.secrets.yaml").stat().st_mode & 0o777 == 0o600
    refused = kgen("render", "prod.yaml")
    assert refused.code == 2
    assert "7 certificates must be signed by a CA whose key is not in the bundle" in refused.err
    assert kgen("certs", "csr", "prod.yaml", "csr").code == 0
    assert re.search("^m1/apiserver +is missing$", kgen("certs", "accept", "prod.yaml", "csr").out, re.M)
    for file in (here / "csr").rglob("*.csr"):
        assert "PRIVATE" not in file.read_text()
        file.with_suffix(".crt").write_text(outside.sign(file.read_text()))
    ended = kgen("certs", "accept", "prod.yaml", "csr")
    assert (ended.code, ended.out.splitlines()[-1]) == (0, "next: `kgen render prod.yaml`")
    assert kgen("certs", "csr", "prod.yaml", "csr").out == "no certificate is missing\n"
    assert kgen("render", "prod.yaml").code == 0
    assert list((here / "outputs").rglob("pki/ca.key")) == []
    assert kgen("render", "prod.yaml", "--check").code == 0
    refused = kgen("certs", "renew", "prod.yaml", "admin")
    assert refused.code == 2
    assert "kgen certs csr CLUSTER_FILE DIR NAME" in refused.err


def test_a_wrong_certificate_changes_nothing(kgen, here):
    corporate.three_levels(days=(-20, -10)).write(here / "own", "ca")
    ended = kgen("certs", "accept", "prod.yaml", "own")
    assert (ended.code, ended.out) == (2, "")
    assert "own/ca.crt: expired on" in ended.err
    assert not (here / "prod.secrets.yaml").exists()
