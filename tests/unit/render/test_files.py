import time
from dataclasses import replace
from ipaddress import IPv6Network
from pathlib import PurePosixPath

from tests.clusters import one_master, three_masters, with_nodes

from kgen.config.model import HttpProxy, Machine, Networking, NodeRegistration, Pki
from kgen.payload import Pem, expand
from kgen.render import files

TOKEN = "abcdef.0123456789abcdef"  # test-only


def by_path(entries):
    return {str(entry.path): entry for entry in entries}


def test_keys_are_private_and_certificates_public():
    cluster = three_masters()
    pki = [file for file in files.master_files(cluster, cluster.masters[0]) if "/pki/" in str(file.path)]
    assert {file.path.suffix: file.mode for file in pki} == {".crt": 0o644, ".key": 0o600, ".pub": 0o600}
    assert all(file.content == (Pem(str(file.path.relative_to("/etc/kubernetes/pki"))),) for file in pki)


def test_only_the_cluster_ca_key_goes_to_masters_unless_all_are_shipped():
    cluster = one_master()
    kept_back = {"etcd/ca.key", "front-proxy-ca.key"}
    assert "ca.key" in files.pki_file_names(cluster)
    assert not kept_back & set(files.pki_file_names(cluster))
    assert kept_back <= set(files.pki_file_names(replace(cluster, pki=Pki(ship_ca_keys="all"))))


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
        assert expand(drop_in.content, {}) == (
            '[Service]\nEnvironment="HTTP_PROXY=http://user:50%%25@proxy:3128"\nEnvironment="NO_PROXY=a\\"b"\n'
        )


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
