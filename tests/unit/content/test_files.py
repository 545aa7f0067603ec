import time
from dataclasses import replace
from ipaddress import IPv6Network
from pathlib import PurePosixPath

import pytest
from tests.clusters import one_master, three_masters, with_nodes
from tests.conftest import GOLDEN

from kgen.content import files
from kgen.facts import own_paths
from kgen.model import File, HttpProxy, Machine, Networking, NodeRegistration, Pki
from kgen.payload import Pem, expand

TOKEN = "abcdef.0123456789abcdef"  # test-only


def by_path(entries):
    return {str(entry.path): entry for entry in entries}


def test_keys_are_private_and_certificates_public():
    cluster = three_masters()
    pki = [file for file in files.master_files(cluster, cluster.masters[0]) if "/pki/" in str(file.path)]
    assert {file.path.suffix: file.mode for file in pki} == {".crt": 0o644, ".key": 0o600, ".pub": 0o600}
    assert all(file.content == (Pem(str(file.path.relative_to("/etc/kubernetes/pki"))),) for file in pki)


def test_a_ca_key_that_the_bundle_does_not_have_is_left_out():
    cluster = one_master()
    path = "/etc/kubernetes/pki/etcd/ca.key"
    assert path in by_path(files.master_files(cluster, cluster.masters[0]))
    external = replace(cluster, pki=Pki(external=frozenset({"etcd/ca"})))
    assert path not in by_path(files.master_files(external, cluster.masters[0]))


def test_super_admin_stays_on_the_first_master_at_most():
    cluster = three_masters()
    path = "/etc/kubernetes/super-admin.conf"
    assert [path in by_path(files.master_files(cluster, m)) for m in cluster.masters] == [True, False, False]
    nowhere = replace(cluster, pki=Pki(keep_super_admin=False))
    assert path not in by_path(files.master_files(nowhere, nowhere.masters[0]))


def test_static_pods_come_last_and_in_stages():
    cluster = one_master()
    entries = files.master_files(cluster, cluster.masters[0])
    assert [entry.stage for entry in entries[-5:]] == ["files", "etcd", "apiserver", "controllers", "controllers"]
    assert {entry.mode for entry in entries[-4:]} == {0o600}


def test_a_node_gets_no_private_key():
    cluster = with_nodes(1)
    entries = by_path(files.WorkerFiles(cluster, TOKEN).of(cluster.machines[-1]))
    assert list(entries) == [
        "/etc/kubernetes/pki/ca.crt",
        "/etc/kubernetes/bootstrap-kubelet.conf",
        "/etc/modules-load.d/kgen.conf",
        "/etc/sysctl.d/kgen.conf",
        "/var/lib/kubelet/kubeadm-flags.env",
        "/var/lib/kubelet/config.yaml",
        "/var/lib/kubelet/instance-config.yaml",
    ]
    assert entries["/etc/kubernetes/bootstrap-kubelet.conf"].mode == 0o600
    assert TOKEN in "".join(p for p in entries["/etc/kubernetes/bootstrap-kubelet.conf"].content if isinstance(p, str))


def test_nodes_with_another_runtime_get_their_own_configuration():
    cluster = with_nodes(0)
    worker_files = files.WorkerFiles(cluster, TOKEN)
    plain = Machine("w1", "node")
    crio = Machine("w2", "node", registration=NodeRegistration(cri_socket="unix:///run/crio/crio.sock"))
    for machine, socket in [(plain, "containerd.sock"), (crio, "crio.sock"), (plain, "containerd.sock")]:
        entries = by_path(worker_files.of(machine))
        for name in ("config.yaml", "instance-config.yaml"):
            assert socket in expand(entries[f"/var/lib/kubelet/{name}"].content, {})


