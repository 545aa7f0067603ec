"""The keys of encryption at rest are rotated on three masters, while clients write and read through all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.control_plane import deployment
from tests.control_plane.conftest import ENDPOINT_HOSTS, HERE
from tests.control_plane.deployment import SUPER_ADMIN, Deployment, kubectl
from tests.control_plane.machines import Bench, Machine
from tests.control_plane.test_apply import applied, rendered_with
from tests.installed import kgen

pytestmark = pytest.mark.soak

SERVERS = [f"https://10.73.0.1{number}:6443" for number in (1, 2, 3)]
CLIENT = r"""
set -- @SERVERS@
call() { kubectl --kubeconfig @CONF@ --request-timeout 5s --server "$@" 2>>@ROOT@/tmp/errors; }
n=0
while [ ! -e @ROOT@/tmp/stop ]; do
  if call $1 create secret generic written-$n --from-literal=p=$n >/dev/null; then
    echo $n
    for server in "$@"; do call $server get secret written-$n >/dev/null; done
    n=$((n+1))
  fi
  first=$1; shift; set -- "$@" $first
done
"""


@pytest.fixture(scope="module")
def encrypting(tmp_path_factory: pytest.TempPathFactory, machines: list[Machine]) -> Iterator[Deployment]:
    """Three masters that encrypt Secrets from their first boot on."""

    def configure(cluster_file: Path) -> None:
        described = yaml.safe_load(cluster_file.read_text())
        described["apiServer"]["encryption"] = {"provider": "secretbox"}
        cluster_file.write_text(yaml.safe_dump(described))

    with Bench() as bench:
        source = HERE / "three.yaml"
        cluster = Deployment.render(source, tmp_path_factory.mktemp("rotation"), bench, machines, before=configure)
        masters = [cluster.machine(f"m{each}", f"10.73.0.1{each}", hosts=ENDPOINT_HOSTS) for each in (1, 2, 3)]
        for machine, running in [(machine, deployment.start_first_boot(machine)) for machine in masters]:
            deployment.finished(running, machine)
        yield cluster


def test_no_master_meets_a_secret_that_it_cannot_read(encrypting: Deployment) -> None:
    masters = list(encrypting.machines.values())
    m1 = masters[0]
    (m1.root / "tmp").mkdir(exist_ok=True)
    values = {"SERVERS": " ".join(SERVERS), "CONF": str(m1.root / SUPER_ADMIN), "ROOT": str(m1.root)}
    script = CLIENT
    for name, value in values.items():
        script = script.replace(f"@{name}@", value)
    client = m1.start(["sh", "-c", script])
    kubectl(m1, "create", "secret", "generic", "one", "--from-literal=p=old")
    for rewritten in (False, False, True):
        if rewritten:
            (m1.root / "tmp/all.json").write_text(kubectl(m1, "get", "secrets", "--all-namespaces", "-o", "json"))
            kubectl(m1, "replace", "-f", "/tmp/all.json")
        kgen("encryption", "rotate", encrypting.cluster_file, *(["--rewritten"] if rewritten else []))
        rendered_with(encrypting)
        for machine in masters:
            applied(encrypting, machine)
    (m1.root / "tmp/stop").touch()
    status, output = client.wait(60)
    assert status == 0
    written = {f"secret/written-{line}" for line in output.split()}
    assert len(written) > len(masters)
    for server in SERVERS:
        names = kubectl(m1, "--server", server, "get", "secrets", "-o", "name").split()
        assert written | {"secret/one"} <= set(names)
    errors = (m1.root / "tmp/errors").read_text()
    assert "InternalError" not in errors
    assert "transform" not in errors, errors[-2000:]
