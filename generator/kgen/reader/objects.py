"""Kinds that contain other kinds: lists, mappings, and objects with known keys, which are read into drafts."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kgen.reader.kinds import BAD, Kind, Schema, Text, is_null
from kgen.reader.report import Report, nearest, shown
from kgen.reader.tree import Mapping as MappingNode
from kgen.reader.tree import Node, Scalar
from kgen.reader.tree import Sequence as SequenceNode


@dataclass(frozen=True)
class ListOf(Kind):
    """A list of one kind; the value is a tuple with BAD for items that could not be read.

    ``mapping_hint`` returns the hint for a mapping that was written instead of the list.
    """

    item: Kind
    what: str = "a list"
    mapping_hint: Callable[[MappingNode], str] | None = None
    may_be_empty: bool = True

    def read(self, node: Node, report: Report) -> Any:
        """Return the items."""
        if not isinstance(node, SequenceNode):
            hint = "" if is_null(node) else "start each item with `- `, or put the items in [ ]"
            if isinstance(node, MappingNode) and self.mapping_hint and node.entries:
                hint = self.mapping_hint(node)
            return self.wrong_type(node, report, hint)
        if not node.items and not self.may_be_empty:
            report.error(node, "K107", "is empty", "add an item")
            return BAD
        return tuple(self.item.read(item, report) for item in node.items)

    def parse_default(self, default: Any) -> Any:
        """Return the default items as values."""
        return tuple(self.item.parse_default(item) for item in default)

    def schema(self) -> Schema:
        """Return an array."""
        minimum = {} if self.may_be_empty else {"minItems": 1}
        return {"type": "array", "items": self.item.schema(), **minimum}


@dataclass(frozen=True)
class MapOf(Kind):
    """A mapping with keys of the user's choice; the value is a dict without what could not be read."""

    value: Kind
    key: Text = field(default_factory=Text)
    what: str = "a mapping"
    pair_hint: str = ""
    may_be_null: bool = True

    def read(self, node: Node, report: Report) -> Any:
        """Return keys and values."""
        if is_null(node) and self.may_be_null:
            return {}
        if not isinstance(node, MappingNode):
            return self.wrong_type(node, report, self.pair_hint)
        pairs = {self.key.read(key, report): self.value.read(value, report) for key, value in node.entries.values()}
        return {key: value for key, value in pairs.items() if key is not BAD and value is not BAD}

    def schema(self) -> Schema:
        """Return an object with any keys."""
        return {
            "type": ["object", "null"] if self.may_be_null else "object",
            "additionalProperties": self.value.schema(),
        }


@dataclass(frozen=True)
class Foreign:
    """A key that people try but that does not belong here: the reason, and what to do instead.

    ``stands_for`` is the key that was probably meant: that key is then not reported as missing.
    ``harmless`` are values with which the key changes nothing, such as kubeadm's default: they are accepted.
    """

    hint: str
    message: str = "does not belong here"
    code: str = "K106"
    stands_for: str = ""
    harmless: tuple[str | bool, ...] = ()

    def accepts(self, node: Node) -> bool:
        """Return whether ``node`` is a harmless value."""
        if not isinstance(node, Scalar):
            return False
        return any(node.text == (str(value).lower() if isinstance(value, bool) else value) for value in self.harmless)


@dataclass(frozen=True)
class Field:
    """One key of an object.

    ``default`` is written as in the file. ``default_note`` describes a default that depends on something else.
    ``attribute`` is the argument of ``Object.makes`` that takes the value: by default the key in Python's spelling,
    ``hostPath`` as ``host_path``. None: no argument takes it. ``null_is_absent``: YAML's null counts as not given.
    """

    key: str
    kind: Kind
    help: str = ""
    default: Any = None
    default_note: str = ""
    is_required: bool = False
    attribute: str | None = ""
    null_is_absent: bool = False

    @cached_property
    def target(self) -> str | None:
        """Return the argument of ``Object.makes`` that takes the value, or None."""
        if self.attribute == "":
            return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", self.key).lower()
        return self.attribute


