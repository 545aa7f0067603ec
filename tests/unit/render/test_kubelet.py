from dataclasses import replace
from ipaddress import ip_address

from tests.clusters import node, one_master, with_nodes

from kgen import names
from kgen.config.model import Argument, NodeRegistration, Taint
from kgen.render import kubelet


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
        'KUBELET_KUBEADM_ARGS="--node-ip=10.0.0.1,fd00::1 --node-labels=a=b,rack=r7'
        ' --register-with-taints=k:NoSchedule,l=v:NoExecute"\n'
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


def test_the_users_fields_win_but_rotation_stays():
    cluster = replace(
        one_master(),
        kubelet={
            "rotateCertificates": False,
            "maxPods": 7,
            "syncFrequency": "90s",
            "staticPodPath": "",
            "clusterDNS": [],
            "clusterDomain": None,
            "readOnlyPort": 0,
            "failSwapOn": False,
            "authentication": {"webhook": {"cacheTTL": "120s"}},
        },
    )
    configuration = kubelet.configuration(cluster)
    assert configuration["rotateCertificates"] is True
    assert configuration["maxPods"] == 7
    assert configuration["syncFrequency"] == "1m30s"
    assert configuration["staticPodPath"] == "/etc/kubernetes/manifests"
    assert configuration["clusterDomain"] == "cluster.local"
    assert "clusterDNS" not in configuration
    assert "readOnlyPort" not in configuration
    assert configuration["failSwapOn"] is False
    assert configuration["authentication"]["webhook"] == {"cacheTTL": "2m0s", "enabled": True}
    assert cluster.kubelet["authentication"] == {"webhook": {"cacheTTL": "120s"}}
