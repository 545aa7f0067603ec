from datetime import UTC, datetime, timedelta

import pytest
from tests import clusters

from kgen.cluster.credential import credential
from kgen.cluster.servers import candidates
from kgen.errors import InputError


def test_the_endpoint_comes_before_the_masters():
    urls = [server.url for server in candidates(clusters.three_masters())]
    masters = [f"https://10.0.0.1{number}:6443" for number in (1, 2, 3)]
    assert urls == ["https://api.prod.example.com:6443", *masters]
    assert [server.url for server in candidates(clusters.one_master())] == ["https://10.0.0.11:6443"]


@pytest.mark.parametrize(
    ("given", "url", "address"),
    [
        ("https://127.0.0.1:7443", "https://127.0.0.1:7443", ("127.0.0.1", 7443)),
        ("https://api.example.com/", "https://api.example.com:6443", ("api.example.com", 6443)),
        ("api.example.com", "https://api.example.com:6443", ("api.example.com", 6443)),
        ("localhost:1", "https://localhost:1", ("localhost", 1)),
        ("[fd00::1]:6444", "https://[fd00::1]:6444", ("fd00::1", 6444)),
    ],
)
def test_a_given_server_stands_alone_and_may_be_any_api_server(given, url, address):
    (server,) = candidates(clusters.three_masters(), given)
    assert (server.url, server.address, server.tls_name) == (url, address, "kubernetes")


@pytest.mark.parametrize(
    "given", ["http://a:1", "https://", "a:b", "a:70000", "a:0", "https://a/path", "a b", "ftp://a"]
)
def test_what_is_no_server(given):
    with pytest.raises(InputError, match="not the address of an API server"):
        candidates(clusters.one_master(), given)


def test_a_certificate_that_has_ended_is_named_before_anything_is_asked(bundle):
    with pytest.raises(InputError, match="ended on") as ended:
        credential(bundle, datetime.now(UTC) + timedelta(days=366))
    assert "kgen certs renew CLUSTER_FILE admin" in ended.value.hint
    with pytest.raises(InputError, match="holds from"):
        credential(bundle, datetime.now(UTC) - timedelta(days=1))
