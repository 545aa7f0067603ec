from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_address

from hypothesis import given
from hypothesis import strategies as st
from tests import clusters

from kgen.model import ApiServer, Endpoint, LocalEtcd, Pki
from kgen.pki.plan import plan


def requests(cluster):
    return {request.name: request for request in plan(cluster)}


def test_requests_are_in_the_order_of_the_table_then_of_the_file():
    names = [request.name for request in plan(clusters.three_masters())]
    assert names[:5] == ["ca", "m1/apiserver", "m2/apiserver", "m3/apiserver", "m1/apiserver-kubelet-client"]
    assert names[-1] == "m3/kubelet"
    assert len(names) == len(set(names)) == 3 + 2 + 3 * 10


def test_nodes_and_pools_have_no_certificates():
    assert plan(clusters.with_nodes(3)) == plan(clusters.three_masters())


def test_every_listed_machine_has_a_serving_certificate_that_its_kubelet_could_have_asked_for():
    cluster = replace(clusters.with_nodes(2), pki=Pki(kubelet_serving_certificates=True))
    found = {name: request for name, request in requests(cluster).items() if request.row == "kubelet-serving"}
    assert list(found) == [f"{name}/kubelet-serving" for name in ("m1", "m2", "m3", "w1", "w2")]
    w1 = found["w1/kubelet-serving"]
    assert (w1.cn, w1.groups, w1.usages) == ("system:node:w1", ("system:nodes",), ("serverAuth",))
    assert (w1.ca, w1.dns, w1.ips) == ("ca", ("w1",), ("10.1.0.1",))


def test_apiserver_answers_to_kubeadms_names():
    cluster = replace(
        clusters.one_master(),
        control_plane_endpoint=Endpoint("api.prod.example.com", 6443),
        api_server=ApiServer(cert_sans=("zz.example.com", "*.wild.example.com", "10.0.0.11", "192.0.2.7", "m1")),
    )
    request = requests(cluster)["m1/apiserver"]
    assert request.dns == (
        "*.wild.example.com",
        "api.prod.example.com",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "m1",
        "zz.example.com",
    )
    assert request.ips == ("10.96.0.1", "10.0.0.11", "192.0.2.7")


def test_without_an_endpoint_apiserver_answers_to_its_own_address_only():
    request = requests(clusters.one_master())["m1/apiserver"]
    assert request.ips == ("10.96.0.1", "10.0.0.11")
    assert not [name for name in request.dns if "example" in name]


def test_an_endpoint_address_comes_after_the_machines_own():
    cluster = replace(clusters.three_masters(), control_plane_endpoint=Endpoint("2001:db8:0:0::1", 6443))
    assert requests(cluster)["m2/apiserver"].ips == ("10.96.0.1", "10.0.0.12", "2001:db8::1")


def test_only_the_first_service_subnet_counts():
    networking = replace(
        clusters.one_master().networking,
        service_subnets=(IPv6Network("fd00:10::/108"), IPv4Network("10.96.0.0/12")),
        dns_domain="k8s.example.org",
    )
    request = requests(replace(clusters.one_master(), networking=networking))["m1/apiserver"]
    assert request.ips == ("fd00:10::1", "10.0.0.11")
    assert "kubernetes.default.svc.k8s.example.org" in request.dns


def test_apiserver_answers_to_both_addresses_and_etcd_to_the_first():
    machine = replace(clusters.master("m1", "10.0.0.11"), addresses=(ip_address("10.0.0.11"), ip_address("fd00::11")))
    found = requests(replace(clusters.one_master(), machines=(machine,)))
    assert found["m1/apiserver"].ips == ("10.96.0.1", "10.0.0.11", "fd00::11")
    assert found["m1/etcd/server"].ips == found["m1/etcd/peer"].ips == ("10.0.0.11", "127.0.0.1", "::1")


def test_etcd_members_answer_to_localhost_too():
    etcd = LocalEtcd(server_cert_sans=("e.example.com", "192.0.2.8"), peer_cert_sans=("p.example.com", "localhost"))
    found = requests(replace(clusters.one_master(), etcd=etcd))
    server, peer = found["m1/etcd/server"], found["m1/etcd/peer"]
    assert (server.cn, server.groups) == ("m1", ())
    assert server.dns == ("e.example.com", "localhost", "m1")
    assert server.ips == ("10.0.0.11", "127.0.0.1", "::1", "192.0.2.8")
    assert peer.dns == ("localhost", "m1", "p.example.com")
    assert peer.ips == ("10.0.0.11", "127.0.0.1", "::1")


def test_subjects_of_clients():
    found = requests(clusters.three_masters())
    subjects = {name: (found[name].cn, found[name].groups) for name in found if name.startswith("m3/")}
    assert subjects["m3/kubelet"] == ("system:node:m3", ("system:nodes",))
    assert subjects["m3/apiserver-kubelet-client"] == ("kube-apiserver-kubelet-client", ())
    assert subjects["m3/apiserver-etcd-client"] == ("kube-apiserver-etcd-client", ())
    assert subjects["m3/etcd/healthcheck-client"] == ("kube-etcd-healthcheck-client", ())
    assert subjects["m3/controller-manager"] == ("system:kube-controller-manager", ())
    assert subjects["m3/scheduler"] == ("system:kube-scheduler", ())
    assert (found["admin"].cn, found["admin"].groups) == ("kubernetes-admin", ("kubeadm:cluster-admins",))
    assert (found["super-admin"].cn, found["super-admin"].groups) == ("kubernetes-super-admin", ("system:masters",))


SANS = st.lists(
    st.from_regex(r"[a-z][a-z0-9]{0,5}\.example", fullmatch=True)
    | st.ip_addresses(v=4).map(str)
    | st.ip_addresses(v=6).flatmap(lambda address: st.sampled_from([str(address), address.exploded.upper()])),
    max_size=8,
)


@given(sans=SANS)
def test_extra_sans_are_all_there_once_names_sorted_addresses_in_order(sans):
    cluster = replace(clusters.one_master(), api_server=ApiServer(cert_sans=tuple(sans)))
    base, request = requests(clusters.one_master())["m1/apiserver"], requests(cluster)["m1/apiserver"]
    assert list(request.dns) == sorted({*base.dns, *(san for san in sans if san.endswith(".example"))})
    assert request.ips[: len(base.ips)] == base.ips
    assert len(set(request.ips)) == len(request.ips)
