"""Every leaf of the cluster file with two values that the loader takes, and what each renders to.

Most values come from the leaf's kind: candidates are tried until two are accepted. ``SAMPLES`` has the values of leaves
that need particular ones, ``BESIDE`` what has to stand beside a leaf.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kgen.bake.recipe import recipe
from kgen.conditions import has_local_etcd
from kgen.config.cloud_init_fields import AsCloudInit
from kgen.config.fields import CLUSTER
from kgen.config.load import load_text
from kgen.emitters.contract import Setting
from kgen.emitters.seed import emitter as seed
from kgen.errors import ProblemsError
from kgen.facts import apiserver_files, names
from kgen.firstboot import payload_json
from kgen.kubeadm.exporting import Secrets, export
from kgen.model import Cluster
from kgen.output.artifacts import Artifact
from kgen.pipeline import Pipeline
from kgen.pki import inspect
from kgen.reader.kinds import Boolean, Choice, Integer, Kind, Number, Text
from kgen.reader.objects import ByShape, Field, ListOf, MapOf, Object
from kgen.secrets_bundle.model import Bundle
from kgen.secrets_bundle.populate import populate

Path_ = tuple[str, ...]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
BASE: Mapping[str, Any] = {
    "apiVersion": "kgen/v1",
    "name": "c",
    "kubernetesVersion": "v1.37.2",
    "machines": [
        {"name": "m1", "role": "master", "address": "10.0.0.1"},
        {"name": "w1", "role": "node", "address": "10.0.0.2"},
    ],
    "pools": [{"name": "p", "role": "node"}],
}
"""A master, a node and a pool. A leaf below ``machines`` is the node's unless ``OF_MASTERS`` has it."""
OF_MASTERS = ("machines.localAPIEndpoint", "machines.nodeRegistration.imagePullPolicy")

_TEXTS = (
    *("alpha", "beta", "10.1.0.0/16", "10.2.0.0/16", "10.9.0.1", "10.9.0.2", "/srv/alpha", "/srv/beta", "0600", "0640"),
    *("1h", "2h", "1h0m0s", "2h0m0s", "100m", "200m", "1Gi", "2Gi", "unix:///run/a.sock", "unix:///run/b.sock"),
    *("a.example.com", "b.example.com", "https://a.example.com", "https://b.example.com", "http://a:1", "http://b:1"),
    *("docker.io/a/a:1", "docker.io/a/b:1", "1.1", "1.2", "0-1", "2-3", "net.core.somaxconn", "vm.swappiness"),
    *("a.service", "b.service", "0" * 64, "1" * 64, "$6$a", "$6$b", "system:bootstrappers:a", "system:bootstrappers:b"),
    *("https://10.9.0.1:2379", "https://10.9.0.2:2379", "52:54:00:12:34:56", "52:54:00:12:34:57"),
    *("5%", "6%", "4c4c4544-0042-4d10-8054-b4c04f503732", "4c4c4544-0042-4d10-8054-b4c04f503733"),
)
_ANY: tuple[Any, ...] = (
    *(True, False, "alpha", "beta", 1, 2, ["alpha"], ["beta"], [["alpha"]], [["beta"]]),
    *({"alpha": "a"}, {"alpha": "b"}, {"alpha": {}}, {"beta": {}}),
)


@dataclass(frozen=True)
class Leaf:
    """A field without fields of its own. ``path`` has the keys; ``kinds`` are those of each key."""

    path: Path_
    fields: tuple[Field, ...]

    def __str__(self) -> str:
        """Return the path with dots."""
        return ".".join(self.path)


def leaves() -> Iterator[Leaf]:
    """Yield every leaf of the cluster file."""
    return _leaves(CLUSTER, (), ())


def _leaves(kind: Kind, path: Path_, fields: tuple[Field, ...]) -> Iterator[Leaf]:
    for row in _object(kind).fields:
        if _has_fields(row.kind):
            yield from _leaves(row.kind, (*path, row.key), (*fields, row))
        else:
            yield Leaf((*path, row.key), (*fields, row))


def _has_fields(kind: Kind) -> bool:
    inner = kind.item if isinstance(kind, ListOf) else kind
    return isinstance(inner, Object) or (isinstance(inner, ByShape) and isinstance(inner.mapping, Object))


