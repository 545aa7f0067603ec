"""Values that several keys of the cluster file share: arguments, volumes, environment variables, images, names."""

from __future__ import annotations

from typing import Any

from kgen.config import network, values
from kgen.model import Argument, Volume
from kgen.reader.kinds import Boolean, Choice, Integer, Text
from kgen.reader.objects import Field, Foreign, ListOf, MapOf, Object
from kgen.reader.tree import Mapping, Scalar


class Setting(Text):
    """A text that may be written as an unquoted number, too."""

    def schema(self) -> dict[str, Any]:
        """Return a string or a number."""
        return {"type": ["string", "number"]}


BOOLEAN = Boolean()
ROLE = Choice(("master", "node"), {"control-plane": "master", "worker": "node"})
PORT = Integer(1, 65535, "a port number")
PATH = Text(values.absolute_path, "an absolute path", pattern="^/", is_unambiguous=True)
DURATION = Text(values.duration, "a duration like 8760h", examples=("24h", "8760h0m0s"), is_unambiguous=True)
PATCHES = Object(
    (
        Field(
            "directory",
            Text(values.file_path, "a path"),
            "files `target[suffix][+type].yaml` as for `kubeadm init --patches`, relative to this file",
        ),
    )
)
SYSCTLS = MapOf(
    Setting(values.sysctl_value, "a text or a number", is_unambiguous=True),
    Text(values.sysctl_name, "the name of a kernel parameter", is_unambiguous=True),
    "a mapping of kernel parameters",
    "write sysctls: {vm.max_map_count: 262144}",
)
KERNEL_MODULES = ListOf(Text(values.kernel_module, "the name of a module", is_unambiguous=True))
REPOSITORY = Text(values.image_repository, "an image repository", is_unambiguous=True)
TAG = Text(values.image_tag, "an image tag")
SANS = ListOf(
    Text(network.subject_alternative_name, "a DNS name or address", is_unambiguous=True),
    "a list of names and addresses",
)
API_SANS = ListOf(
    Text(network.lower_case_name, "a DNS name or address", is_unambiguous=True),
    "a list of names and addresses",
)
SUBNETS = Text(network.networks_of, "a network like 10.96.0.0/12, or one of each address family", is_unambiguous=True)
NETWORK = Text(network.network, "a network like 10.96.0.0/12", is_unambiguous=True)


def _arguments_hint(node: Mapping) -> str:
    name, (_, value) = next(iter(node.entries.items()))
    text = value.text if isinstance(value, Scalar) else "…"
    return f'extra arguments are a list, as in kubeadm v1beta4: - {{name: {name}, value: "{text}"}}'


def arguments(value: Text) -> ListOf:
    """Return the kind of a list of arguments whose values are of the kind ``value``."""
    name = Field(
        "name",
        Text(values.argument_name, "a flag's name", is_unambiguous=True),
        "the flag, without dashes",
        is_required=True,
    )
    argument = Object(
        (name, Field("value", value, "its value", is_required=True)),
        example='write {name: v, value: "2"}',
        makes=Argument,
    )
    return ListOf(argument, "a list of name and value", _arguments_hint)


ARGUMENTS = arguments(Text(values.one_line, "a text"))
EXTRA_ARGS = Field(
    "extraArgs",
    ARGUMENTS,
    "arguments that override kubeadm's or are added; a name may be repeated",
    default=(),
)
_VOLUME = Object(
    (
        Field(
            "name",
            Text(values.dns_label, "a name"),
            "the volume's name; kubeadm's own volume of that name is replaced",
            is_required=True,
        ),
        Field("hostPath", PATH, "the path on the machine", is_required=True),
        Field("mountPath", PATH, "the path in the container", is_required=True),
        Field("readOnly", BOOLEAN, "mount it read-only", default=False),
        Field(
            "pathType",
            Choice(
                ("", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice")
            ),
            "what must be at hostPath; empty: no check",
            default="",
        ),
    ),
    example="write {name: audit, hostPath: /var/log/audit, mountPath: /var/log/audit}",
    makes=Volume,
)
EXTRA_VOLUMES = Field("extraVolumes", ListOf(_VOLUME), "host paths to mount into the static pod", default=())
_NOT_IN_STATIC_PODS = Foreign(
    "use value, or a file from extraVolumes", "cannot be used: static pods do not read API objects"
)
_ENV = Object(
    (
        Field(
            "name", Text(values.env_name, "a variable's name", is_unambiguous=True), "the variable", is_required=True
        ),
        Field("value", Text(is_secret=True), "its value"),
        Field(
            "valueFrom",
            Object(
                (
                    Field(
                        "fieldRef",
                        Object(
                            (
                                Field("apiVersion", Text(), "the version of the pod's schema", default_note="v1"),
                                Field("fieldPath", Text(), "the field, such as status.podIP", is_required=True),
                            ),
                            is_plain=True,
                        ),
                        "a field of the pod",
                    ),
                    Field(
                        "resourceFieldRef",
                        Object(
                            (
                                Field("containerName", Text(), "the container", default_note="this one"),
                                Field("resource", Text(), "the resource, such as limits.cpu", is_required=True),
                                Field(
                                    "divisor",
                                    Text(values.canonical_quantity, "a quantity", is_unambiguous=True),
                                    "the unit of the value, such as 1Mi",
                                    default_note="1",
                                ),
                            ),
                            is_plain=True,
                        ),
                        "a resource of the container",
                    ),
                ),
                foreign=dict.fromkeys(("configMapKeyRef", "secretKeyRef", "fileKeyRef"), _NOT_IN_STATIC_PODS),
                is_plain=True,
            ),
            "where the value comes from",
        ),
    ),
    example='write {name: GOGC, value: "50"}',
    is_plain=True,
)
EXTRA_ENVS = Field("extraEnvs", ListOf(_ENV), "environment variables, as in a Kubernetes container", default=())
