"""Three masters that came up at the same time, and what each refuses to do when its disk is lost."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tests.control_plane import deployment, objects, tree
from tests.control_plane.conftest import ENDPOINT_HOSTS
from tests.control_plane.deployment import Deployment, api, kubectl
from tests.control_plane.machines import Machine, until
from tests.installed import kgen

MASTERS = ("m1", "m2", "m3")
ETCD_POD = "etc/kubernetes/manifests/etcd.yaml"
ETCDCTL = (
    "etcdctl",
    *("--cacert", "/etc/kubernetes/pki/etcd/ca.crt"),
    *("--cert", "/etc/kubernetes/pki/etcd/healthcheck-client.crt"),
    *("--key", "/etc/kubernetes/pki/etcd/healthcheck-client.key"),
)


@pytest.mark.parametrize("name", [*MASTERS, "w7"])
def test_the_tree_on_the_machine_is_the_review_tree(three: Deployment, name: str) -> None:
    machine = three.machines[name]
    review = three.review("workers" if name == "w7" else name)
    assert tree.differences(review, machine.root) == []


def test_only_the_first_master_keeps_super_admin(three: Deployment) -> None:
    keepers = [name for name in MASTERS if (three.machines[name].root / deployment.SUPER_ADMIN).exists()]
    assert keepers == ["m1"]
    left = [path for name in MASTERS[1:] for path in (three.machines[name].root / "run").rglob("*admin*")]
    assert left == []


def test_every_object_was_published_as_rendered(three: Deployment) -> None:
    found = objects.live(three, three.machines["m1"])
    assert len(found) == len(three.published()) > 25
    for rendered in three.published():
        assert objects.missing(rendered, found[objects.key(rendered)]) == []


def test_the_token_expires_a_day_after_it_was_published(three: Deployment) -> None:
    secrets = api(three.machines["m1"], "secrets", "-n", "kube-system")
    (token,) = [each for each in secrets if each["type"] == "bootstrap.kubernetes.io/token"]
    expiration = datetime.fromisoformat(base64.b64decode(token["data"]["expiration"]).decode())
    created = datetime.fromisoformat(token["metadata"]["creationTimestamp"])
    assert abs(expiration - created - timedelta(hours=24)) < timedelta(seconds=10)


def test_etcd_has_three_healthy_members(three: Deployment) -> None:
    command = [*ETCDCTL, "--endpoints", ",".join(f"https://10.73.0.1{number}:2379" for number in (1, 2, 3))]
    three.machines["m2"].check([*command, "endpoint", "health"], chroot=True)
    members = json.loads(three.machines["m2"].check([*command, "member", "list", "-w", "json"], chroot=True))
    assert sorted(member["name"] for member in members["members"]) == list(MASTERS)


@pytest.mark.parametrize("name", MASTERS)
def test_every_master_serves_by_itself(three: Deployment, name: str) -> None:
    conf = "etc/kubernetes/kubelet.conf"
    assert api(three.machines[name], "node", name, conf=conf)["metadata"]["name"] == name


def test_the_kubernetes_service_leads_to_every_master(three: Deployment) -> None:
    def addresses() -> set[str]:
        slices = api(three.machines["m1"], "endpointslices", "-l", "kubernetes.io/service-name=kubernetes")
        return {address for each in slices for endpoint in each["endpoints"] for address in endpoint["addresses"]}

    until("endpoints of all masters", lambda: addresses() == {f"10.73.0.1{number}" for number in (1, 2, 3)})
    service = api(three.machines["m1"], "service", "kubernetes", "-n", "default")
    assert service["spec"]["clusterIP"] == "10.112.0.1"


def test_what_one_master_signs_the_others_accept(three: Deployment) -> None:
    token = kubectl(three.machines["m1"], "create", "token", "default").strip()
    for number in (1, 2, 3):
        server = [
            "--server",
            f"https://10.73.0.1{number}:6443",
            "--certificate-authority",
            "/etc/kubernetes/pki/ca.crt",
        ]
        command = ["kubectl", "--kubeconfig", "/dev/null", *server, "--token", token, "auth", "whoami"]
        assert "system:serviceaccount:default:default" in three.machines["m1"].check(command, chroot=True)


def test_controllers_and_scheduler_do_their_work(three: Deployment) -> None:
    def proxies() -> int:
        found = api(three.machines["m1"], "daemonset", "kube-proxy", "-n", "kube-system")
        return int(found["status"]["desiredNumberScheduled"])

    def resolvers() -> set[str]:
        pods = api(three.machines["m1"], "pods", "-n", "kube-system", "-l", "k8s-app=kube-dns")
        return {pod["spec"].get("nodeName", "") for pod in pods}

    until("kube-proxy on four nodes", lambda: proxies() == len(MASTERS) + 1)
    until("two scheduled CoreDNS pods", lambda: len(resolvers() - {""}) == 2)


def test_all_nodes_are_ready_and_marked(three: Deployment) -> None:
    nodes = {node["metadata"]["name"]: node for node in api(three.machines["m1"], "nodes")}
    assert sorted(nodes) == [*MASTERS, "w7"]
    for name, node in nodes.items():
        labels = node["metadata"]["labels"]
        assert ("node-role.kubernetes.io/control-plane" in labels) == (name in MASTERS)
        assert {each["type"]: each["status"] for each in node["status"]["conditions"]}["Ready"] == "True"
    assert nodes["w7"]["metadata"]["labels"]["tier"] == "web"


def test_a_rebuilt_master_changes_nothing(three: Deployment) -> None:
    before = objects.written(objects.live(three, three.machines["m1"]))
    three.first_boot(three.rebuild("m2"))
    after = objects.written(objects.live(three, three.machines["m1"]))
    assert after == before


@pytest.fixture
def wiped(three: Deployment) -> Iterator[Machine]:
    """The third master with an empty disk and its document again; afterwards the old one is back."""
    old = three.machines["m3"]
    old.power_off()
    new = three.machine("m3", "10.73.0.13", root="m3-again")
    yield new
    new.power_off()
    shutil.rmtree(new.root)
    deployment.power_cycle(old)
    command = [*ETCDCTL, "--endpoints", "https://10.73.0.13:2379", "endpoint", "health"]
    until("healthy m3", lambda: old.run(command, chroot=True)[0] == 0)


def test_a_wiped_master_does_not_start_while_its_peers_know_it(three: Deployment, wiped: Machine) -> None:
    output = deployment.finished(deployment.start_first_boot(wiped), wiped, expect=2)
    status = deployment.status(wiped)
    assert (status["phase"], status["exit_code"]) == ("failed", 2)
    assert "m3" in status["error"]
    assert "member" in status["error"] + status["hint"]
    assert status["error"] in output
    assert not (wiped.root / "etc/kubernetes/manifests/etcd.yaml").exists()
    assert not any((wiped.root / "var/lib/etcd").glob("*"))


def test_a_wiped_master_waits_for_peers_that_are_down(three: Deployment, wiped: Machine) -> None:
    others = [three.machines[name] for name in ("m1", "m2")]
    for machine in others:
        machine.unplug()
    try:
        deployment.reseal(wiped, waitFactor=0.001)  # every deadline is over at once, but the guard has none
        running = deployment.start_first_boot(wiped)
        until("names of the missing", lambda: _waiting_for(wiped, "m1", "m2"), seconds=120)
        reported = deployment.status(wiped)["seconds"]
        # What has not changed is said again after a minute, and one look at two silent peers takes up to 18 seconds.
        until("later report", lambda: deployment.status(wiped)["seconds"] > reported + 3, seconds=120)
        assert _waiting_for(wiped, "m1", "m2")
        assert running.alive()
        assert not (wiped.root / "etc/kubernetes/manifests/etcd.yaml").exists()
        others[0].plug()
        deployment.finished(running, wiped, expect=2)
    finally:
        for machine in others:
            machine.plug()
        command = [*ETCDCTL, "--endpoints", "https://10.73.0.11:2379,https://10.73.0.12:2379", "endpoint", "health"]
        until("healthy m1 and m2", lambda: others[0].run(command, chroot=True)[0] == 0)


def _waiting_for(machine: Machine, *names: str) -> bool:
    status = deployment.status(machine)
    return status.get("phase") == "waiting" and all(name in status["error"] for name in names)


def test_a_new_master_is_refused_by_the_running_three(three: Deployment, tmp_path: Path) -> None:
    """Someone has grown the cluster file to five masters, and the bundle with it; the running etcd knows of three."""
    document = yaml.safe_load(three.cluster_file.read_text(encoding="utf-8"))
    new = [{"name": f"m{number}", "address": f"10.73.0.1{number}"} for number in (4, 5)]
    document["machines"] += [{**member, "role": "master"} for member in new]
    (tmp_path / "three.yaml").write_text(yaml.safe_dump(document))
    bundle = yaml.safe_load(three.cluster_file.with_suffix(".secrets.yaml").read_text(encoding="utf-8"))
    bundle["masters"] += new
    del bundle["checksums"]
    deployment.write(tmp_path / "three.secrets.yaml", yaml.safe_dump(bundle), 0o600)
    kgen("render", tmp_path / "three.yaml", "--output", tmp_path / "outputs")
    machine = three.machine("m4", "10.73.0.14", user_data=tmp_path / "outputs/three/user-data/m4.yaml")
    try:
        deployment.finished(deployment.start_first_boot(machine), machine, expect=2)
        assert "https://10.73.0.14:2380" in deployment.status(machine)["error"]
        assert not (machine.root / "etc/kubernetes/manifests/etcd.yaml").exists()
    finally:
        machine.power_off()


def test_a_wiped_master_joins_once_it_was_removed_and_added_as_its_console_says(three: Deployment) -> None:
    three.machines["m3"].power_off()
    new = three.machine("m3", "10.73.0.13", root="m3-new")
    deployment.finished(deployment.start_first_boot(new), new, expect=2)
    where, _, commands = deployment.status(new)["hint"].partition(": ")
    peer = three.machines[where.removeprefix("on ")]
    for command in commands.split("; "):
        kubectl, _, etcdctl = command.partition(" -- ")  # no kubelet here that could run it in the pod
        assert kubectl.endswith(f" exec etcd-{where.removeprefix('on ')}")
        words = etcdctl.split()
        until(command, lambda words=words: peer.run(words, chroot=True)[0] == 0)
    three.first_boot(new)
    three.machines["m3"] = new
    command = [*ETCDCTL, "--endpoints", ",".join(f"https://10.73.0.1{number}:2379" for number in (1, 2, 3))]
    peer.check([*command, "endpoint", "health"], chroot=True)
    members = json.loads(peer.check([*command, "member", "list", "-w", "json"], chroot=True))["members"]
    assert sorted((member["name"], bool(member["clientURLs"])) for member in members) == [
        (name, True) for name in MASTERS
    ]
    assert tree.differences(three.review("m3"), new.root) == [f"other content: {ETCD_POD}"]
    assert "--initial-cluster-state=existing" in (new.root / ETCD_POD).read_text()
    shutil.copy(three.review("m3") / ETCD_POD, new.root / ETCD_POD)  # it has data by now: the flag means nothing
    until("m3 again", lambda: new.run([*command, "endpoint", "health"], chroot=True)[0] == 0)


def test_a_machine_waits_while_another_of_its_name_is_ready(three: Deployment) -> None:
    old = three.machines["w7"]
    twin = three.machine("w7", "10.73.0.28", user_data=three.user_data("workers"), root="w7-twin", hosts=ENDPOINT_HOSTS)
    running = deployment.start_first_boot(twin)
    until(
        "the other's name", lambda: "another machine is Node w7 and Ready" in deployment.status(twin).get("error", "")
    )
    assert not (twin.root / deployment.LOGS / "kubelet.log").exists()
    old.power_off()
    kubectl(three.machines["m1"], "delete", "node", "w7")
    deployment.finished(running, twin)
    three.machines["w7"] = twin


def test_the_cluster_is_healthy_after_all_these_tests(three: Deployment) -> None:
    assert kubectl(three.machines["m1"], "get", "--raw", "/readyz").strip() == "ok"
