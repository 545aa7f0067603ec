"""Warnings of the cluster file that are about preflight: names of checks, proxies."""

import pytest

from kgen.config.load import load_text
from kgen.facts import preflight_rows

CLUSTER = """
apiVersion: kgen/v1
name: x
kubernetesVersion: v1.37.2
machines: [{name: m1, role: master, address: 10.0.0.11}]
"""


def warnings(more):
    return [(found.code, found.message, found.hint) for found in load_text(CLUSTER + more, "c.yaml").warnings]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Swop", "did you mean Swap?"),
        ("numcpus", "did you mean NumCPU?"),
        ("KgenNodeNames", "did you mean KgenNodeName?"),
        ("Port-etcd", "docs/reference/preflight.md lists them"),
    ],
)
def test_a_name_that_no_check_has(name, hint):
    (found,) = warnings(f"nodeRegistration: {{ignorePreflightErrors: [{name}]}}")
    assert found[0] == "K909"
    assert name in found[1]
    assert found[2] == hint


@pytest.mark.parametrize(
    "name",
    [
        *preflight_rows.NAMES,
        "swap",
        "Port-10250",
        "FileAvailable--etc-kubernetes-manifests-etcd.yaml",
        "DirAvailable--var-lib-etcd",
        "FileContent--proc-sys-net-ipv4-ip_forward",
        "FileExisting-crictl",
    ],
)
def test_names_that_checks_have(name):
    assert warnings(f"nodeRegistration: {{ignorePreflightErrors: [{name}]}}") == []


def proxied(no_proxy, more=""):
    text = f'httpProxy: {{httpsProxy: "http://proxy.test:3128", noProxy: "{no_proxy}"}}\n{more}'
    found = warnings(text)
    assert {code for code, *_ in found} <= {"K910"}
    return [message.partition(" would")[0].split()[-1] for _, message, _ in found]


def test_hosts_of_the_cluster_that_would_be_proxied():
    endpoint = "controlPlaneEndpoint: api.x.test:6443\nnetworking: {podSubnet: 10.244.0.0/16}"
    for no_proxy, left in (
        ("", {"10.0.0.11", "10.96.0.1", "10.244.0.1", "api.x.test"}),
        ("*", set()),
        ("10.0.0.0/8,.x.test", set()),
        ("10.0.0.0/8,*.x.test", set()),
        ("10.0.0.0/8,x.test", set()),
        ("10.0.0.0/8,api.x.test:6443", set()),
        ("10.0.0.0/8,api.x.test:443", {"api.x.test"}),
        ("10.0.0.0/8,.api.x.test", {"api.x.test"}),
        ("10.0.0.11,10.96.0.0/12", {"10.244.0.1", "api.x.test"}),
    ):
        assert set(proxied(no_proxy, endpoint)) == left, no_proxy


def test_a_proxy_for_http_alone_is_not_asked_for_the_cluster():
    assert warnings('httpProxy: {httpProxy: "http://proxy.test:3128"}') == []
