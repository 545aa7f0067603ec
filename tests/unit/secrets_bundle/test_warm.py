import subprocess
import sys

import pytest

from kgen.secrets_bundle import store

WARM = """
import sys
from datetime import datetime, UTC
from pathlib import Path
from kgen.secrets_bundle import blobs, exposure, inventory, membership, passwords, selection, store
from kgen.secrets_bundle.populate import populate
from tests import clusters
cluster = clusters.three_masters()
populated = populate(store.read(Path(sys.argv[1])), cluster, datetime(2026, 3, 2, tzinfo=UTC))
assert not populated.changed
for machine in cluster.machines:
    blobs.machine_blobs(populated.bundle, cluster, machine)
    blobs.validity(populated.bundle, cluster, machine)
blobs.ca_fingerprint(populated.bundle)
print(sorted({"cryptography", "passlib", "secrets", "subprocess"} & set(sys.modules)))
"""


@pytest.mark.real
def test_a_warm_run_loads_no_cryptography(tmp_path, bundle, pytestconfig):
    path = tmp_path / "prod.secrets.yaml"
    store.write(path, bundle)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WARM, path], capture_output=True, text=True, cwd=pytestconfig.rootpath
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
