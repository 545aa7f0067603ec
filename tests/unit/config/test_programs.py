"""What the tables of programs mean for a cluster file, where it is not refused."""

import pytest

from kgen.config.load import load_text
from kgen.config.quantities import quantity, seconds
from kgen.errors import ProblemsError

UNKNOWN_FLAG = "apiServer: {extraArgs: [{name: audit-log-maxagee, value: '30'}]}\n"


def load(text, version="v1.37.2"):
    machines = "machines: [{name: m1, role: master, address: 10.0.0.1}]\n"
    return load_text(f"apiVersion: kgen/v1\nname: c\nkubernetesVersion: {version}\n{machines}{text}", "cluster.yaml")


def warnings(text, version="v1.37.2"):
    return [(problem.code, problem.field) for problem in load(text, version).warnings]


def test_names_that_are_not_there_are_a_warning_with_an_unknown_patch_release():
    assert warnings(UNKNOWN_FLAG, "v1.37.99") == [
        ("K901", "kubernetesVersion"),
        ("K930", "apiServer.extraArgs[0].name"),
    ]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("kubelet: {authentication: {anonymous: {enabled: true}}}", "kubelet.authentication.anonymous.enabled"),
        ("kubelet: {authorization: {mode: AlwaysAllow}}", "kubelet.authorization.mode"),
        ("kubelet: {readOnlyPort: 10255}", "kubelet.readOnlyPort"),
        ("kubelet: {clusterDNS: [10.96.0.11]}", "kubelet.clusterDNS"),
        ("kubelet: {clusterDomain: example.com}", "kubelet.clusterDomain"),
        ("kubelet: {healthzBindAddress: 0.0.0.0}", "kubelet.healthzBindAddress"),
        ("kubelet: {healthzPort: 0}", "kubelet.healthzPort"),
        ("kubelet: {clusterDNS: []}", "kubelet.clusterDNS"),
        ("kubelet: {authentication: {webhook: {enabled: false}}}", "kubelet.authentication.webhook.enabled"),
        ("networking: {podSubnet: 10.1.0.0/16}\nkubeProxy: {clusterCIDR: 10.2.0.0/16}", "kubeProxy.clusterCIDR"),
    ],
)
def test_values_that_kubeadm_warns_about_are_a_warning(text, field):
    assert warnings(text) == [("K931", field)]


@pytest.mark.parametrize(
    ("version", "name", "hint"),
    [
        ("v1.37.2", "enable-v2", "it exists only in etcd 3.5; remove it"),
        ("v1.37.2", "quota-backend-byte", "did you mean quota-backend-bytes?"),
        ("v1.37.2", "experimental-corrupt-check-time", "use corrupt-check-time, or use feature-gates"),
        ("v1.37.2", "experimental-nothing", "remove it, or use feature-gates"),
        ("v1.33.13", "max-learners", "it exists only in etcd 3.6 and 3.7; remove it"),
        ("v1.36.3", "no-such-flag", "remove it"),
    ],
)
def test_a_flag_that_etcd_does_not_have_is_refused(version, name, hint):
    with pytest.raises(ProblemsError) as caught:
        load(f"etcd: {{local: {{extraArgs: [{{name: {name}, value: x}}]}}}}", version)
    (problem,) = caught.value.problems
    assert (problem.code, problem.hint) == ("K318", hint)


def test_flags_of_an_etcd_that_kgen_does_not_know_are_taken():
    argument = "{name: no-such-flag, value: x}"
    load(f"etcd: {{local: {{imageTag: 3.99.0-0, extraArgs: [{argument}]}}}}")


def test_a_warning_shows_values_as_the_file_has_them():
    text = "kubelet: {clusterDNS: [1.1.1.1], authentication: {anonymous: {enabled: true}}}"
    anonymous, dns = (problem.message.partition(":")[0] for problem in load(text).warnings[::-1])
    assert (anonymous, dns) == ("true instead of false", '["1.1.1.1"] instead of ["10.96.0.10"]')


def test_kubeadms_own_values_are_no_warning():
    text = "kubelet: {clusterDNS: [10.96.0.10], clusterDomain: cluster.local, readOnlyPort: 0, healthzPort: 10248}"
    assert warnings(text) == []


def test_an_audit_log_in_the_container_is_a_warning():
    text = "apiServer: {extraArgs: [{name: audit-log-path, value: /var/log/audit.log}]}"
    assert warnings(text) == [("K932", "apiServer.extraArgs[0].value")]


def test_defaults_of_the_kubelet_count():
    load("kubelet: {imageGCHighThresholdPercent: 95, imageGCLowThresholdPercent: 90}")
    with pytest.raises(ProblemsError):
        load("kubelet: {imageGCLowThresholdPercent: 90}")


def test_gates_that_a_configuration_switches_on_count():
    load("kubelet: {featureGates: {DefaultPodSysctls: true}, defaultPodSysctls: {net.core.somaxconn: '1'}}")
    with pytest.raises(ProblemsError):
        load("kubelet: {defaultPodSysctls: {net.core.somaxconn: '1'}}")


@pytest.mark.parametrize(
    ("text", "value"), [("500m", 0.5), ("1Ki", 1024), ("1e3", 1000), ("-5", -5), ("5%", None), ("", None)]
)
def test_quantities(text, value):
    assert quantity(text) == value


@pytest.mark.parametrize(("text", "value"), [("1m30s", 90), ("0", 0), ("-1ms", -0.001), ("5", None), ("1d", None)])
def test_durations(text, value):
    found = seconds(text)
    assert (None if found is None else float(found)) == value
