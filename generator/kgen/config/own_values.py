"""Values that only the machine knows: ``{metadata: PATH}``, ``{network: CIDR}`` and ``{interface: NAME}``.

A value is one of them, or a text with some of them in it. In the model it is a text. The first-boot program fills them
in: kgen/runner/own_values.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from kgen.config import values
from kgen.reader.kinds import BAD, Invalid, Schema, Text
from kgen.reader.report import Report, shown
from kgen.reader.tree import Mapping, Node, Scalar

ADDRESSES = ("network", "interface")
ALL = ("metadata", *ADDRESSES)
UNSPECIFIED = ("0.0.0.0", "::")  # noqa: S104 what the kubelet takes for the family of the address that it looks for
"""Values of node-ip with which the kubelet looks for an address of this family itself."""

OWN_VALUE = re.compile(r"\{(metadata|label|network|interface): *([^{}]*?) *\}")
"""One value: its kind and argument. ``label`` is metadata in a label, which only kgen itself writes."""
_TEMPLATE = re.compile(r"\{\{-? *(.*?) *-?\}\}")
_PATH = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+")
_INTERFACE = re.compile(r"[A-Za-z0-9_.:@-]{1,15}")
_LONGEST = 1000
_HELP = {
    "metadata": "a path in cloud-init's instance data, such as v1.instance_id",
    "network": "the machine's address in this network, such as 10.0.0.0/8",
    "interface": "the machine's address on this interface, such as eth1",
}


def _text(text: str, kinds: tuple[str, ...]) -> str:
    """Return the text, whose own values are well-formed and of these kinds."""
    if template := _TEMPLATE.search(text):
        raise Invalid("K353", f"{shown(text)} would stay as it is: documents are no templates", _instead(template[1]))
    for kind, argument in OWN_VALUE.findall(text):
        if kind not in kinds:
            raise Invalid("K254", f"{{{kind}: {argument}}} cannot stand here", f"use {' or '.join(kinds)}")
        _check(kind, argument)
    return text


def _instead(inside: str) -> str:
    """Return what to write instead of a template with this inside."""
    if _PATH.fullmatch(inside):
        return f"write {{metadata: {inside}}}"
    if re.fullmatch(r"\w+", inside):  # cloud-init's templates know the names below v1 without their prefix, too
        return f"write {{metadata: v1.{inside}}}"
    return "write {metadata: PATH}, with a path that `cloud-init query --all` shows, such as v1.instance_id"


def _check(kind: str, argument: str) -> None:
    if kind == "network":
        try:
            ip_network(argument)
        except ValueError as error:
            raise Invalid("K254", f"{shown(argument)} is not a network", "write it like 10.0.0.0/8") from error
    elif kind == "interface" and not _INTERFACE.fullmatch(argument):
        raise Invalid("K254", f"{shown(argument)} is not the name of an interface", "write it as `ip link` shows it")
    elif kind == "metadata" and not (_PATH.fullmatch(argument) and len(argument) <= _LONGEST):
        hint = "write names with dots in between, as `cloud-init query --all` shows them, such as v1.instance_id"
        raise Invalid("K254", f"{shown(argument)} is not a path in cloud-init's instance data", hint)


def argument(text: str) -> str:
    """Return the value of an argument of the kubelet, on one line."""
    return _text(values.one_line(text), ALL)


def label(text: str) -> str:
    """Return the value of a label. The machine checks what it becomes when its own values are filled in."""
    values.label_value(OWN_VALUE.sub("x", _text(text, ("metadata",))))
    return text


@dataclass(frozen=True)
class OwnText(Text):
    """A text that may have own values in it. One that is the whole value may be a mapping: {metadata: v1.region}."""

    kinds: tuple[str, ...] = ALL

    def read(self, node: Node, report: Report) -> Any:
        """Return the text."""
        if isinstance(node, Mapping) and (given := list(node.entries.items())):
            (name, (_, value)), *more = given
            if name in self.kinds and not more and isinstance(value, Scalar):
                return self._read_alone(name, value, report)
            return self.wrong_type(node, report, f"write one of {', '.join(f'{{{kind}: …}}' for kind in self.kinds)}")
        return super().read(node, report)

    def _read_alone(self, kind: str, argument: Scalar, report: Report) -> Any:
        try:
            return self.parse(f"{{{kind}: {argument.text}}}")
        except Invalid as invalid:
            report.error(argument, invalid.code, invalid.message, invalid.hint)
            return BAD

    def schema(self) -> Schema:
        """Return a string, or an object with one key."""
        keys = {kind: {"description": _HELP[kind], "type": "string"} for kind in self.kinds}
        mapping = {"type": "object", "properties": keys, "additionalProperties": False, "minProperties": 1}
        return {"anyOf": [super().schema(), {**mapping, "maxProperties": 1}]}


def are_there(text: str) -> bool:
    """Return whether the text has own values in it."""
    return bool(OWN_VALUE.search(text))


def are_addresses(text: str) -> bool:
    """Return whether the text is a comma-separated list of addresses of the machine."""
    found = [OWN_VALUE.fullmatch(part) for part in text.split(",")]
    return all(each and each[1] in ADDRESSES for each in found)