class Draft:
    """An object as read from the file: its valid values, and the place of every value.

    Rules check drafts, and the model is made from drafts without errors.
    """

    __slots__ = ("kind", "node", "values")

    def __init__(self, kind: Object, node: Node, values: dict[str, Any]) -> None:
        """Keep the values that were read from ``node``."""
        self.kind = kind
        self.node = node
        self.values = values

    def get(self, key: str) -> Any:
        """Return the value of ``key``: its default where the file says nothing, None where it could not be read."""
        value = self.values.get(key, self)
        if value is self:
            return self.kind.defaults.get(key)
        return None if value is BAD else value

    def is_given(self, key: str) -> bool:
        """Return whether the file gives ``key``, right or wrong."""
        return key in self.values

    def section(self, key: str) -> Draft:
        """Return the object below ``key``; an empty one where the file gives none or a wrong one."""
        value = self.values.get(key)
        if isinstance(value, Draft):
            return value
        kind = self.kind.by_key[key].kind
        assert isinstance(kind, Object)  # noqa: S101 a table that says otherwise is a bug
        return Draft(kind, self.at(key), {})

    def arguments(self, but: Container[str | None] = ()) -> dict[str, Any]:
        """Return the arguments of the object's ``makes`` that have a value or a default, except those in ``but``."""
        found: dict[str, Any] = {}
        for row in self.kind.fields:
            if row.target is not None and row.target not in but:
                has_section = isinstance(row.kind, Object) and not row.kind.is_plain
                value = self.section(row.key) if has_section else self.get(row.key)
                if value is not None:
                    found[row.target] = _made(value)
        return found

    def make(self, **more: Any) -> Any:
        """Return the model of the object: ``makes``, called with ``more`` and the values of all other arguments."""
        assert self.kind.makes is not None  # noqa: S101 a table without it is a bug
        return self.kind.makes(**self.arguments(but=more), **more)

    def items(self, key: str) -> Iterator[tuple[Any, Node]]:
        """Yield value and place of each item of the list below ``key`` that could be read."""
        value, node = self.values.get(key), self.at(key)
        if isinstance(value, tuple) and isinstance(node, SequenceNode):
            yield from ((item, place) for item, place in zip(value, node.items, strict=True) if item is not BAD)

    def drafts(self, key: str) -> Iterator[Draft]:
        """Yield each object of the list below ``key`` that could be read."""
        for item, _ in self.items(key):
            yield item

    def at(self, key: str) -> Node:
        """Return the place of the value of ``key``; of the whole object where the file gives none."""
        if isinstance(self.node, MappingNode) and key in self.node.entries:
            return self.node.entries[key][1]
        return self.node

    def key_at(self, key: str) -> Node:
        """Return the place of ``key`` itself; of the whole object where the file does not give it."""
        if isinstance(self.node, MappingNode) and key in self.node.entries:
            return self.node.entries[key][0]
        return self.node


def _made(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_made(item) for item in value)
    return value.make() if isinstance(value, Draft) else value


