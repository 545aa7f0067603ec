"""Keys of machines and pools, and of what they inherit from the cluster."""

from __future__ import annotations

from kgen.config import network, own_values, values
from kgen.config.cloud_init_fields import CLOUD_INIT
from kgen.config.components import KUBELET
from kgen.config.delivery_fields import HARDWARE, NETWORK_FIELD
from kgen.config.file_fields import FILES, STATIC_PODS
from kgen.config.shapes import DURATION, KERNEL_MODULES, NETWORK, PATCHES, PORT, ROLE, SYSCTLS, arguments
from kgen.facts import names
from kgen.model import BootstrapToken, Machine, Taint
from kgen.reader.kinds import Choice, Text
from kgen.reader.objects import Field, Foreign, ListOf, MapOf, Object

_TAINT = Object(
    (
        Field("key", Text(values.label_key, "a taint's key"), "the taint's key", is_required=True),
        Field(
            "effect",
            Choice(("NoSchedule", "PreferNoSchedule", "NoExecute")),
            "the effect of the taint",
            is_required=True,
        ),
        Field("value", Text(values.label_value, "a taint's value"), "the taint's value", default=""),
    ),
    example="write {key: dedicated, value: db, effect: NoSchedule}",
    makes=Taint,
)
_ALWAYS = "remove it: the kubelet pulls an image that is not on the machine, and uses it if it is"
TAINTS = ListOf(_TAINT, "a list of taints")

NODE_REGISTRATION = Object(
    (
        Field(
            "criSocket",
            Text(values.cri_socket, "a socket's URL", pattern="^(unix://)?/", is_unambiguous=True),
            "the container runtime's socket",
            default_note=names.CRI_SOCKET,
        ),
        Field(
            "taints",
            TAINTS,
            "taints of the Node; [] for none",
            default_note="kubeadm's NoSchedule taint on masters",
            attribute=None,
            null_is_absent=True,
        ),
        Field(
            "kubeletExtraArgs",
            arguments(own_values.OwnText(own_values.argument, "a text, or a value of the machine")),
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
            Choice(("IfNotPresent", "Never"), hints={"Always": _ALWAYS}),
            "Never: a control-plane image that is not on a master is an error, not a warning; for masters only",
            default_note="IfNotPresent",
        ),
    ),
    foreign={
        "name": Foreign("use `name:` of the machine", "comes from another field"),
        "labels": Foreign("use `labels:` of the machine or pool", "comes from another field"),
        "imagePullSerial": Foreign(
            "the kubelet pulls the images: use `serializeImagePulls: false` below `kubelet:`",
            "is not used",
            harmless=(True,),
        ),
    },
)
LOCAL_API_ENDPOINT = Object(
    (Field("bindPort", PORT, "the port of the API server", default_note=str(names.API_SERVER_PORT)),),
    foreign={
        "advertiseAddress": Foreign("use `address:` of the machine", "comes from another field"),
    },
)
_LABELS = MapOf(
    own_values.OwnText(own_values.label, "a label's value", kinds=("metadata",)),
    Text(values.label_key, "a label's key"),
    "a mapping of labels",
    "write labels: {key: value}",
)
_NAME = Text(values.node_name, "a name", examples=("m1", "worker-1.example.com"))

MACHINE = Object(
    (
        Field("name", _NAME, "hostname and name of the Node: an RFC 1123 name", is_required=True),
        Field(
            "role",
            ROLE,
            "master runs the control plane and etcd (alias: control-plane); node (alias: worker)",
            is_required=True,
        ),
        Field(
            "address",
            network.Addresses(),
            "the address others reach the machine at, or a list of one of each family; required for masters",
            attribute="addresses",
        ),
        Field("labels", _LABELS, "labels of the Node"),
        Field(
            "taints",
            TAINTS,
            "taints of the Node; [] for none",
            default_note="nodeRegistration.taints of the cluster",
            null_is_absent=True,
        ),
        Field("nodeRegistration", NODE_REGISTRATION, "overrides the cluster's, key by key", attribute="registration"),
        Field("kubelet", KUBELET, "fields of KubeletConfiguration, merged over the cluster's"),
        Field("patches", PATCHES, "in place of the cluster's", attribute=None),
        Field("sysctls", SYSCTLS, "kernel parameters beside the cluster's", attribute=None),
        Field("kernelModules", KERNEL_MODULES, "kernel modules beside the cluster's", attribute=None),
        Field("cloudInit", CLOUD_INIT, "cloud-init's own keys; each replaces the cluster's", attribute=None),
        Field(
            "files", FILES, "files beside the cluster's; one of the same path replaces the cluster's", attribute=None
        ),
        Field(
            "staticPods",
            STATIC_PODS,
            "static pods beside the cluster's; one of the same name replaces the cluster's",
            attribute=None,
        ),
        Field("localAPIEndpoint", LOCAL_API_ENDPOINT, "overrides the cluster's; masters only", attribute="bind_port"),
        Field(
            "podCIDR",
            NETWORK,
            "the range of the machine's pods, for networking.plugin bridge",
            default_note="the next free /24 (IPv6: /64) of networking.podSubnet, kept in the bundle",
        ),
        NETWORK_FIELD,
        *HARDWARE,
    ),
    example="write {name: m1, role: master, address: 10.0.0.11}",
    makes=Machine,
    foreign={
        "ip": Foreign("use `address:`", stands_for="address"),
        "hostname": Foreign("the machine's name is its hostname; `hostname:` of the cluster switches that off"),
        "roles": Foreign("a machine has one role: use `role:`", stands_for="role"),
        "kubeletExtraArgs": Foreign("put it below `nodeRegistration:`"),
        "criSocket": Foreign("put it below `nodeRegistration:`"),
    },
)
_POOL_TOKEN = Object(
    (
        Field("ttl", DURATION, "as `ttl` of bootstrapTokens", default="24h"),
        Field("description", Text(values.one_line), "for people", default=""),
    ),
    foreign={"token": Foreign("remove it: kgen makes one, in poolTokens of the secrets bundle", "is a secret")},
    example="write {ttl: 1h}",
    makes=BootstrapToken,
)
_ONE_MACHINE = ("name", "address", "localAPIEndpoint", "podCIDR", *(row.key for row in HARDWARE))
"""Keys that a pool does not have, or describes in its own words."""
POOL = Object(
    (
        Field("name", _NAME, "name of the pool and of its document", is_required=True),
        *(row for row in MACHINE.fields if row.key not in _ONE_MACHINE),
        Field(
            "bootstrapToken",
            _POOL_TOKEN,
            "a bootstrap token for this pool alone; without it, its machines join with the first of bootstrapTokens",
            attribute=None,
        ),
        Field(
            "tokenFrom",
            Choice(("document", "ssm")),
            "where its machines find the bootstrap token: in user-data, or in Parameter Store of AWS",
            default="document",
            attribute="join_from",
        ),
    ),
    example="write {name: workers, role: node}",
    makes=Machine,
    foreign={
        "address": Foreign("a pool's machines take what their network gives; list machines to give addresses"),
        "localAPIEndpoint": Foreign("only masters have an API server"),
        "podCIDR": Foreign("a range is for one machine: list the machines, or use a plugin that divides by itself"),
        **{row.key: Foreign("it belongs to one machine: list the machines") for row in HARDWARE},
        "count": Foreign("remove it: one document serves any number of machines", "is not needed"),
        "replicas": Foreign("remove it: one document serves any number of machines", "is not needed"),
        "size": Foreign("remove it: one document serves any number of machines", "is not needed"),
    },
)
