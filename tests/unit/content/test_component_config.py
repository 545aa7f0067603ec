"""Empty and unusual values, written as kubeadm writes them: tests/oracle/cases/odd-values.yaml asks kubeadm."""

from typing import Any

import pytest
from tests.unit.config.broken_cases import BASE

from kgen.config.load import load_text
from kgen.content import addons, kubelet


def configured(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the configurations of kubelet and kube-proxy."""
    cluster = load_text(BASE + text, "cluster.yaml").cluster
    return kubelet.configuration(cluster), addons.kube_proxy_configuration(cluster)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ('resolvConf: ""', "resolvConf", ""),
        ('tracing: {endpoint: ""}', "tracing", {"endpoint": ""}),
        ("tracing: {}", "tracing", {}),
        ("tracing: ~", "tracing", None),
        ("failSwapOn: false", "failSwapOn", False),
        ("serverTLSBootstrap: false", "serverTLSBootstrap", None),
        ('clusterDomain: ""', "clusterDomain", "cluster.local"),
        ('providerID: ""', "providerID", None),
        ("clusterDNS: []", "clusterDNS", None),
        ("maxPods: 0", "maxPods", None),
        ("evictionHard: {}", "evictionHard", None),
        ("cpuCFSQuotaPeriod: 0.1s", "cpuCFSQuotaPeriod", "100ms"),
        ("evictionSoftGracePeriod: {memory.available: 90s}", "evictionSoftGracePeriod", {"memory.available": "90s"}),
        ("systemReserved: {memory: 1024Mi}", "systemReserved", {"memory": "1024Mi"}),
        (
            "reservedMemory: [{limits: {memory: 1024Mi}}]",
            "reservedMemory",
            [{"numaNode": 0, "limits": {"memory": "1Gi"}}],
        ),
        (
            "shutdownGracePeriodByPodPriority: [{priority: 9}]",
            "shutdownGracePeriodByPodPriority",
            [{"priority": 9, "shutdownGracePeriodSeconds": 0}],
        ),
    ],
)
def test_a_kubelets_field_is_written_as_kubeadm_writes_it(text, key, value):
    assert configured(f"kubelet: {{{text}}}\n")[0].get(key) == value


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("nodePortAddresses: []", "nodePortAddresses", []),
        ("ipvs: {excludeCIDRs: []}", "ipvs.excludeCIDRs", []),
        ("conntrack: {min: 0}", "conntrack.min", 0),
        ("conntrack: {udpTimeout: 90s}", "conntrack.udpTimeout", "1m30s"),
        ('bindAddress: ""', "bindAddress", "0.0.0.0"),
        ("windowsRunAsService: false", "windowsRunAsService", None),
        ("featureGates: {}", "featureGates", None),
        ("logging: {flushFrequency: 5000ms}", "logging.flushFrequency", "5s"),
        (
            "featureGates: {LoggingAlphaOptions: true}, logging: {options: {json: {infoBufferSize: 1024Ki}}}",
            "logging.options.json.infoBufferSize",
            "1Mi",
        ),
        ("logging: {options: {text: {splitStream: false}}}", "logging.options.text.splitStream", None),
        ("logging: {vmodule: [{filePattern: a}]}", "logging.vmodule", [{"filePattern": "a", "verbosity": 0}]),
    ],
)
def test_a_field_of_kube_proxy_is_written_as_kubeadm_writes_it(text, path, value):
    found: Any = configured(f"kubeProxy: {{{text}}}\n")[1]
    for key in path.split("."):
        found = found.get(key)
    assert found == value