def test_proxies_reach_the_runtime_and_the_kubelet():
    proxy = HttpProxy("http://user:50%25@proxy:3128", "", 'a"b')
    cluster = replace(one_master(), http_proxy=proxy)
    entries = by_path(files.WorkerFiles(cluster, TOKEN).of(Machine("w1", "node")))
    for unit in ("containerd", "kubelet"):
        drop_in = entries[f"/etc/systemd/system/{unit}.service.d/kgen-proxy.conf"]
        assert expand(drop_in.content, {}) == "[Service]\nEnvironmentFile=/etc/kgen/proxy.env\n"
    values = entries["/etc/kgen/proxy.env"]
    assert values.mode == 0o600
    assert expand(values.content, {}) == 'HTTP_PROXY="http://user:50%25@proxy:3128"\nNO_PROXY="a\\"b"\n'


def test_a_proxys_password_is_in_no_file_that_others_can_read():
    cluster = replace(one_master(), http_proxy=HttpProxy("http://user:s3cr3t@proxy:3128", "", ""))
    found = [
        *files.WorkerFiles(cluster, TOKEN).of(Machine("w1", "node")),
        *files.master_files(cluster, cluster.masters[0]),
    ]
    holders = [file for file in found if "s3cr3t" in "".join(piece for piece in file.content if isinstance(piece, str))]
    assert holders
    assert [file.path for file in holders if file.mode & 0o077] == []


def test_forwarding_follows_the_address_families():
    cluster = one_master()
    assert set(files.sysctls(cluster)) == {"net.ipv4.ip_forward", "net.bridge.bridge-nf-call-iptables"}
    six = replace(cluster, networking=Networking(service_subnets=(IPv6Network("fd00::/112"),)))
    assert "net.ipv6.conf.all.forwarding" in files.sysctls(six)
    assert "net.ipv4.ip_forward" not in files.sysctls(six)


def test_directories_with_secrets_are_closed():
    cluster = with_nodes(1)
    closed = {PurePosixPath("/etc/kubernetes/manifests"): 0o700, PurePosixPath("/var/lib/kubelet"): 0o700}
    assert files.directories(cluster, cluster.machines[-1]) == closed
    assert files.directories(cluster, cluster.masters[0]) == closed | {PurePosixPath("/var/lib/etcd"): 0o700}


def test_ten_thousand_nodes_cost_less_than_a_second():
    cluster = with_nodes(10_000)
    worker_files = files.WorkerFiles(cluster, TOKEN)
    start = time.process_time()
    for machine in cluster.machines:
        worker_files.of(machine)
    assert time.process_time() - start < 1


def test_the_users_files_come_before_the_kubelets():
    mine = File(PurePosixPath("/etc/a"), "a", 0o640, "adm:adm")
    cluster = one_master()
    master = replace(cluster.machines[0], files=(mine,))
    for entries in (
        files.master_files(cluster, master),
        files.WorkerFiles(cluster, TOKEN).of(Machine("w1", "node", files=(mine,))),
    ):
        paths = [str(entry.path) for entry in entries]
        assert paths.index("/etc/a") < paths.index("/var/lib/kubelet/kubeadm-flags.env")
        entry = by_path(entries)["/etc/a"]
        assert (entry.content, entry.mode, entry.stage, entry.owner) == (("a",), 0o640, "files", "adm:adm")


@pytest.mark.parametrize("case", ["bridge", "smallest", "three-masters", "v1.33"])
def test_a_user_cannot_have_the_path_of_a_file_of_kgens(case):
    roots = list((GOLDEN / case / "output/nodes").iterdir())
    paths = [f"/{path.relative_to(root)}" for root in roots for path in root.rglob("*") if path.is_file()]
    assert len(paths) > 10
    assert [path for path in paths if not own_paths.instead(path)] == []
    assert own_paths.instead("/etc/kubernetes/pki/oidc.crt") == ""


def test_parameters_and_modules_of_the_kernel_follow_kgens():
    machine = Machine("w1", "node", sysctls={"vm.swappiness": "1"}, kernel_modules=("vfio",))
    entries = by_path(files.WorkerFiles(one_master(), TOKEN).of(machine))
    assert expand(entries["/etc/modules-load.d/kgen.conf"].content, {}) == "overlay\nbr_netfilter\nvfio\n"
    assert expand(entries["/etc/sysctl.d/kgen.conf"].content, {}).endswith("ip_forward = 1\nvm.swappiness = 1\n")
