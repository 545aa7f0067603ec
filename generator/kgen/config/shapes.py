"""Values that several keys of the cluster file share: arguments, volumes, environment variables, images, names."""

from __future__ import annotations

from kgen.config import network, values
from kgen.config.kinds import Boolean, Choice, Integer, Text
from kgen.config.objects import Field, Foreign, ListOf, Object
from kgen.config.tree import Mapping, Scalar

BOOLEAN = Boolean()
PORT = Integer(1, 65535, "a port number")
PATH = Text(values.absolute_path, "an absolute path", pattern="^/", is_unambiguous=True)
DURATION = Text(values.duration, "a duration like 8760h", examples=("24h", "8760h0m0s"), is_unambiguous=True)
REPOSITORY = Text(values.image_repository, "an image repository", is_unambiguous=True)
TAG = Text(values.image_tag, "an image tag")
SANS = ListOf(
    Text(network.subject_alternative_name, "a DNS name or address", is_unambiguous=True),
    "a list of names and addresses",
)
NETWORK = Text(network.network, "a network like 10.96.0.0/12", is_unambiguous=True)


def _arguments_hint(node: Mapping) -> str:
    name, (_, value) = next(iter(node.entries.items()))
    text = value.text if isinstance(value, Scalar) else "…"
    return f'extra arguments are a list, as in kubeadm v1beta4: - {{name: {name}, value: "{text}"}}'


_ARGUMENT = Object(
    (
        Field(
            "name",
            Text(values.argument_name, "a flag's name", is_unambiguous=True),
            "the flag, without dashes",
            is_required=True,
        ),
        Field("value", Text(values.one_line, "a text"), "its value", is_required=True),
    ),
    example='write {name: v, value: "2"}',
)
ARGUMENTS = ListOf(_ARGUMENT, "a list of name and value", _arguments_hint)
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
                            (Field("apiVersion", Text(), ""), Field("fieldPath", Text(), "", is_required=True)),
                            is_plain=True,
                        ),
                        "a field of the pod",
                    ),
                    Field(
                        "resourceFieldRef",
                        Object(
                            (
                                Field("containerName", Text(), ""),
                                Field("resource", Text(), "", is_required=True),
                                Field("divisor", Text(values.quantity, "a quantity", is_unambiguous=True), ""),
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
