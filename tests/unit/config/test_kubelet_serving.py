"""``pki.kubeletServingCertificates``: what kubelets and API servers of the loaded cluster are told."""

import yaml
from tests.unit.config.test_load import BASE

from kgen.config.load import load_text
from kgen.content import flags, kubelet

ON = "pki: {kubeletServingCertificates: true}\n"
FILES = {
    "tlsCertFile": "/var/lib/kubelet/pki/kubelet-serving.crt",
    "tlsPrivateKeyFile": "/var/lib/kubelet/pki/kubelet-serving.key",
}


def load(text):
    return load_text(BASE + text, "cluster.yaml").cluster


def config(cluster, machine):
    return yaml.safe_load(kubelet.config_yaml(cluster, machine))


def verified_by(cluster):
    name = "--kubelet-certificate-authority="
    arguments = flags.join(flags.apiserver(cluster, cluster.masters[0]), cluster.api_server.extra_args)
    return [argument.removeprefix(name) for argument in arguments if argument.startswith(name)]


def test_the_kubelets_of_listed_machines_name_their_files():
    cluster = load(ON)
    (master,) = cluster.machines
    assert config(cluster, master).items() >= FILES.items()
    # kubeadm merges this file over the ConfigMap when it upgrades the machine.
    assert yaml.safe_load(kubelet.instance_config(master)).items() >= FILES.items()


def test_the_configuration_of_kubelets_that_join_names_no_files():
    assert FILES.keys().isdisjoint(kubelet.configuration(load(ON)))


def test_listed_machines_do_not_ask_for_another_certificate_where_pools_do():
    cluster = load(ON + "kubelet: {serverTLSBootstrap: true}\npools: [{name: p, role: node}]\n")
    assert "serverTLSBootstrap" not in config(cluster, cluster.machines[0])
    pool = config(cluster, cluster.pools[0])
    assert pool["serverTLSBootstrap"] is True
    assert FILES.keys().isdisjoint(pool)
    assert kubelet.configuration(cluster)["serverTLSBootstrap"] is True


def test_api_servers_verify_kubelets_if_every_kubelet_has_a_certificate():
    assert verified_by(load(ON)) == ["/etc/kubernetes/pki/ca.crt"]
    assert verified_by(load("")) == []


def test_an_argument_of_the_users_counts():
    other = "apiServer: {extraArgs: [{name: kubelet-certificate-authority, value: /etc/ssl/certs/a.crt}]}\n"
    assert verified_by(load(ON + other)) == ["/etc/ssl/certs/a.crt"]
