"""The keys that ``encryption: {provider: …}`` asks for, and the steps of their rotation."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import yaml
from tests import clusters

from kgen.errors import InputError
from kgen.model import Cluster, Encryption
from kgen.pipeline import Pipeline
from kgen.secrets_bundle.encryption import rotate, with_keys
from kgen.secrets_bundle.format import dump, parse
from kgen.secrets_bundle.populate import populate
from kgen.secrets_bundle.source import Source

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOURCE = Source()


def encrypting(provider: str, cluster: Cluster | None = None) -> Cluster:
    cluster = cluster or clusters.one_master()
    return replace(cluster, api_server=replace(cluster.api_server, encryption=Encryption(provider)))


def order(keys) -> list[str]:
    return [key.name or key.provider for key in keys]


@pytest.fixture(scope="module")
def bundle():
    return populate(None, encrypting("secretbox"), NOW).bundle


def test_a_new_cluster_encrypts_from_the_start(bundle):
    assert order(bundle.encryption_keys) == ["key1", "identity"]
    assert len(base64.b64decode(bundle.encryption_keys[0].secret)) == 32
    assert bundle.encryption_keys[0].secret not in repr(bundle)
    assert parse(dump(bundle), "a file") == bundle
    again = populate(bundle, encrypting("secretbox"), NOW)
    assert (again.changed, again.warnings) == (False, ())


def test_masters_have_the_configuration_and_nodes_do_not(bundle):
    cluster = encrypting("secretbox", clusters.with_nodes(1, clusters.one_master()))
    pipeline = Pipeline(cluster, populate(None, cluster, NOW).bundle)
    path = "/etc/kubernetes/kube-apiserver/encryption.yaml"
    master, node = (
        {str(file.path): file for file in pipeline.payload(machine).files} for machine in pipeline.cluster.machines[:2]
    )
    assert path not in node
    assert master[path].mode == 0o600
    (text,) = master[path].content
    (resource,) = yaml.safe_load(text)["resources"]
    assert resource["resources"] == ["secrets"]
    assert [next(iter(provider)) for provider in resource["providers"]] == ["secretbox", "identity"]


def test_a_running_cluster_of_several_masters_learns_the_key_first():
    plain = clusters.three_masters()
    kept = populate(None, plain, NOW).bundle
    populated = populate(kept, encrypting("aescbc", plain), NOW)
    assert order(populated.bundle.encryption_keys) == ["identity", "key1"]
    assert populated.created == ("encryptionKeys.key1",)
    assert [warning.code for warning in populated.warnings] == ["B206"]
    lone = populate(populate(None, clusters.one_master(), NOW).bundle, encrypting("aescbc"), NOW)
    assert order(lone.bundle.encryption_keys) == ["key1", "identity"]


def test_a_rotation_goes_step_by_step(bundle):
    cluster, keys = encrypting("secretbox"), bundle.encryption_keys
    steps = []
    for rewritten in (False, False, True, False):
        stage = rotate(cluster, keys, SOURCE, rewritten=rewritten)
        keys = stage.keys
        steps.append((stage.name, stage.key, *order(keys)))
    assert steps == [
        ("added", "key2", "key1", "key2", "identity"),
        ("encrypts", "key2", "key2", "key1", "identity"),
        ("removed", "key1", "key2", "identity"),
        ("added", "key3", "key2", "key3", "identity"),
    ]


def test_keys_are_removed_only_when_nothing_needs_them(bundle):
    cluster, keys = encrypting("secretbox"), bundle.encryption_keys
    for _ in range(2):
        keys = rotate(cluster, keys, SOURCE, rewritten=False).keys
    with pytest.raises(InputError, match="could never be read again") as caught:
        rotate(cluster, keys, SOURCE, rewritten=False)
    assert "kubectl get secrets --all-namespaces -o json | kubectl replace -f -" in caught.value.hint


def test_another_provider_comes_with_the_next_key(bundle):
    cluster = encrypting("aesgcm")
    assert [warning.code for warning in populate(bundle, cluster, NOW).warnings] == ["B206"]
    keys = rotate(cluster, bundle.encryption_keys, SOURCE, rewritten=False).keys
    assert [key.provider for key in keys] == ["secretbox", "aesgcm", "identity"]
    (resource,) = yaml.safe_load(with_keys(cluster, keys).machines[0].files[0].content)["resources"]
    assert [next(iter(provider)) for provider in resource["providers"]] == ["secretbox", "aesgcm", "identity"]


def test_encryption_ends_in_steps(bundle):
    with pytest.raises(InputError, match="could not read what is encrypted"):
        populate(bundle, clusters.one_master(), NOW)
    cluster, keys = encrypting("identity"), bundle.encryption_keys
    stage = rotate(cluster, keys, SOURCE, rewritten=False)
    assert (stage.name, order(stage.keys)) == ("encrypts", ["identity", "key1"])
    stage = rotate(cluster, stage.keys, SOURCE, rewritten=True)
    assert (stage.name, order(stage.keys)) == ("removed", ["identity"])
    with pytest.raises(InputError, match="nothing is encrypted"):
        rotate(cluster, stage.keys, SOURCE, rewritten=True)
    ended = populate(replace(bundle, encryption_keys=stage.keys), clusters.one_master(), NOW)
    assert ended.bundle.encryption_keys == ()
