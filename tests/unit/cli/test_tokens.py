"""Bootstrap tokens of pools, and what the verbs of ``kgen token`` refuse before they ask the cluster."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from kgen.api.tokens import may_be_left_alone
from kgen.running.connection import RefusedError
from kgen.secrets_bundle import store
from kgen.secrets_bundle.model import Bundle, OldToken
from kgen.secrets_bundle.populate import new_token
from kgen.secrets_bundle.source import Source

CLUSTER = """\
apiVersion: kgen/v1
name: prod
kubernetesVersion: v1.37.2
machines: [{name: m1, role: master, address: 10.0.0.11}]
pools:
  - {name: workers, role: node, bootstrapToken: {ttl: 1h}}
  - {name: builders, role: node, bootstrapToken: {ttl: 0, description: CI}}
  - {name: others, role: node}
"""


@pytest.fixture
def pooled(kgen, here) -> Path:
    (here / "prod.yaml").write_text(CLUSTER)
    assert kgen("render", "prod.yaml").code == 0
    return here


def bundle_in(here: Path) -> Bundle:
    found = store.read(here / "prod.secrets.yaml")
    assert found is not None
    return found


def token_of(here: Path, pool: str) -> str:
    path = here / f"outputs/prod/nodes/{pool}/etc/kubernetes/bootstrap-kubelet.conf"
    return str(yaml.safe_load(path.read_text())["users"][0]["user"]["token"])


def test_each_pool_joins_with_its_own_token_or_with_the_clusters(pooled):
    bundle = bundle_in(pooled)
    assert list(bundle.pool_tokens) == ["workers", "builders"]
    assert token_of(pooled, "workers") == bundle.pool_tokens["workers"]
    assert token_of(pooled, "builders") == bundle.pool_tokens["builders"]
    assert token_of(pooled, "others") == bundle.tokens[0]
    assert len({*bundle.tokens, *bundle.pool_tokens.values()}) == 3
    workers = (pooled / "outputs/prod/user-data/workers.yaml").read_text()
    for other in (bundle.tokens[0], bundle.pool_tokens["builders"]):
        assert other.partition(".")[2] not in workers


def test_masters_publish_the_tokens_of_pools(pooled):
    bundle = bundle_in(pooled)
    found = {path.name[3:]: yaml.safe_load(path.read_text()) for path in (pooled / "outputs/prod/api").iterdir()}
    for pool, description in (("workers", "for the machines of pool workers"), ("builders", "CI")):
        token_id = bundle.pool_tokens[pool].partition(".")[0]
        secret = found[f"secret-kube-system-bootstrap-token-{token_id}.yaml"]
        assert base64.b64decode(secret["data"]["description"]).decode() == description
    master = (pooled / "outputs/prod/user-data/m1.yaml").read_text()
    assert bundle.pool_tokens["workers"].partition(".")[0] in master


def test_tokens_are_kept_and_go_with_the_key(kgen, pooled):
    before = bundle_in(pooled)
    assert "nothing changed" in kgen("render", "prod.yaml").out
    text = CLUSTER.replace(", bootstrapToken: {ttl: 1h}", "")
    (pooled / "prod.yaml").write_text(text)
    assert kgen("render", "prod.yaml").code == 0
    after = bundle_in(pooled)
    assert after.pool_tokens == {"builders": before.pool_tokens["builders"]}
    assert token_of(pooled, "workers") == before.tokens[0] == after.tokens[0]


def test_a_rotation_under_way_is_in_the_bundle_and_survives_a_render(kgen, pooled):
    since = datetime(2026, 3, 1, tzinfo=UTC)
    old = (OldToken("abcdef", since, "workers"), OldToken("fedcba", since))
    path = pooled / "prod.secrets.yaml"
    store.write(path, replace(bundle_in(pooled), old_tokens=old))
    assert bundle_in(pooled).old_tokens == old
    assert "nothing changed" in kgen("render", "prod.yaml").out
    assert bundle_in(pooled).old_tokens == old


def test_a_new_token_has_an_id_of_its_own():
    made = iter(["abcdef.1111111111111111", "fedcba.2222222222222222"])
    source = replace(Source(), token=lambda: next(made))
    assert new_token(["abcdef.0000000000000000"], source) == "fedcba.2222222222222222"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("refresh", "--every", "0"), "--every is 0, and no schedule runs so often"),
        (("refresh", "--every", "31m", "--pool", "workers"), "the token of pool workers lives for 1h0m0s, and would"),
        (("refresh", "--every", "13h", "--pool", "others"), "the pool others has no token of its own"),
        (("refresh", "--every", "1h", "--ttl", "90m"), "the token lives for 1h30m0s, and would expire if one run"),
        (("renew", "--pool", "none"), "there is no pool 'none'"),
        (("rotate", "--pool", "others"), "the pool others has no token of its own"),
    ],
)
def test_what_cannot_work_is_said_before_the_cluster_is_asked(kgen, pooled, words, says):
    ended = kgen("token", words[0], "prod.yaml", *words[1:], "--server", "https://127.0.0.1:1")
    assert (ended.code, says in ended.err, "hint: " in ended.err) == (2, True, True), ended.err
    assert not re.search(r"[a-z0-9]{6}\.[a-z0-9]{16}", ended.err)


@pytest.mark.parametrize("minutes", [60, 61, 75, 100, 600])
@pytest.mark.parametrize("late", [0, 1, 19])
def test_a_token_outlives_a_failed_run_and_a_late_one(minutes, late):
    """A schedule of 20 minutes for a day, each of whose runs may start ``late``; one of them fails."""
    every, ttl, start = timedelta(minutes=20), timedelta(minutes=minutes), datetime(2026, 1, 1, tzinfo=UTC)
    for failed in range(1, 70):
        expires = start + ttl
        for run in range(1, 72):
            # The run that fails is on time, the others are late by turns.
            now = start + run * every + timedelta(minutes=late * (run % 2 if run != failed else 0))
            assert expires > now, (failed, run)
            if run != failed and not may_be_left_alone(expires, now, every):
                expires = now + ttl


class Secrets:
    """The API of a cluster with Secrets and no cluster-info."""

    def __init__(self, there):
        self.there = there

    def call(self, operation, *arguments):
        if operation == "create_namespaced_secret":
            self.there[arguments[1]["metadata"]["name"]] = arguments[1]
            return None
        assert operation.startswith("read_"), operation
        if arguments[0] not in self.there:
            raise RefusedError(SimpleNamespace(url="https://127.0.0.1"), 404, b"{}")
        return self.there[arguments[0]]


def test_a_token_that_cannot_be_published_keeps_no_other_from_it(kgen, pooled, monkeypatch):
    bundle = bundle_in(pooled)
    strange, *others = [
        f"bootstrap-token-{it.partition('.')[0]}" for it in (bundle.tokens[0], *bundle.pool_tokens.values())
    ]
    api = Secrets({strange: {"data": {"token-secret": "b3RoZXI="}}})
    monkeypatch.setattr("kgen.api.tokens._connect", lambda *_: api)
    ended = kgen("token", "renew", "prod.yaml")
    assert (ended.code, f"{strange} in the cluster differs from the bundle's" in ended.err) == (1, True), ended
    assert set(others) < set(api.there)


def test_a_cluster_that_does_not_answer_leaves_the_bundle(kgen, pooled):
    before = (pooled / "prod.secrets.yaml").read_bytes()
    for words in (("rotate",), ("rotate", "--pool", "workers"), ("renew",), ("refresh", "--every", "20m")):
        assert kgen("token", words[0], "prod.yaml", *words[1:], "--server", "https://127.0.0.1:1").code == 1
    assert (pooled / "prod.secrets.yaml").read_bytes() == before


def test_a_token_in_the_cluster_file_is_refused(kgen, here):
    (here / "prod.yaml").write_text(CLUSTER.replace("{ttl: 1h}", "{token: abcdef.0123456789abcdef}"))
    ended = kgen("render", "prod.yaml")
    assert (ended.code, "pools[0].bootstrapToken.token: token is a secret" in ended.err) == (2, True)
    assert "0123456789abcdef" not in ended.err
