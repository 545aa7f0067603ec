import json

import pytest


@pytest.mark.parametrize("path", ["networking.podSubnet", "machines[].labels", "kubelet.evictionHard", "users.name"])
def test_explain_says_what_a_field_is(kgen, path):
    ended = kgen("explain", path)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"{path}: ")


def test_explain_says_default_and_kubeadms_field(kgen):
    assert kgen("explain", "encryptionAlgorithm").out.splitlines()[2:] == [
        "  default: ECDSA-P256",
        "  in kubeadm since v1.31: ClusterConfiguration.encryptionAlgorithm, default RSA-2048",
    ]


def test_explain_lists_the_fields_below(kgen):
    assert [line.split()[0] for line in kgen("explain", "networking").out.splitlines()[3:]] == [
        "serviceSubnet",
        "podSubnet",
        "dnsDomain",
        "plugin",
    ]


def test_explain_without_a_path_lists_the_top(kgen):
    lines = kgen("explain").out.splitlines()
    assert lines[1].split(maxsplit=2)[:2] == ["name", "(required)"]
    assert any(line.startswith("kubelet ") for line in lines)


def test_explain_gives_the_reason_for_a_refused_key(kgen):
    out = kgen("explain", "certificatesDir").out
    assert out.splitlines() == [
        "certificatesDir cannot be changed: remove it: certificates are in /etc/kubernetes/pki",
        "accepted, but without effect: /etc/kubernetes/pki",
    ]
    assert "is computed" in kgen("explain", "discovery.bootstrapToken.token").out


def test_explain_names_the_nearest_field(kgen):
    ended = kgen("explain", "networking.podSubnets")
    assert ended.code == 2
    assert "did you mean `kgen explain networking.podSubnet`?" in ended.err
    assert "`kgen explain` lists the fields at the top" in kgen("explain", "qqqqqqqq").err


def test_explain_says_what_the_numbers_of_checks_mean(kgen):
    lines = kgen("explain", "hardeningExceptions").out.splitlines()
    assert "  1.2.15           the API server has no profiling" in lines
    assert json.loads(kgen("explain", "hardeningExceptions", "--json").out)["values"]["1.4.1"]