def _object(kind: Kind) -> Object:
    inner = kind.item if isinstance(kind, ListOf) else kind
    inner = inner.mapping if isinstance(inner, ByShape) else inner
    assert isinstance(inner, Object)
    return inner


def candidates(kind: Kind) -> Iterator[Any]:
    """Yield values that the kind may take; which of them the loader takes is seen later."""
    if isinstance(kind, Boolean):
        yield from (True, False)
    elif isinstance(kind, Choice):
        yield from kind.values
    elif isinstance(kind, Integer):
        low = kind.minimum or 0
        yield from (number for number in (max(low, 1), max(low, 1) + 1, 50, 51, 60, 1000, 40000))
    elif isinstance(kind, Number):
        yield from (0.5, 0.6, 1, 2)
    elif isinstance(kind, AsCloudInit):
        yield from _ANY
    elif isinstance(kind, Text):
        yield from _TEXTS
    elif isinstance(kind, ListOf):
        yield from ([each] for each in candidates(kind.item))
    elif isinstance(kind, MapOf):
        keys = [key for key in _TEXTS if kind.key.pattern == "" and _is_read(kind.key, key)]
        yield from ({key: each} for key in keys[:3] for each in candidates(kind.value))
    elif isinstance(kind, ByShape):
        for shape in (kind.scalar, kind.items, kind.mapping):
            yield from candidates(shape) if shape is not None else ()
    else:
        raise TypeError(f"no candidates for {kind}")


def _is_read(kind: Text, text: str) -> bool:
    try:
        kind.parse(text)
    except Exception:
        return False
    return True


def example(kind: Kind) -> Any:
    """Return the smallest value of an object: its required fields."""
    return {
        row.key: SIBLINGS.get(row.key) or next(_accepted(row.kind)) for row in _object(kind).fields if row.is_required
    }


def _accepted(kind: Kind) -> Iterator[Any]:
    if isinstance(kind, Text):
        yield from (each for each in candidates(kind) if _is_read(kind, each))
    else:
        yield from candidates(kind)


SIBLINGS: Mapping[str, Any] = {"hostPath": "/srv/alpha", "mountPath": "/srv/alpha", "version": 2}
"""Values of required fields that need particular ones."""

