"""Defaults of kubeadm: what a configuration may say without changing anything, and what is left out of a cluster file.

Source: ``kubeadm config print init-defaults`` and ``join-defaults`` of v1.37.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kgen.config import durations
from kgen.config.components import KUBE_PROXY, KUBELET
from kgen.config.fields import CLUSTER
from kgen.config.load import load_text
from kgen.content import addons, kubelet
from kgen.facts import names, versions
from kgen.kubeadm.outline import Item, item
from kgen.reader.kinds import Choice, Invalid, Text
from kgen.reader.objects import ListOf, MapOf, Object

WITHOUT_FIELD: Mapping[str, Any] = {
    "certificatesDir": str(names.PKI_DIR),
    "caCertPath": str(names.PKI_DIR / "ca.crt"),
    "certificateKey": "",
    "dryRun": False,
    "skipPhases": [],
    "timeouts": {
        "discovery": "5m0s",
        "etcdAPICall": "2m0s",
        "kubeletHealthCheck": "4m0s",
        "kubernetesAPICall": "1m0s",
        "tlsBootstrap": "5m0s",
        "upgradeManifests": "5m0s",
    },
}
"""Defaults of the fields that a cluster file has no field for, or whose default depends on another field."""

COMPONENTS: Mapping[str, Mapping[str, Any]] = {
    "kubelet": {
        "staticPodPath": str(names.MANIFESTS_DIR),
        "authentication": {"x509": {"clientCAFile": str(names.PKI_DIR / "ca.crt")}},
        "containerRuntimeEndpoint": "",
    },
    "kubeProxy": {
        "hostnameOverride": "",
        "clientConnection": {"kubeconfig": "/var/lib/kube-proxy/kubeconfig.conf"},
    },
}
"""The same of the components' configurations."""

REGISTRATION: Mapping[str, Any] = {
    "criSocket": names.CRI_SOCKET,
    "imagePullPolicy": "IfNotPresent",
    "imagePullSerial": True,
}
"""The same of ``nodeRegistration``."""

_KEPT = ("apiVersion", "encryptionAlgorithm")
"""Fields that an import always writes."""


def drop(given: Item, defaults: Mapping[str, Any]) -> None:
    """Remove from ``given`` what equals ``defaults``, and mappings that are empty then."""
    for key, default in defaults.items():
        child = given.get(key)
        if child is None:
            continue
        if isinstance(default, Mapping) and isinstance(child.value, dict):
            drop(child, default)
            if not child.value:
                given.take(key)
        elif default == (durations.canonical(child.value) if isinstance(child.value, str) else child.plain):
            given.take(key)


_ZEROS: tuple[Any, ...] = ("", "0s", "0", 0, False, {}, [])


def _drop_zeros(given: Item, default: Any) -> None:
    """Remove from a component's configuration the zeros that kubeadm writes for "the component's own default"."""
    for key, child in given.children:
        if not isinstance(default, Mapping) or key not in default:
            continue
        usual = default[key]
        _drop_zeros(child, usual)
        was_emptied = child.value == {}
        if was_emptied or (child.plain in _ZEROS and usual in _ZEROS):
            given.take(str(key))


def _drop_empty_choices(given: Item, kind: Object) -> None:
    """Remove the empty texts that stand for the default of a field with a closed set of values."""
    for key, child in given.children:
        row = kind.by_key.get(str(key))
        if row is not None and isinstance(row.kind, Object):
            _drop_empty_choices(child, row.kind)
        elif row is not None and isinstance(row.kind, Choice) and child.value == "":
            given.take(str(key))


_ANY_CLUSTER = """\
apiVersion: kgen/v1
name: any
kubernetesVersion: {version}
machines: [{{name: any, role: master, address: 192.0.2.1}}]
"""
_FIELDS = {"kubelet": KUBELET, "kubeProxy": KUBE_PROXY}
_HARMLESS = {"kubelet": {"cgroupDriver": "systemd"}, "kubeProxy": {"enableProfiling": False}}


def component(key: str, document: Item) -> Item:
    """Return a component's configuration for a cluster file: without what kubeadm writes for "no value".

    If nothing is left, a field with its default is: kubeadm replaces a generated configuration on upgrades, but never a
    given one, though it says the same.
    """
    anything = load_text(_ANY_CLUSTER.format(version=versions.newest()), "").cluster
    made = {"kubelet": kubelet.configuration, "kubeProxy": addons.kube_proxy_configuration}
    drop(document, COMPONENTS[key])
    _drop_empty_choices(document, _FIELDS[key])
    _drop_zeros(document, made[key](anything))
    return document if document.value else item(_HARMLESS[key], document.place)


def drop_fields(root: Item) -> None:
    """Remove from a cluster file what equals the default of its field."""
    _drop_fields(root, CLUSTER)


def _drop_fields(given: Item, kind: Object) -> None:
    if not isinstance(given.value, dict):
        return
    for key, child in list(given.value.items()):
        row = kind.by_key.get(key)
        if row is None or row.key in _KEPT or child.remarks:
            continue
        below = row.kind.item if isinstance(row.kind, ListOf) else row.kind
        if isinstance(below, Object) and not below.is_plain:
            for entry in child.value if isinstance(row.kind, ListOf) and isinstance(child.value, list) else [child]:
                _drop_fields(entry, below)
        is_empty = child.value == {} and isinstance(row.kind, Object | MapOf)
        is_unset = child.value == "" and key != "value"
        if is_empty or is_unset or (row.default is not None and _equal(row.kind, child.plain, row.default)):
            given.value.pop(key)


def _equal(kind: Any, given: Any, default: Any) -> bool:
    if given == default or (isinstance(default, tuple) and given == list(default)):
        return True
    if not (isinstance(kind, Text) and isinstance(given, str)):
        return False
    try:
        return bool(kind.parse(given) == kind.parse(default))
    except Invalid:
        return False
