"""The certificate of a live API server beside the bundle's."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import pytest
from tests import clusters
from tests.unit.running.stand_in import serving

from kgen.running import serving as live
from kgen.running import status
from kgen.secrets_bundle.populate import populate

NOW = datetime.now(UTC)
MONTH = timedelta(days=30)


def at(port):
    master = replace(clusters.one_master().masters[0], addresses=(IPv4Address("127.0.0.1"),), bind_port=port)
    return replace(clusters.one_master(), machines=(master,))


@pytest.fixture(scope="module")
def old():
    return populate(None, at(6443), NOW - MONTH).bundle


@pytest.fixture(scope="module")
def new(old):
    return populate(old, at(6443), NOW, renew={"m1/apiserver"}).bundle


def seen(served, bundle, directory, now=NOW):
    """Return state and findings for a server with the certificate of ``served``, beside ``bundle``."""
    with serving(served, {}, directory) as port:
        (view,) = live.look(at(port), bundle)
    return view.state, tuple(status.of_serving((view,), now))


def test_the_bundles_certificate_is_as_issued(old, tmp_path):
    assert seen(old, old, tmp_path) == ("as issued", ())


def test_a_newer_certificate_of_the_same_ca_is_fine(old, new, tmp_path):
    assert seen(new, old, tmp_path) == ("newer", ())


def test_an_older_certificate_can_be_renewed_on_the_machine(old, new, tmp_path):
    state, (finding,) = seen(old, new, tmp_path)
    assert state == "older"
    assert "`kgen apply CLUSTER_FILE m1 | ssh root@m1 sh`" in finding
    assert "rebuild" not in finding


def test_a_certificate_that_expires_within_30_days_is_a_finding_once(old, new, tmp_path):
    end = old.entries["m1/apiserver"].not_after
    assert seen(old, old, tmp_path, end - timedelta(days=31)) == ("as issued", ())
    _, (finding,) = seen(old, old, tmp_path, end - timedelta(days=29))
    assert f"expires on {end:%Y-%m-%d}" in finding


def test_another_clusters_certificate_is_refused(old, tmp_path):
    other = populate(None, at(6443), NOW).bundle
    state, (finding,) = seen(other, old, tmp_path)
    assert state == "refused"
    assert "no client accepts" in finding