_POD = "{{apiVersion: v1, kind: Pod, metadata: {{name: {0}}}, spec: {{containers: [{{name: a, image: a}}]}}}}"
_ETHERNETS = {"eth0": {"dhcp4": True}}
_CIDR = {"networking": {"plugin": "bridge", "podSubnet": "10.244.0.0/16"}, "pools": []}
_SERVER_FILES = {row.key: row for row in apiserver_files.ROWS}
SAMPLES: Mapping[str, tuple[Any, ...]] = {
    "kubernetesVersion": ("v1.37.2", "v1.36.3"),
    "networking.plugin": ("none", "bridge"),
    "podCIDR": ("10.244.7.0/24", "10.244.8.0/24"),
    "address": ("10.0.0.7", "10.0.0.8"),
    "criSocket": ("unix:///run/a/containerd.sock", "unix:///run/b/containerd.sock"),
    "kubeletExtraArgs.name": ("v", "volume-plugin-dir"),
    "extraArgs.name": ("vmodule", "show-hidden-metrics-for-version"),
    "etcd.local.extraArgs.name": ("log-outputs", "discovery-srv-name"),
    "imagePullPolicy": ("IfNotPresent", "Never"),
    "patches.directory": ("patches-1", "patches-2"),
    "source": ("alpha.txt", "beta.txt"),
    "staticPods.source": ("pod-1.yaml", "pod-2.yaml"),
    **{key: (f"{key}-1", f"{key}-2") for key in _SERVER_FILES},
    "staticPods.content": (_POD.format("a"), _POD.format("b")),
    "manifests": (["object-1.yaml"], ["object-2.yaml"]),
    "network.renderer": ("networkd", "NetworkManager"),
    "network.ethernets": (_ETHERNETS, {"eth0": {"dhcp4": True, "mtu": 1400}}),
    "network.bonds": ({"bond0": {"interfaces": ["eth0"]}}, {"bond1": {"interfaces": ["eth0"]}}),
    "network.bridges": ({"br0": {"interfaces": ["eth0"]}}, {"br1": {"interfaces": ["eth0"]}}),
    "network.vlans": ({"v1": {"id": 1, "link": "eth0"}}, {"v2": {"id": 2, "link": "eth0"}}),
    "featureGates": ({}, {"RootlessControlPlane": False}),
    "users.plain_text_passwd": ("alpha", "beta"),
    "certificateValidityPeriod": ("8000h", "7000h"),
    "caCertificateValidityPeriod": ("80000h", "70000h"),
    "bootstrapTokens.usages": (["signing", "authentication"], ["authentication", "signing"]),
    "external.endpoints": (["https://10.9.0.1:2379"], ["https://10.9.0.2:2379"]),
    "external.httpEndpoints": (["http://10.9.0.1:2381"], ["http://10.9.0.2:2381"]),
    "cpuCFSQuotaPeriod": ("10ms", "20ms"),
    "defaultPodSysctls": ({"net.ipv4.tcp_keepalive_time": "1"}, {"net.ipv4.tcp_keepalive_time": "2"}),
    "provider": ("nocloud", "openstack"),
    "authorization.mode": ("Webhook", "AlwaysAllow"),
    "tlsCipherSuites": (["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"], ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]),
    "tlsCurvePreferences": ([23], [24]),
    "tlsMinVersion": ("VersionTLS12", "VersionTLS13"),
    "imageGCHighThresholdPercent": (90, 91),
    "cpuManagerPolicyOptions": ({"full-pcpus-only": "true"}, {"full-pcpus-only": "false"}),
    "topologyManagerPolicyOptions": ({"prefer-closest-numa-nodes": "true"}, {"prefer-closest-numa-nodes": "false"}),
    "qosReserved": ({"memory": "5%"}, {"memory": "6%"}),
    "evictionHard": ({"memory.available": "5%"}, {"memory.available": "6%"}),
    "evictionSoft": ({"memory.available": "5%"}, {"memory.available": "6%"}),
    "evictionSoftGracePeriod": ({"memory.available": "1m0s"}, {"memory.available": "2m0s"}),
    "evictionMinimumReclaim": ({"memory.available": "1Mi"}, {"memory.available": "2Mi"}),
    "systemReserved": ({"cpu": "100m"}, {"cpu": "200m"}),
    "kubeReserved": ({"cpu": "100m"}, {"cpu": "200m"}),
    "enforceNodeAllocatable": (["pods"], ["none"]),
    "kubelet.featureGates": ({"MemoryQoS": True}, {"MemoryQoS": False}),
    "kubeProxy.featureGates": ({"LoggingAlphaOptions": True}, {"LoggingAlphaOptions": False}),
    "crashLoopBackOff.maxContainerRestartPeriod": ("1m0s", "2m0s"),
    "memoryReservationPolicy": ("None", "TieredReservation"),
    "userNamespaces.idsPerPod": (65536, 131072),
    "containerLogMaxSize": ("10Mi", "20Mi"),
    "showHiddenMetricsForVersion": ("", "1.36"),
    "logging.format": ("text", "json"),
    "reservedMemory.limits": ({"memory": "100Mi"}, {"memory": "200Mi"}),
    "healthzBindAddress": ("127.0.0.1", "127.0.0.2"),
    "kubeProxy.healthzBindAddress": ("127.0.0.1:1", "127.0.0.1:2"),
    "metricsBindAddress": ("127.0.0.1:1", "127.0.0.1:2"),
    "detectLocalMode": ("ClusterCIDR", "NodeCIDR"),
    "portRange": ("100-200", "100-300"),
    "apk_repos": ({"preserve_repositories": True}, {"preserve_repositories": False}),
    "apt": ({"preserve_sources_list": True}, {"preserve_sources_list": False}),
    "ca_certs": ({"remove_defaults": True}, {"remove_defaults": False}),
    "chpasswd": ({"expire": True}, {"expire": False}),
    "fs_setup": ([{"device": "/dev/vdb", "filesystem": "ext4"}], [{"device": "/dev/vdb", "filesystem": "xfs"}]),
    "growpart": ({"mode": "auto"}, {"mode": "off"}),
    "keyboard": ({"layout": "us"}, {"layout": "de"}),
    "mount_default_fields": ([None, None, "auto", "defaults", "0", "2"], [None, None, "auto", "nofail", "0", "2"]),
    "phone_home": ({"url": "http://a"}, {"url": "http://b"}),
    "power_state": ({"mode": "reboot"}, {"mode": "poweroff"}),
    "random_seed": ({"data": "a"}, {"data": "b"}),
    "resolv_conf": ({"domain": "a"}, {"domain": "b"}),
    "rsyslog": ({"configs": ["a"]}, {"configs": ["b"]}),
    "snap": ({"commands": ["a"]}, {"commands": ["b"]}),
    "ssh_genkeytypes": (["rsa"], ["ed25519"]),
    "ssh_keys": ({"rsa_public": "a"}, {"rsa_public": "b"}),
    "ssh_publish_hostkeys": ({"enabled": True}, {"enabled": False}),
    "swap": ({"size": 0}, {"size": 0, "filename": "/a"}),
    "write_files": ([{"path": "/a", "content": "a"}], [{"path": "/a", "content": "b"}]),
    "yum_repos": ({"a": {"baseurl": "http://a"}}, {"a": {"baseurl": "http://b"}}),
}
"""Two values of a leaf whose kind does not say enough, by its path or the end of its path."""

