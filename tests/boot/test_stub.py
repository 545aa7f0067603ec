"""A master from an image that has nothing of kgen: its user-data is a stub, which fetches the rest from S3 by role.

S3 is moto's server, the metadata service is at 169.254.169.254 on the machine's network. The master keeps its pods from
that service (``metadataFence``), which needs a real systemd, kubelet and containerd.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.boot.clusters import Cluster
from tests.boot.machines import GATEWAY, Machine, Segment
from tests.components import machine_image

pytestmark = pytest.mark.boot

S3 = f"http://{GATEWAY}:5000"
BUCKET = "clusters"
CLUSTER = """\
apiVersion: kgen/v1
name: cloud
kubernetesVersion: v{version}
provider: ec2
userData: {{secrets: byReference}}
metadataFence: true
metadataFenceHostNetwork: true
networking: {{podSubnet: 10.244.0.0/16, plugin: bridge}}
controllerManager: {{extraArgs: [{{name: leader-elect, value: "false"}}]}}
scheduler: {{extraArgs: [{{name: leader-elect, value: "false"}}]}}
machines:
  - {{name: m1, role: master, address: 10.88.0.11}}
"""
METADATA = """\
from http.server import ThreadingHTTPServer
from tests.unit.publishing.conftest import Metadata
server = ThreadingHTTPServer(("169.254.169.254", 80), Metadata)
server.role = ("machines", {"AccessKeyId": "ASIA", "SecretAccessKey": "key", "Token": "session"})
server.cuts = 0
server.serve_forever()
"""
MAKE_BUCKET = f"""\
import time, boto3, botocore.exceptions
while True:
    try:
        boto3.client("s3").create_bucket(Bucket="{BUCKET}")
        break
    except botocore.exceptions.EndpointConnectionError:
        time.sleep(1)
"""
ASK = """\
from urllib.request import Request, urlopen
headers = {"X-aws-ec2-metadata-token-ttl-seconds": "9"}
request = Request("http://169.254.169.254/latest/api/token", None, headers, method="PUT")
print(urlopen(request, timeout=10).read().decode())
"""
REFUSED = "No route to host"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("stub")
    generation = machine_image.FORKY
    with pytest.MonkeyPatch.context() as patch, Segment("stub") as segment, ExitStack() as stack:
        for name, value in {
            "AWS_ENDPOINT_URL": S3,
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }.items():
            patch.setenv(name, value)
        segment.run("ip", "address", "add", "169.254.169.254/32", "dev", "br0")
        server = ("-m", "moto.server", "--host", GATEWAY, "--port", "5000")
        stack.enter_context(segment.running(directory / "moto.log", sys.executable, *server))
        stack.enter_context(segment.running(directory / "metadata.log", sys.executable, "-c", METADATA))
        made = segment.run(sys.executable, "-c", MAKE_BUCKET)
        assert made.returncode == 0, made.stderr
        cluster = Cluster(segment, directory, CLUSTER.format(version=generation.kubernetes), generation)
        published = cluster.kgen("publish", "cluster.yaml", "--bucket", BUCKET)
        assert published.returncode == 0, published.stderr
        machine = cluster.machine("m1", 11, disk=machine_image.PLAIN_DISK)
        machine.power_on()
        yield cluster


def ask(machine: Machine, inside: str = "") -> str:
    """Return the token that a program on the machine gets from the metadata service, or why it gets none."""
    done = machine.shell(f"{inside} python3 - <<'END'\n{ASK}END")
    return (done.stdout or done.stderr).strip().splitlines()[-1]


def pods_network() -> str:
    return "nsenter --net=/proc/$(pgrep -o -x coredns)/ns/net"


def host_network_pod() -> str:
    """Return shell that puts the shell into the control group of a pod with the machine's network."""
    group = "/sys/fs/cgroup$(cut -d: -f3 /proc/$(pgrep -o -x kube-scheduler)/cgroup)"
    return f"echo $$ >{group}/cgroup.procs &&"


def test_the_master_becomes_ready(cluster: Cluster) -> None:
    machine = cluster.machines["m1"]
    machine.wait_for("end of the first boot", lambda: "kgen: done" in machine.console(), 1500)
    cluster.wait(25)
    cluster.wait_for_coredns()
    assert len((cluster.outputs / "publish/user-data/m1.yaml.gz").read_bytes()) <= 1500
    assert machine.shell("test -e /usr/local/lib/kgen/fetch.py").returncode == 0


def test_pods_do_not_reach_the_metadata_service(cluster: Cluster) -> None:
    machine = cluster.machines["m1"]
    assert ask(machine) == "the-token"
    assert REFUSED in ask(machine, pods_network())
    assert REFUSED in ask(machine, host_network_pod())


def test_the_fence_mends_itself(cluster: Cluster) -> None:
    machine = cluster.machines["m1"]
    assert machine.shell("nft flush ruleset").returncode == 0
    cluster.until("the fence again", lambda: machine.shell("nft list table inet kgen-metadata-fence").returncode == 0)


@pytest.mark.soak
def test_the_fence_is_there_before_the_kubelet_after_a_reboot(cluster: Cluster) -> None:
    machine = cluster.machines["m1"]
    machine.kill()
    machine.power_on()
    cluster.until("CoreDNS again", lambda: machine.shell("pgrep -x coredns").returncode == 0)
    started = machine.shell(
        "for unit in kgen-metadata-fence kubelet; do"
        " systemctl show --property=ActiveEnterTimestampMonotonic --value $unit; done"
    )
    fence, kubelet = map(int, started.stdout.split())
    assert 0 < fence <= kubelet
    assert ask(machine) == "the-token"
    assert REFUSED in ask(machine, pods_network())
    assert REFUSED in ask(machine, host_network_pod())
