from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from tests import clusters

from kgen.errors import InputError
from kgen.running.credential import credential
from kgen.running.servers import candidates


def test_the_endpoint_comes_before_the_masters():
    urls = [server.url for server in candidates(clusters.three_masters())]
    masters = [f"https://10.0.0.1{number}:6443" for number in (1, 2, 3)]
    assert urls == ["https://api.prod.example.com:6443", *masters]
    assert [server.url for server in candidates(clusters.one_master())] == ["https://10.0.0.11:6443"]


def test_both_addresses_of_a_master_are_asked():
    both = (ip_address("10.0.0.11"), ip_address("fd00::11"))
    cluster = replace(clusters.one_master(), machines=(replace(clusters.master("m1", "10.0.0.11"), addresses=both),))
    assert [server.url for server in candidates(cluster)] == ["https://10.0.0.11:6443", "https://[fd00::11]:6443"]


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
def test_a_given_server_is_the_only_candidate(given, url, address):
    (server,) = candidates(clusters.three_masters(), given)
    assert (server.url, server.address, server.tls_name) == (url, address, "kubernetes")


@pytest.mark.parametrize(
    "given", ["http://a:1", "https://", "a:b", "a:70000", "a:0", "https://a/path", "a b", "ftp://a"]
)
def test_an_invalid_server_is_refused(given):
    with pytest.raises(InputError, match="not the address of an API server"):
        candidates(clusters.one_master(), given)


def test_an_expired_certificate_is_named_before_any_request(bundle):
    with pytest.raises(InputError, match="expired on") as ended:
        credential(bundle, datetime.now(UTC) + timedelta(days=366))
    assert "kgen certs renew CLUSTER_FILE admin" in ended.value.hint
    with pytest.raises(InputError, match="is valid only from"):
        credential(bundle, datetime.now(UTC) - timedelta(days=1))
