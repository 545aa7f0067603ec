import socket
from datetime import UTC, datetime, timedelta

import pytest
from tests import clusters
from tests.unit.running.stand_in import VERSION, node, serving

from kgen.errors import InputError, KgenError
from kgen.running import connection
from kgen.running.connection import Connection, RefusedError, SilentError, attempt, connect
from kgen.running.credential import credential
from kgen.running.servers import Server, Silence
from kgen.secrets_bundle.populate import populate

ANSWERS = {
    "/version": (200, VERSION),
    "/version/": (200, VERSION),
    "/api/v1/nodes": (200, {"items": [node("m1")]}),
    "/api/v1/namespaces/kube-system/pods": (403, {"message": "pods is forbidden", "reason": "Forbidden"}),
}


def any_server(port):
    return Server(f"https://127.0.0.1:{port}", "kubernetes")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_answers_are_the_json_that_came_and_refusals_have_kubernetes_words(bundle, admin, tmp_path):
    with serving(bundle, ANSWERS, tmp_path) as port:
        api = Connection(any_server(port), admin)
        assert api.version() == "v1.37.2"
        assert api.items("list_node") == [node("m1")]
        with pytest.raises(RefusedError, match="answered 403: pods is forbidden") as refused:
            api.items("list_namespaced_pod", "kube-system")
    assert (refused.value.status, refused.value.reason) == (403, "Forbidden")


def test_no_file_with_the_key_is_left(bundle, admin, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    admin.context()
    assert list(tmp_path.iterdir()) == []


def test_the_first_of_the_list_that_answers_is_used(bundle, admin, tmp_path):
    closed = any_server(free_port())
    with serving(bundle, ANSWERS, tmp_path) as port:
        found = attempt([closed, any_server(port), closed], admin)
    assert found.connection is not None
    assert found.connection.server.url.endswith(str(port))
    assert found.reasons == f"{closed.url}: connection refused"


def test_nothing_answers(admin):
    closed = any_server(free_port())
    with pytest.raises(KgenError, match=f"cannot be reached: {closed.url}: connection refused") as error:
        connect([closed, closed], admin)
    assert error.value.exit_code == 1


def test_a_name_that_does_not_exist(admin):
    with pytest.raises(SilentError, match="cannot be resolved"):
        Connection(Server("https://no.such.name.invalid:6443"), admin).version()


def test_a_server_that_says_nothing(admin, monkeypatch):
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(connection, "READ_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as deaf, pytest.raises(SilentError, match=r"no answer within 0\.2 s"):
        Connection(any_server(deaf.getsockname()[1]), admin).version()


def test_another_clusters_endpoint_is_an_error_and_another_machine_at_a_masters_address_is_none(
    bundle, admin, tmp_path
):
    other = populate(None, clusters.one_master(), datetime.now(UTC)).bundle
    (tmp_path / "other").mkdir()
    with serving(other, ANSWERS, tmp_path / "other") as wrong, serving(bundle, ANSWERS, tmp_path) as right:
        with pytest.raises(InputError, match="belongs to another cluster: it shows a certificate of another CA"):
            attempt([any_server(wrong), any_server(right)], admin)
        closed = any_server(free_port())
        found = attempt([closed, any_server(wrong), any_server(right)], admin)
        assert found.connection is not None
        assert "another CA" in found.reasons


def test_a_certificate_for_another_address_or_out_of_date(bundle, admin, tmp_path):
    with serving(bundle, ANSWERS, tmp_path) as port, pytest.raises(SilentError, match="does not contain this address"):
        Connection(Server(f"https://127.0.0.1:{port}"), admin).version()
    then = datetime.now(UTC) - timedelta(days=400)
    old = populate(None, clusters.one_master(), then).bundle
    with serving(old, ANSWERS, tmp_path) as port, pytest.raises(SilentError, match="its certificate has expired"):
        Connection(any_server(port), credential(old, then + timedelta(hours=1))).version()


def test_a_proxy_that_may_intercept_tls_is_named_without_its_password(monkeypatch):
    silent = Silence(Server("https://api.example.com:6443"), "authority", "it shows a certificate of another CA")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:s3cr3t@proxy.example.com:3128")
    hint = connection.another_cluster(silent).hint
    assert "HTTPS_PROXY is proxy.example.com:3128: if it intercepts TLS, add api.example.com to NO_PROXY" in hint
    monkeypatch.delenv("HTTPS_PROXY")
    monkeypatch.delenv("https_proxy", raising=False)
    assert connection.another_cluster(silent).hint.startswith("check DNS, the bundle")
