"""Keys of machines and pools, and of what they inherit from the cluster."""

from __future__ import annotations

from kgen import names
from kgen.config import network, values
from kgen.config.kinds import Choice, Text
from kgen.config.objects import Field, Foreign, ListOf, MapOf, Object
from kgen.config.shapes import ARGUMENTS, NETWORK, PORT

_TAINT = Object(
    (
        Field("key", Text(values.label_key, "a taint's key"), "the taint's key", is_required=True),
        Field("effect", Choice(("NoSchedule", "PreferNoSchedule", "NoExecute")), "what it does", is_required=True),
        Field("value", Text(values.label_value, "a taint's value"), "the taint's value", default=""),
    ),
    example="write {key: dedicated, value: db, effect: NoSchedule}",
)
TAINTS = ListOf(_TAINT, "a list of taints")

NODE_REGISTRATION = Object(
    (
        Field(
            "criSocket",
            Text(values.cri_socket, "a socket's URL", pattern="^unix:///", is_unambiguous=True),
            "the container runtime's socket",
            default_note=names.CRI_SOCKET,
        ),
        Field(
            "taints", TAINTS, "taints of the Node; [] for none", default_note="kubeadm's NoSchedule taint on masters"
        ),
        Field(
            "kubeletExtraArgs",
            ARGUMENTS,
            "arguments of the kubelet; a machine's replace the cluster's of the same name",
            default=(),
        ),
        Field(
            "ignorePreflightErrors",
            ListOf(Text(values.preflight_check, "the name of a check")),
            "preflight checks whose errors are only warnings, by kubeadm's names; `all` for all",
        ),
        Field(
            "imagePullPolicy",
            Choice(("IfNotPresent", "Always", "Never")),
            "for the control plane's images",
            default_note="IfNotPresent",
        ),
    ),
    foreign={
        "name": Foreign("use `name:` of the machine", "comes from another field"),
        "labels": Foreign("use `labels:` of the machine or pool", "comes from another field"),
        "imagePullSerial": Foreign("remove it: the kubelet pulls the images", "is not used"),
    },
)
LOCAL_API_ENDPOINT = Object(
    (Field("bindPort", PORT, "the port of the API server", default_note=str(names.API_SERVER_PORT)),),
    foreign={
        "advertiseAddress": Foreign("use `address:` of the machine", "comes from another field"),
    },
)
_LABELS = MapOf(
    Text(values.label_value, "a label's value"),
    Text(values.label_key, "a label's key"),
    "a mapping of labels",
    "write labels: {key: value}",
)
_NAME = Text(values.node_name, "a name", examples=("m1", "worker-1.example.com"))
_ROLE = Choice(("master", "node"), {"control-plane": "master", "worker": "node"})

MACHINE = Object(
    (
        Field("name", _NAME, "hostname and name of the Node: an RFC 1123 name", is_required=True),
        Field(
            "role",
            _ROLE,
            "master runs the control plane and etcd (alias: control-plane); node (alias: worker)",
            is_required=True,
        ),
        Field("address", network.Addresses(), "the address others reach the machine at; required for masters"),
        Field("labels", _LABELS, "labels of the Node"),
        Field(
            "taints", TAINTS, "taints of the Node; [] for none", default_note="nodeRegistration.taints of the cluster"
        ),
        Field("nodeRegistration", NODE_REGISTRATION, "overrides the cluster's, key by key"),
        Field("localAPIEndpoint", LOCAL_API_ENDPOINT, "overrides the cluster's; masters only"),
        Field(
            "podCIDR",
            NETWORK,
            "the range of the machine's pods, for networking.plugin bridge",
            default_note="the next free /24 (IPv6: /64) of networking.podSubnet, kept in the bundle",
        ),
    ),
    example="write {name: m1, role: master, address: 10.0.0.11}",
    foreign={
        "ip": Foreign("use `address:`", stands_for="address"),
        "hostname": Foreign("the machine's name is its hostname; `hostname:` of the cluster switches that off"),
        "roles": Foreign("a machine has one role: use `role:`", stands_for="role"),
        "kubelet": Foreign("use `kubelet:` of the cluster, or nodeRegistration.kubeletExtraArgs here"),
        "kubeletExtraArgs": Foreign("put it below `nodeRegistration:`"),
        "criSocket": Foreign("put it below `nodeRegistration:`"),
    },
)
POOL = Object(
    (
        Field("name", _NAME, "name of the pool and of its document", is_required=True),
        *(row for row in MACHINE.fields if row.key not in ("name", "address", "localAPIEndpoint", "podCIDR")),
    ),
    example="write {name: workers, role: node}",
    foreign={
        "address": Foreign("a pool's machines take what their network gives; list machines to give addresses"),
        "localAPIEndpoint": Foreign("only masters have an API server"),
        "podCIDR": Foreign("a range is for one machine: list the machines, or use a plugin that divides by itself"),
        "count": Foreign("remove it: one document serves any number of machines", "is not needed"),
        "replicas": Foreign("remove it: one document serves any number of machines", "is not needed"),
        "size": Foreign("remove it: one document serves any number of machines", "is not needed"),
    },
)
