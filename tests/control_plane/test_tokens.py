"""Bootstrap tokens of a running cluster: they are refreshed, a pool has its own, and a new one replaces an old one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.control_plane.conftest import HERE
from tests.control_plane.deployment import ADMIN, Deployment, api, finished, kubectl, start_first_boot
from tests.control_plane.machines import Bench, Machine
from tests.installed import KGEN, kgen

MASTER, FIRST, SECOND, THIRD = "10.71.0.11", "10.71.0.31", "10.71.0.32", "10.71.0.33"
SECONDS = 300


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory, machines: list[Machine]) -> Iterator[Deployment]:
    """A master, and a pool with a token of its own."""

    def configure(cluster_file: Path) -> None:
        described = yaml.safe_load(cluster_file.read_text())
        pool = {"name": "workers", "role": "node", "bootstrapToken": {"ttl": "1h"}}
        more = {"machines": described["machines"][:1], "pools": [pool], "manifests": []}
        cluster_file.write_text(yaml.safe_dump(described | more))

    with Bench() as bench:
        source = HERE / "one.yaml"
        cluster = Deployment.render(source, tmp_path_factory.mktemp("pooled"), bench, machines, before=configure)
        cluster.first_boot(cluster.machine("m1", MASTER))
        yield cluster


@pytest.fixture(scope="module")
def m1(pooled: Deployment) -> Machine:
    return pooled.machines["m1"]


def run(cluster: Deployment, verb: str, *words: str) -> tuple[int, Any]:
    """Run a verb of ``kgen token`` on the master, and return its exit code and the JSON that it prints."""
    command = [KGEN, "token", verb, cluster.cluster_file, "--json", *words]
    status, output = cluster.machines["m1"].run(["sh", "-c", 'exec "$0" "$@" 2>/dev/null', *command], seconds=SECONDS)
    return status, json.loads(output)


def tokens(m1: Machine) -> dict[str, dict[str, Any]]:
    """Return the bootstrap tokens in the cluster by the name of their Secret."""
    found = api(m1, "secrets", "-n", "kube-system", "--field-selector", "type=bootstrap.kubernetes.io/token")
    return {secret["metadata"]["name"]: secret for secret in found}


def token_of(review: Path) -> str:
    """Return the public half of the token in a document."""
    user = yaml.safe_load((review / "etc/kubernetes/bootstrap-kubelet.conf").read_text())["users"][0]
    return str(user["user"]["token"]).partition(".")[0]


def test_a_machine_of_the_pool_joins_with_the_pools_token(pooled: Deployment, m1: Machine) -> None:
    pooled.first_boot(pooled.machine("p1", FIRST, user_data=pooled.user_data("workers")))
    own = token_of(pooled.review("workers"))
    assert f"bootstrap-token-{own}" in tokens(m1)
    asked = {request["spec"]["username"] for request in api(m1, "certificatesigningrequests")}
    assert {each for each in asked if "bootstrap" in each} == {f"system:bootstrap:{own}"}
    listed = m1.check(["kubeadm", "token", "list", "--kubeconfig", f"/{ADMIN}"], chroot=True)
    assert "for the machines of pool workers" in listed


def test_a_refresh_leaves_a_token_alone_that_is_fresh(pooled: Deployment, m1: Machine) -> None:
    before = tokens(m1)
    status, told = run(pooled, "refresh", "--every", "10m")
    assert (status, [each["renewed"] for each in told["tokens"]]) == (0, [False, False])
    assert {name: each["data"] for name, each in tokens(m1).items()} == {n: each["data"] for n, each in before.items()}
    status, told = run(pooled, "refresh", "--every", "30m", "--pool", "workers")  # the hour of the first boot has begun
    assert (status, [(each["pool"], each["renewed"], each["clusterInfo"]) for each in told["tokens"]]) == (
        0,
        [("workers", True, "signed")],
    )
    expires = datetime.fromisoformat(told["tokens"][0]["expires"])
    assert timedelta(minutes=50) < expires - datetime.now(UTC) <= timedelta(hours=1)


def test_a_token_that_is_gone_is_published_again_and_machines_join(pooled: Deployment, m1: Machine) -> None:
    own = token_of(pooled.review("workers"))
    kubectl(m1, "delete", "secret", "-n", "kube-system", f"bootstrap-token-{own}")
    p2 = pooled.machine("p2", SECOND, user_data=pooled.user_data("workers"))
    booting = start_first_boot(p2)
    status, told = run(pooled, "renew")
    assert status == 0
    assert [(each["pool"], each["created"]) for each in told["tokens"]] == [("", False), ("workers", True)]
    finished(booting, p2)


def test_a_rotation_ends_when_the_old_token_is_revoked(pooled: Deployment, m1: Machine) -> None:
    old = token_of(pooled.review("workers"))
    assert run(pooled, "rotate", "--pool", "workers", "--moved")[0] == 2  # none is under way
    status, told = run(pooled, "rotate", "--pool", "workers")
    new = told["new"]["id"]
    assert (status, told["stage"], told["old"]["id"], new == old) == (0, "added", old, False)
    assert {f"bootstrap-token-{each}" for each in (old, new)} <= tokens(m1).keys()

    p3 = pooled.machine("p3", THIRD, user_data=pooled.user_data("workers"))  # with the old user-data
    pooled.first_boot(p3)
    status, told = run(pooled, "rotate", "--pool", "workers")
    assert (status, told["stage"], [each["node"] for each in told["uses"]]) == (3, "waiting", ["p3"])

    kgen("render", pooled.cluster_file, "--output", pooled.outputs.parent, "--quiet")
    assert token_of(pooled.review("workers")) == new
    status, told = run(pooled, "rotate", "--pool", "workers", "--moved")
    assert (status, told["stage"]) == (0, "revoked")
    found = tokens(m1).keys()
    assert (f"bootstrap-token-{old}" in found, f"bootstrap-token-{new}" in found) == (False, True)
    status, told = run(pooled, "rotate", "--pool", "workers")  # the next rotation
    assert (status, told["stage"], told["old"]["id"]) == (0, "added", new)


def test_a_step_publishes_the_new_token_if_an_earlier_one_was_interrupted(pooled: Deployment, m1: Machine) -> None:
    """A kill after the bundle was written: the cluster has the old token only, and must not lose it first."""
    new = run(pooled, "rotate", "--pool", "workers")[1]["new"]["id"]
    for words, stage in (((), "waiting"), (("--moved",), "revoked")):
        kubectl(m1, "delete", "secret", "-n", "kube-system", f"bootstrap-token-{new}")
        assert run(pooled, "rotate", "--pool", "workers", *words)[1]["stage"] == stage
        assert f"bootstrap-token-{new}" in tokens(m1)


def test_the_clusters_token_is_rotated_alone(pooled: Deployment, m1: Machine) -> None:
    before = tokens(m1).keys()
    output = m1.check([KGEN, "token", "rotate", pooled.cluster_file], seconds=SECONDS)
    old = f"bootstrap-token-{re.findall(r'--moved` revokes (.{6})', output)[0]}"
    assert old in before
    assert not re.search(r"[a-z0-9]{6}\.[a-z0-9]{16}", output)
    kubectl(m1, "delete", "secret", "-n", "kube-system", old)  # as when it expires
    status, told = run(pooled, "rotate")
    assert (status, told["stage"]) == (0, "revoked")
    assert tokens(m1).keys() == before - {old} | {f"bootstrap-token-{told['new']['id']}"}
