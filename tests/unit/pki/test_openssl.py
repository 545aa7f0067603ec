"""OpenSSL's word on what is issued."""

import subprocess
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests import clusters

from kgen.secrets_bundle.populate import populate

pytestmark = pytest.mark.real

PURPOSES = {"serverAuth": "sslserver", "clientAuth": "sslclient"}


def openssl(*words: object) -> str:
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("algorithm", ["ECDSA-P256", "ECDSA-P384", "RSA-2048"])
def test_leaves_verify_against_their_ca_for_their_purposes_and_names(tmp_path, algorithm):
    cluster = replace(clusters.one_master(), encryption_algorithm=algorithm)
    from kgen.pki.plan import plan

    bundle = populate(None, cluster, datetime.now(UTC)).bundle
    for request in plan(cluster):
        path = tmp_path / request.name.replace("/", "-")
        path.write_text(bundle.entries[request.name].certificate)
        if request.ca is None:
            openssl("verify", "-x509_strict", "-CAfile", path, path)
            continue
        ca = tmp_path / request.ca.replace("/", "-")
        for usage in request.usages:
            names = [word for name in request.dns for word in ("-verify_hostname", name)]
            addresses = [word for ip in request.ips for word in ("-verify_ip", ip)]
            base = ["verify", "-CAfile", ca, "-purpose", PURPOSES[usage]]
            for check in (names[:2], names[-2:], addresses[:2], addresses[-2:]):
                openssl(*base, *check, path)
    key = tmp_path / "sa.key"
    key.write_text(bundle.service_account.key)
    assert openssl("pkey", "-in", key, "-pubout") == bundle.service_account.public
