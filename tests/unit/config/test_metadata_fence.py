"""The warning about a fence around nothing. What is refused is in broken/metadata_fence.txt."""

import pytest

from kgen.config.load import load_text
from kgen.facts import metadata_services, providers

CLUSTER = """\
apiVersion: kgen/v1
name: c
kubernetesVersion: v1.37.2
metadataFence: true
machines: [{name: m1, role: master, address: 10.0.0.1}]
"""


def test_every_provider_of_the_table_is_one():
    assert set(providers.PROVIDERS) >= metadata_services.PROVIDERS


@pytest.mark.parametrize("provider", ["", *providers.PROVIDERS])
def test_a_provider_without_such_a_service_is_a_warning(provider):
    line = f"provider: {provider}\n" * bool(provider)
    found = [(problem.line, problem.code) for problem in load_text(CLUSTER + line, "cluster.yaml").warnings]
    assert found == ([(4, "K936")] if provider in ("cloudstack", "vsphere", "nocloud") else [])