BESIDE: Mapping[str, Mapping[str, Any]] = {
    "networking.plugin": {"networking": {"podSubnet": "10.244.0.0/16"}, "pools": []},
    "machines.podCIDR": _CIDR,
    "hardeningExceptions": {"hardening": "cis"},
    "metadataFenceHostNetwork": {"metadataFence": True},
    "protectKernelDefaults": {"sysctls": dict(names.KUBELET_SYSCTLS)},
    "pki.kubeletServingCertificates": {"pools": []},
    "defaultPodSysctls": {"kubelet": {"featureGates": {"DefaultPodSysctls": True}}},
    "qosReserved": {"kubelet": {"featureGates": {"QOSReserved": True}}},
    "memoryReservationPolicy": {"kubelet": {"featureGates": {"MemoryQoS": True}}},
    "enableSystemLogQuery": {"kubelet": {"featureGates": {"NodeLogQuery": True}}},
    "maxContainerRestartPeriod": {"kubelet": {"featureGates": {"KubeletCrashLoopBackOffMax": True}}},
    **{
        key: {key: {"featureGates": {"LoggingAlphaOptions": True}} for key in ("kubelet", "kubeProxy")}
        for key in (
            f"logging.options.{form}.{key}" for form in ("text", "json") for key in ("splitStream", "infoBufferSize")
        )
    },
}
"""What else the file has beside a leaf, by its path or the end of its path."""

_SHA256 = {"sha256": "0" * 64}
ALONE: Mapping[str, Mapping[str, Any]] = {
    **{key: {"content": "a"} for key in ("files.path", "files.mode", "files.owner", "files.role")},
    "files.path": {"content": "a"},
    "staticPods.role": {"content": _POD.format("a")},
    "kubeletExtraArgs.value": {"name": "volume-plugin-dir"},
    "extraArgs.value": {"name": "vmodule"},
    "etcd.local.extraArgs.value": {"name": "log-outputs"},
    "kubeletExtraArgs.name": {"value": "2"},
    "network.renderer": {"ethernets": _ETHERNETS},
    "cpuManagerPolicy": {"reservedSystemCPUs": "0"},
    "cpuManagerPolicyOptions": {"cpuManagerPolicy": "static", "reservedSystemCPUs": "0"},
    "memoryManagerPolicy": {
        "reservedMemory": [{"numaNode": 0, "limits": {"memory": "100Mi"}}],
        "evictionHard": {"memory.available": "100Mi"},
    },
    "systemCgroups": {"cgroupRoot": "/srv"},
    "vmodule.verbosity": {"filePattern": "alpha"},
    "external.httpEndpoints": {"endpoints": ["https://10.9.0.1:2379"]},
    **dict.fromkeys(("image.kubelet.url", "image.kubelet.file", "image.kubectl.url", "image.kubectl.file"), _SHA256),
    **{key: {"file": "alpha"} for key in ("image.kubelet.sha256", "image.kubectl.sha256")},
    "preloadedImagesVerificationAllowlist": {"imagePullCredentialsVerificationPolicy": "NeverVerifyAllowlistedImages"},
    "shutdownGracePeriodCriticalPods": {"shutdownGracePeriod": "3h"},
    "evictionSoft": {"evictionSoftGracePeriod": {"memory.available": "1m0s"}},
    "evictionSoftGracePeriod": {"evictionSoft": {"memory.available": "5%"}},
    "cgroupsPerQOS": {"enforceNodeAllocatable": ["none"]},
    "maxParallelImagePulls": {"serializeImagePulls": False},
    "reservedMemory.numaNode": {"limits": {"memory": "100Mi"}},
    **{key: {"syncPeriod": "3h"} for key in (f"{mode}.minSyncPeriod" for mode in ("iptables", "ipvs", "nftables"))},
    **{key: {"ethernets": _ETHERNETS} for key in ("network.bonds", "network.bridges", "network.vlans")},
}
"""What else the object of a leaf has, by the leaf's path or the end of its path."""


