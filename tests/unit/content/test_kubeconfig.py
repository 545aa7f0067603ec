import pytest
import yaml
from tests.clusters import three_masters

from kgen.content import kubeconfig
from kgen.payload import PemBase64


def parsed(content):
    return yaml.safe_load("".join(piece if isinstance(piece, str) else f"<{piece.blob}>" for piece in content))


@pytest.mark.parametrize(
    ("name", "user", "server"),
    [
        ("admin", "kubernetes-admin", "https://api.prod.example.com:6443"),
        ("super-admin", "kubernetes-super-admin", "https://api.prod.example.com:6443"),
        ("controller-manager", "system:kube-controller-manager", "https://10.0.0.12:6443"),
        ("scheduler", "system:kube-scheduler", "https://10.0.0.12:6443"),
        ("kubelet", "system:node:m2", "https://10.0.0.12:6443"),
    ],
)
def test_what_runs_on_a_master_talks_to_its_own_api_server(name, user, server):
    cluster = three_masters()
    content = kubeconfig.client(cluster, name, cluster.masters[1])
    assert parsed(content) == {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "prod", "cluster": {"certificate-authority-data": "<ca.crt>", "server": server}}],
        "contexts": [{"name": f"{user}@prod", "context": {"cluster": "prod", "user": user}}],
        "current-context": f"{user}@prod",
        "users": [
            {
                "name": user,
                "user": {"client-certificate-data": f"<{name}.crt>", "client-key-data": f"<{name}.key>"},
            }
        ],
    }


def test_a_node_bootstraps_with_the_token_at_the_endpoint():
    content = kubeconfig.bootstrap(three_masters(), "abcdef.0123456789abcdef")  # test-only
    config = parsed(content)
    assert config["users"][0]["user"] == {"token": "abcdef.0123456789abcdef"}
    assert config["clusters"][0]["cluster"]["server"] == "https://api.prod.example.com:6443"
    assert [piece for piece in content if not isinstance(piece, str)] == [PemBase64("ca.crt")]