@dataclass(frozen=True, eq=False)
class Object(Kind):
    """A mapping with known keys; the value is a Draft, or with ``is_plain`` a dict of the keys in the file.

    A plain object without content (YAML's null) has the value None, and counts as absent in the object around it.

    ``foreign`` has keys that people try, and why each does not belong here. ``makes`` returns the object's model.
    """

    fields: tuple[Field, ...]
    what: str = "a mapping"
    foreign: Mapping[str, Foreign] = field(default_factory=dict)
    example: str = ""
    is_plain: bool = False
    makes: Callable[..., Any] | None = None

    @cached_property
    def by_key(self) -> Mapping[str, Field]:
        """Return the fields by key."""
        return {row.key: row for row in self.fields}

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """Return the values of the fields that have a default."""
        return {row.key: row.kind.parse_default(row.default) for row in self.fields if row.default is not None}

    @cached_property
    def _required(self) -> tuple[Field, ...]:
        return tuple(row for row in self.fields if row.is_required)

    def read(self, node: Node, report: Report) -> Any:
        """Return the object."""
        if is_null(node) and not self._required:
            return None if self.is_plain else Draft(self, node, {})
        if not isinstance(node, MappingNode):
            return self.wrong_type(node, report, self.example)
        values: dict[str, Any] = {}
        by_key = self.by_key
        for name, (key, value) in node.entries.items():
            row = by_key.get(name)
            if row is not None:
                if not (row.null_is_absent and is_null(value)):
                    values[name] = row.kind.read(value, report)
            elif name in self.foreign and self.foreign[name].accepts(value):
                continue
            elif meant := self._refuse(name, key, node, report):
                values.setdefault(meant, BAD)
        for row in self._required:
            if row.key not in values and node.is_whole:
                report.error(node, "K102", f"{row.key} is missing", _how_to_add(row), key=row.key)
        if self.is_plain:
            return {name: _plain(value) for name, value in values.items() if value is not BAD and value is not None}
        return Draft(self, node, values)

    def _refuse(self, name: str, place: Scalar, node: Node, report: Report) -> str:
        """Report an unknown key; return the known one it was probably meant for."""
        foreign = self.foreign.get(name)
        if foreign is not None:
            report.error(node, foreign.code, f"{name} {foreign.message}", foreign.hint, key=name, at=place)
            return foreign.stands_for
        near = nearest(name, self.by_key)
        known = ", ".join(self.by_key) if len(self.by_key) <= 8 else ""
        hint = f"did you mean {near}?" if near else f"known keys: {known}" if known else ""
        report.error(node, "K101", f"{shown(name)} is not a known key", hint, key=name, at=place)
        return near

    def schema(self) -> Schema:
        """Return an object with descriptions and defaults of its keys."""
        required = {"required": [row.key for row in self._required]} if self._required else {}
        return {
            "type": "object" if self._required else ["object", "null"],
            "properties": {
                **{row.key: _field_schema(row) for row in self.fields},
                **{key: _harmless_schema(foreign) for key, foreign in self.foreign.items() if foreign.harmless},
            },
            "additionalProperties": False,
            **required,
        }


def _how_to_add(row: Field) -> str:
    examples = row.kind.examples if isinstance(row.kind, Text) else ()
    return f"add `{row.key}: {examples[0]}`" if examples else f"add `{row.key}:` with {row.kind.what}"


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [item for item in value if item is not BAD]
    if isinstance(value, dict):
        return {key: _plain(below) for key, below in value.items()}
    return value


def _field_schema(row: Field) -> Schema:
    help_text = f"{row.help} (default: {row.default_note})" if row.default_note else row.help
    described = {"description": help_text} if row.help else {}
    default = {} if row.default is None else {"default": row.default}
    schema = row.kind.schema()
    nullable = {"type": [schema["type"], "null"]} if row.null_is_absent else {}
    return {**described, **default, **schema, **nullable}


def _harmless_schema(foreign: Foreign) -> Schema:
    return {
        "description": f"accepted with kubeadm's default, but changes nothing; {foreign.hint}",
        "enum": list(foreign.harmless),
    }


@dataclass(frozen=True)
class ByShape(Kind):
    """A value that may be written in several shapes."""

    what: str
    scalar: Kind | None = None
    items: Kind | None = None
    mapping: Kind | None = None

    def read(self, node: Node, report: Report) -> Any:
        """Return what the kind for the node's shape makes of it."""
        shapes = {Scalar: self.scalar, SequenceNode: self.items, MappingNode: self.mapping}
        kind = None if is_null(node) else shapes[type(node)]
        return self.wrong_type(node, report) if kind is None else kind.read(node, report)

    def schema(self) -> Schema:
        """Return any of the shapes."""
        return {"anyOf": [kind.schema() for kind in (self.scalar, self.items, self.mapping) if kind is not None]}