def _server_file(row: apiserver_files.Row, number: int) -> str:
    if not row.kind:
        return f"-----BEGIN CERTIFICATE-----\n{number}\n"
    version = list(row.versions)[-1]
    return f"# {number}\n{{apiVersion: {version}, kind: {row.kind}, rules: [{{level: Metadata}}]}}"


FILES: Mapping[str, str] = {
    "alpha.txt": "alpha",
    "beta.txt": "beta",
    "pod-1.yaml": _POD.format("a"),
    "pod-2.yaml": _POD.format("b"),
    "object-1.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}",
    "object-2.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}",
    **{f"{key}-{number}": _server_file(row, number) for key, row in _SERVER_FILES.items() for number in (1, 2)},
    "patches-1/kubeletconfiguration.yaml": "{maxPods: 50}",
    "patches-2/kubeletconfiguration.yaml": "{maxPods: 51}",
}
"""The files beside the cluster file."""

NOT_RENDERED: Mapping[str, str] = {
    "apiVersion": "has one value",
    "machines.network.version": "has one value",
    "pools.network.version": "has one value",
    "pools.role": "has one value: a pool has no masters",
    "pools.nodeRegistration.imagePullPolicy": "has one value on a node, which has no images to look for",
    **{f"{holder}kubelet.rotateCertificates": "has one value" for holder in ("", "machines.", "pools.")},
    **{f"{holder}kubelet.runOnce": "true is refused" for holder in ("", "machines.", "pools.")},
    "machines.role": "another role makes an even number of masters, which is refused",
    "machines.mac": "is for the tools that start machines",
    "machines.serial": "is for the tools that start machines",
    "machines.uuid": "is for the tools that start machines",
}
"""Leaves of which no two values can render differently, and why: the closed list."""

ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(
        ("etcd.external.caFile", "etcd.external.certFile", "etcd.external.keyFile"),
        "tests/unit/secrets_bundle/test_brought.py",
    ),
    "apiServer.encryption.provider": "tests/unit/secrets_bundle/test_encryption.py",
}
"""Leaves whose values go into the bundle, and the tests of them."""

OF_NEW_KEYS = ("encryptionAlgorithm", "certificateValidityPeriod", "caCertificateValidityPeriod")
"""Leaves that say how new keys and certificates are made. Those that are in the bundle stay as they are."""


def lookup(table: Mapping[str, Any], leaf: Leaf) -> Any:
    """Return the entry with the longest name that is the leaf's path or its end."""
    for start in range(len(leaf.path)):
        name = ".".join(leaf.path[start:])
        if name in table:
            return table[name]
    return None


