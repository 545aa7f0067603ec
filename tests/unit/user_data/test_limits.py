"""Documents of exactly the size that each provider takes, one byte less and one byte more, on every road."""

import base64
import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath

import pytest

from kgen.config.load import load
from kgen.emitters.contract import DocumentInfo
from kgen.emitters.limits import DocumentTooLargeError, StubTooLargeError
from kgen.facts.providers import PROVIDERS
from kgen.model import File
from kgen.pipeline import Pipeline
from kgen.secrets_bundle.populate import populate
from kgen.user_data.stub import Store

LARGEST = {
    "ec2": 16_384,
    "azure": 65_535,
    "openstack": 49_149,
    "gce": 196_608,
    "digitalocean": 65_536,
    "hetzner": 24_576,
    "akamai": 16_384,
    "cloudstack": 24_576,
    "oracle": 23_250,
    "vsphere": 49_152,
}
"""The largest file that each provider takes, in bytes before base64: from the documentation of the providers."""
BASE64 = ("openstack", "gce", "hetzner", "cloudstack", "oracle", "vsphere")
"""The providers whose documentation limits what they get, which is base64."""
CLUSTER = """\
apiVersion: kgen/v1
name: prod
kubernetesVersion: v1.37.2
provider: {provider}
machines:
  - {{name: m1, role: master, address: 10.0.0.11}}
  - {{name: w1, role: node, address: 10.0.0.21}}
image: {{runner: {runner}}}
userData: {{secrets: {secrets}}}
"""
STORE = Store("https://b.s3.eu-central-1.amazonaws.com", "eu-central-1")


def pipeline_of(tmp_path, provider, runner="embedded", secrets="embedded"):
    path = tmp_path / "cluster.yaml"
    path.write_text(CLUSTER.format(provider=provider, runner=runner, secrets=secrets))
    cluster = load(path).cluster
    return Pipeline(cluster, populate(None, cluster, datetime.now(UTC)).bundle)


def with_file(machine, text):
    """Return the machine with a file of this text in its payload."""
    return replace(machine, files=(File(PurePosixPath("/etc/filler"), text, 0o644),))


def with_key(machine, text):
    """Return the machine with this text in a key of cloud-init, which no payload and no gzip hides."""
    return replace(machine, cloud_init={"write_files": [{"path": "/etc/filler", "content": text}]})


def filled(pipeline, name, fill, wanted, size_of, digits=2):
    """Return the machine with so much of what does not compress in its document that ``size_of`` it is ``wanted``.

    ``digits`` fill about a byte: two of the hexadecimal ones with gzip.
    """
    (plain,) = (machine for machine in pipeline.cluster.machines if machine.name == name)
    for seed in range(20):  # one text may skip a size
        text, tried, length = f"{random.Random(seed).getrandbits(16 * wanted):x}", set(), 0
        while length not in tried:
            tried.add(length)
            machine = fill(plain, text[:length])
            missing = wanted - size_of(machine)
            if not missing:
                return machine
            length += missing if len(tried) > 4 else digits * missing
    raise AssertionError(f"no document of {wanted} bytes: {missing} are missing")


def made(items):
    """Return the DocumentInfo of ``items``, the files by path, and the error that ended them."""
    info, files, error = None, {}, None
    try:
        for item in items:
            if isinstance(item, DocumentInfo):
                info = item
            else:
                files[item.path] = item.content
    except DocumentTooLargeError as found:
        error = found
    return info, files[info.path], error


ROADS = [
    *((provider, "embedded", "embedded", "w1") for provider in LARGEST),
    *((provider, "baked", "embedded", "m1") for provider in ("ec2", "akamai", "digitalocean")),
]


@pytest.mark.parametrize(("provider", "runner", "secrets", "name"), ROADS)
def test_a_document_of_the_limit_is_rendered_and_one_byte_more_is_not(tmp_path, provider, runner, secrets, name):
    pipeline = pipeline_of(tmp_path, provider, runner, secrets)
    fill, digits = (with_file, 2) if PROVIDERS[provider].gzip else (with_key, 1)

    def render(machine):
        return made(pipeline.machine_artifacts([machine], review_all=False, kept=lambda *_: None))

    for extra in (-1, 0, 1):
        size = LARGEST[provider] + extra
        machine = filled(pipeline, name, fill, size, lambda machine: len(render(machine)[1]), digits)
        info, content, error = render(machine)
        assert len(content) == size
        assert info.counted_bytes == len(base64.b64encode(content) if provider in BASE64 else content)
        assert (info.encoding == "text") == content.startswith(b"#cloud-config") == (provider == "digitalocean")
        assert (error is not None) == info.is_too_large == (extra == 1)
        assert not error or f"{name}: {info.counted_bytes:,} bytes of {PROVIDERS[provider].limit_bytes:,}" in str(error)


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_a_stub_of_the_limit_is_published_and_one_byte_more_is_not(tmp_path, extra):
    pipeline = pipeline_of(tmp_path, "ec2", secrets="byReference")

    def publish(machine):
        pipeline.cluster = replace(pipeline.cluster, machines=(machine,))
        return made(pipeline.published(STORE))

    machine = filled(pipeline, "m1", with_key, LARGEST["ec2"] + extra, lambda machine: len(publish(machine)[1]))
    info, content, _ = publish(machine)
    assert len(content) == info.counted_bytes == LARGEST["ec2"] + extra
    assert info.is_too_large == (extra == 1)
    assert "m1: 16,38" in str(StubTooLargeError([info]))


@pytest.mark.parametrize("provider", LARGEST)
def test_by_reference_no_document_is_too_large(tmp_path, provider):
    pipeline = pipeline_of(tmp_path, provider, secrets="byReference")
    machine = with_file(pipeline.cluster.machines[0], f"{random.Random(0).getrandbits(2_000_000):x}")
    info, content, error = made(pipeline.machine_artifacts([machine], review_all=False, kept=lambda *_: None))
    assert len(content) > max(LARGEST.values())
    assert (info.limit_bytes, error) == (None, None)


def test_the_table_has_every_provider_with_a_limit():
    assert {name for name, row in PROVIDERS.items() if row.limit_bytes is not None} == set(LARGEST)
