from dataclasses import replace

from tests.clusters import one_master, three_masters

from kgen.content import flags
from kgen.model import ApiServer, Argument


def test_overridden_defaults_move_behind_the_sorted_others():
    extra = (Argument("b", "2"), Argument("z", "1"), Argument("b", "3"))
    assert flags.join({"c": "0", "b": "0", "a": "0"}, extra) == ["--a=0", "--c=0", "--b=2", "--z=1", "--b=3"]


def test_the_last_value_of_a_repeated_argument_counts():
    extra = (Argument("a", "1"), Argument("b", "2"), Argument("a", "3"))
    assert flags.last(extra, "a", "0") == "3"
    assert flags.last(extra, "c", "0") == "0"


def test_every_master_starts_with_the_same_members():
    cluster = three_masters()
    members = {flags.etcd(cluster, machine)["initial-cluster"] for machine in cluster.masters}
    assert members == {"m1=https://10.0.0.11:2380,m2=https://10.0.0.12:2380,m3=https://10.0.0.13:2380"}
    assert "initial-cluster-state" not in flags.etcd(cluster, cluster.masters[1])


def test_pod_networks_are_allocated_only_where_there_are_some():
    names = {"allocate-node-cidrs", "cluster-cidr", "service-cluster-ip-range"}
    with_pods, without = three_masters(), one_master()
    assert names <= flags.controller_manager(with_pods, with_pods.masters[0]).keys()
    assert not names & flags.controller_manager(without, without.masters[0]).keys()


def test_an_authorization_config_replaces_the_mode():
    cluster = replace(one_master(), api_server=ApiServer(extra_args=(Argument("authorization-config", "/x"),)))
    assert "authorization-mode" not in flags.apiserver(cluster, cluster.masters[0])
    assert flags.apiserver(one_master(), cluster.masters[0])["authorization-mode"] == "Node,RBAC"