def document(leaf: Leaf, value: Any, beside: Mapping[str, Any]) -> str:
    """Return a cluster file with this value at the leaf, as JSON, which is YAML."""
    root = json.loads(json.dumps(BASE))
    _merge(root, beside)
    place: Any = root
    for key, row in zip(leaf.path[:-1], leaf.fields[:-1], strict=True):
        if key in ("machines", "pools"):
            is_master = str(leaf).startswith(OF_MASTERS)
            place = place[key][0 if key == "pools" or is_master else 1]
        elif isinstance(row.kind, ListOf):
            place = place.setdefault(key, [example(row.kind)])[0]
        else:
            place = place.setdefault(key, example(row.kind))
    for key, other in (lookup(ALONE, leaf) or {}).items():
        place[key] = other
    place[leaf.path[-1]] = value
    return json.dumps(root)


def _merge(into: Any, given: Mapping[str, Any]) -> None:
    for key, value in given.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def write_files(directory: Path) -> None:
    """Write the files that samples name."""
    for name, text in FILES.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(text, encoding="utf-8")


def load(text: str, directory: Path) -> Cluster | str:
    """Return the cluster, or what is wrong with it."""
    try:
        return load_text(text, str(directory / "cluster.yaml")).cluster
    except ProblemsError as error:
        return "; ".join(f"{each.field} {each.code} {each.message}" for each in error.problems)


@dataclass(frozen=True)
class Accepted:
    """A value of a leaf that the loader takes, and the cluster with it."""

    value: Any
    cluster: Cluster


def accepted(leaf: Leaf, directory: Path, reasons: list[str] | None = None) -> list[Accepted]:
    """Return up to two values of a leaf; append to ``reasons`` why others are refused."""
    found: list[Accepted] = []
    for value in lookup(SAMPLES, leaf) or candidates(leaf.fields[-1].kind):
        made = load(document(leaf, value, lookup(BESIDE, leaf) or {}), directory)
        if isinstance(made, str):
            (reasons if reasons is not None else []).append(f"{value!r}: {made}")
        else:
            found.append(Accepted(value, made))
        if len(found) == 2:
            break
    return found


def two_values(leaf: Leaf, directory: Path) -> list[Accepted]:
    """Return two values of a leaf; fail where the tables do not have them."""
    reasons: list[str] = []
    found = accepted(leaf, directory, reasons)
    assert len(found) == 2, f"add two values of {leaf} to SAMPLES, or what it needs to BESIDE or ALONE: {reasons[-3:]}"
    return found


def of_new_keys(cluster: Cluster) -> Any:
    """Return kind, size and life of the keys and certificates of a new bundle."""
    made = populate(None, cluster, NOW).bundle
    found = [inspect.decode(entry.certificate) for entry in made.entries.values()]
    return [(each.algorithm, each.not_after) for each in found]


class Rendered:
    """What a cluster file renders to, layer by layer, so that a comparison can stop at the first difference."""

    def __init__(self, cluster: Cluster, bundle: Bundle) -> None:
        self.cluster = cluster
        self.pipeline = Pipeline(cluster, bundle)
        self.payloads = [self.pipeline.payload(machine) for machine in self.pipeline.cluster.documents]

    def layers(self) -> Iterator[Any]:
        """Yield the payloads, the image's recipe, kubeadm's files, the seeds and the documents: cheap ones first."""
        machines = self.pipeline.cluster.documents
        yield [payload_json.canonical(payload_json.body(payload)) for payload in self.payloads]
        yield recipe(self.cluster).sha256
        secrets = Secrets(["abcdef.0123456789abcdef"] * len(self.cluster.bootstrap_tokens), "sha256:0")
        yield [export(self.cluster, machine, secrets) for machine in machines]
        emit = seed(Setting(self.pipeline.cluster, (), frozenset(), lambda path, text: None))
        yield [(each.path, each.content) for payload in self.payloads for each in emit(payload)]
        found = self.pipeline.machine_artifacts(machines, review_all=False, kept=lambda path, text: None)
        yield [(each.path, each.digest_of) for each in found if isinstance(each, Artifact)]


def differ(first: Cluster, second: Cluster, bundle: Bundle) -> bool:
    """Return whether anything that is rendered differs. What the first needs is in the bundle of both."""
    bundle = populate(bundle if has_local_etcd(first) else None, first, NOW).bundle
    pair = Rendered(first, bundle), Rendered(second, populate(bundle, second, NOW).bundle)
    return any(one != other for one, other in zip(*(each.layers() for each in pair), strict=True))
