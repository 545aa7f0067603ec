from dataclasses import replace
from ipaddress import ip_address

import yaml
from tests.clusters import node, one_master, with_nodes

from kgen.content import kubelet
from kgen.facts import names
from kgen.model import Argument, NodeRegistration, Taint


def flags_env(machine, cluster=None):
    return kubelet.flags_env(cluster or with_nodes(1), machine)


def test_a_machine_without_anything_of_its_own_gets_no_arguments():
    assert flags_env(with_nodes(0).pools[0]) == 'KUBELET_KUBEADM_ARGS="--node-labels=tier=web"\n'
    assert flags_env(node("w1")) == 'KUBELET_KUBEADM_ARGS=""\n'


def test_addresses_labels_and_taints_become_arguments():
    machine = replace(
        node("w1"),
        addresses=(ip_address("10.0.0.1"), ip_address("fd00::1")),
        labels={"rack": "r7", "a": "b", names.LABEL_CONTROL_PLANE: ""},
        taints=(Taint("k", "NoSchedule"), Taint("l", "NoExecute", "v")),
    )
    assert flags_env(machine) == (
        'KUBELET_KUBEADM_ARGS="--register-with-taints=k:NoSchedule,l=v:NoExecute'
        ' --node-ip=10.0.0.1,fd00::1 --node-labels=a=b,rack=r7"\n'
    )


def test_a_master_gets_its_taints_through_the_api():
    cluster = one_master()
    assert "taints" not in flags_env(cluster.masters[0], cluster)


def test_a_name_the_machine_does_not_carry_is_given_to_the_kubelet():
    cluster = replace(with_nodes(1), set_hostname=False)
    assert "--hostname-override=m1" in flags_env(cluster.masters[0], cluster)
    assert "hostname" not in flags_env(cluster.pools[0], cluster)


def test_extra_arguments_are_quoted_and_win():
    extra = (Argument("node-ip", "::"), Argument("q", 'a"b\\c'))
    machine = replace(node("w1", "10.0.0.1"), registration=NodeRegistration(kubelet_extra_args=extra))
    assert flags_env(machine) == 'KUBELET_KUBEADM_ARGS="--node-ip=:: --q=a\\"b\\\\c"\n'


def test_the_users_fields_win_except_certificate_rotation():
    cluster = replace(
        one_master(),
        kubelet={
            "rotateCertificates": False,
            "maxPods": 7,
            "clusterDNS": [],
            "clusterDomain": "",
            "readOnlyPort": 0,
            "failSwapOn": False,
            "authentication": {"webhook": {"cacheTTL": "2m0s"}},
        },
    )
    configuration = kubelet.configuration(cluster)
    assert configuration["rotateCertificates"] is True
    assert configuration["maxPods"] == 7
    assert configuration["clusterDomain"] == "cluster.local"
    assert "clusterDNS" not in configuration
    assert "readOnlyPort" not in configuration
    assert configuration["failSwapOn"] is False
    assert configuration["authentication"]["webhook"] == {"cacheTTL": "2m0s", "enabled": True}
    assert cluster.kubelet["authentication"] == {"webhook": {"cacheTTL": "2m0s"}}


def test_a_pool_has_its_own_fields_over_the_clusters():
    fields = {
        "maxPods": 50,
        "serverTLSBootstrap": True,
        "evictionHard": {"a": "1", "b": "1"},
        "clusterDNS": ["10.0.0.9"],
    }
    own = {"serverTLSBootstrap": False, "evictionHard": {"b": "2"}, "cpuManagerPolicy": "static", "resolvConf": "/a"}
    cluster = replace(with_nodes(1), kubelet=fields)
    pool = replace(cluster.pools[0], kubelet=own)
    shared, changed = (yaml.safe_load(kubelet.config_yaml(cluster, machine)) for machine in (cluster.pools[0], pool))
    differences = {key: value for key, value in changed.items() if shared.get(key) != value}
    assert differences == {"evictionHard": {"a": "1", "b": "2"}, "cpuManagerPolicy": "static", "resolvConf": "/a"}
    assert set(shared) - set(changed) == {"serverTLSBootstrap"}
    assert kubelet.configuration(cluster)["evictionHard"] == {"a": "1", "b": "1"}
    assert yaml.safe_load(kubelet.instance_config(pool)) == {
        **own,
        "containerRuntimeEndpoint": "unix:///var/run/containerd/containerd.sock",
    }
    assert [kubelet.leaves_resolv_conf_open(cluster, machine) for machine in (cluster.pools[0], pool)] == [True, False]
