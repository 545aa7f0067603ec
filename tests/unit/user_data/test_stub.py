"""The size of stubs: 1,500 bytes, and with the longest names little more."""

import re
from datetime import UTC, datetime

import pytest

from kgen.config.load import load
from kgen.emitters.contract import DocumentInfo
from kgen.pipeline import Pipeline
from kgen.secrets_bundle.populate import populate
from kgen.user_data.stub import Store

CLUSTER = """\
apiVersion: kgen/v1
name: {cluster}
kubernetesVersion: v1.37.2
machines:
  - {{name: {machine}, role: master, address: 10.0.0.11}}
"""


@pytest.mark.parametrize(
    ("services", "addresses", "asked"),
    [
        ("10.96.0.0/12", "10.0.0.11", "169.254.169.254"),
        ("10.96.0.0/12,fd00:2::/112", "[10.0.0.11, fd00::11]", "169.254.169.254"),
        ("fd00:2::/112", "fd00::11", "[fd00:ec2::254]"),
    ],
)
def test_a_cluster_without_ipv4_asks_the_metadata_service_by_ipv6(tmp_path, services, addresses, asked):
    path = tmp_path / "cluster.yaml"
    text = CLUSTER.format(cluster="prod", machine="m1").replace("10.0.0.11", addresses)
    path.write_text(text + f'networking: {{serviceSubnet: "{services}"}}\n')
    loaded = load(path).cluster
    pipeline = Pipeline(loaded, populate(None, loaded, datetime.now(UTC)).bundle)
    items = list(pipeline.published(Store("https://b.s3.dualstack.eu-central-1.amazonaws.com", "eu-central-1")))
    (info,) = (item for item in items if isinstance(item, DocumentInfo))
    (stub,) = (item.content.decode() for item in items if str(getattr(item, "path", "")).endswith("m1.yaml"))
    assert info.counted_bytes <= 1500
    assert re.findall(r"http://([^/]*)/latest/", stub) == [asked]


@pytest.mark.parametrize("service", ["s3", "secretsmanager"])
@pytest.mark.parametrize("image", ["embedded", "baked"])
@pytest.mark.parametrize(
    ("cluster", "machine", "bucket", "most"),
    [
        ("prod", "m1", "example-com-clusters", 1500),
        (
            "production-eu-central-1",
            "ip-10-0-0-11.eu-central-1.compute.internal",
            "a" + "0123456789-" * 5 + "bcdefgh",
            1600,
        ),
    ],
)
def test_a_stub_is_small(tmp_path, cluster, machine, bucket, most, image, service):
    path = tmp_path / "cluster.yaml"
    path.write_text(CLUSTER.format(cluster=cluster, machine=machine) + f"image: {{runner: {image}}}\n")
    loaded = load(path).cluster
    pipeline = Pipeline(loaded, populate(None, loaded, datetime.now(UTC)).bundle)
    host = f"{bucket}.s3" if service == "s3" else service
    where = Store(f"https://{host}.eu-central-1.amazonaws.com", "eu-central-1", service)
    (info,) = (item for item in pipeline.published(where) if isinstance(item, DocumentInfo))
    assert 1000 < info.counted_bytes <= most
