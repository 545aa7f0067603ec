"""The size of stubs: 1,500 bytes, and with the longest names little more."""

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
