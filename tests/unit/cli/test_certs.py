import json
import re

from kgen.secrets_bundle import store


def test_certs_shows_every_certificate(kgen, rendered):
    ended = kgen("certs", "prod.yaml")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].split() == ["name", "subject", "CA", "ends", "days", "left"]
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


def test_certs_json(kgen, rendered):
    found = {entry["name"]: entry for entry in json.loads(kgen("certs", "prod.yaml", "--json").out)["certificates"]}
    apiserver = found["m1/apiserver"]
    assert apiserver["ca"] == "ca"
    assert apiserver["daysLeft"] == 364
    assert {"m1", "kubernetes.default.svc.cluster.local", "10.96.0.1", "10.0.0.11"} <= set(apiserver["sans"])
    assert apiserver["algorithm"] == "ECDSA-P256"
    assert found["ca"]["ca"] is None


def test_certs_without_a_bundle_says_what_creates_it(kgen):
    ended = kgen("certs", "prod.yaml")
    assert (ended.code, ended.out) == (2, "")
    assert "`kgen render prod.yaml` creates it" in ended.err


def test_damaged_certificate_is_a_sentence(kgen, rendered, here):
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
    assert "next: `kgen render prod.yaml`" in ended.out
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
