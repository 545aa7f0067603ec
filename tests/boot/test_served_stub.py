"""A master from an image that has nothing of kgen: its user-data is a stub, which fetches the rest from ``kgen serve``.

By HTTPS, with a pinned certificate, and once: a second machine with the same user-data gets nothing until the server is
started for it again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.boot.clusters import Cluster
from tests.boot.machines import GATEWAY, Segment
from tests.certificates import issue_certificate
from tests.components import machine_image

pytestmark = [pytest.mark.boot, pytest.mark.soak]

URL = f"https://{GATEWAY}:8443"
CLUSTER = """\
apiVersion: kgen/v1
name: cloud
kubernetesVersion: v{version}
provider: hetzner
userData: {{secrets: byReference}}
networking: {{podSubnet: 10.244.0.0/16, plugin: bridge}}
machines:
  - {{name: m1, role: master, address: 10.88.0.11}}
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("served")
    generation = machine_image.FORKY
    issue_certificate(directory)
    with Segment("served") as segment:
        cluster = Cluster(segment, directory, CLUSTER.format(version=generation.kubernetes), generation)
        published = cluster.kgen(
            "publish", "cluster.yaml", "--to", "serve", "--url", URL, "--certificate", "server.crt"
        )
        assert published.returncode == 0, published.stderr
        cluster.machine("m1", 11, disk=machine_image.PLAIN_DISK)
        yield cluster


@contextmanager
def serving(cluster: Cluster, *words: str) -> Iterator[None]:
    """Run ``kgen serve`` as the page says, until the end of the block."""
    listen = ("--listen", f"{GATEWAY}:8443", "--certificate", "server.crt", "--key", "server.key", "--json")
    serve = (sys.executable, "-m", "kgen", "serve", "cluster.yaml", *listen, *words)
    with cluster.segment.running(cluster.directory / "serve.log", *serve):
        yield


def test_a_payload_is_given_once(cluster: Cluster) -> None:
    """The machine loses its disk as soon as it has its payload; the new disk's stub is refused, and tries again."""
    machine = cluster.machines["m1"]
    log = cluster.directory / "serve.log"
    with serving(cluster):
        machine.power_on()
        machine.wait_for("its payload", lambda: "took object" in log.read_text(encoding="utf-8"), 900)
        machine.kill()
        machine.new_disk()
        machine.console_log.unlink()
        machine.power_on()
        machine.wait_for("the refusal", lambda: "this document was taken already" in machine.console(), 900)


def test_the_machine_goes_on_when_the_server_is_started_for_it(cluster: Cluster) -> None:
    machine = cluster.machines["m1"]
    with serving(cluster, "--only", "m1"):
        machine.wait_for("end of the first boot", lambda: "kgen: done" in machine.console(), 1500)
    cluster.wait(25)
    cluster.wait_for_coredns()
