"""Kinds that hold others: lists, mappings, objects with known keys; and the drafts that objects are read into."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kgen.config.kinds import BAD, Kind, Schema, Text, is_null
from kgen.config.report import Report, nearest, shown
from kgen.config.tree import Mapping as MappingNode
from kgen.config.tree import Node, Scalar
from kgen.config.tree import Sequence as SequenceNode


@dataclass(frozen=True)
class ListOf(Kind):
    """A list of one kind; the value is a tuple with BAD for items that could not be read.

    ``mapping_hint`` tells who wrote a mapping how the list looks.
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

    def read(self, node: Node, report: Report) -> Any:
        """Return keys and values."""
        if is_null(node):
            return {}
        if not isinstance(node, MappingNode):
            return self.wrong_type(node, report, self.pair_hint)
        pairs = {self.key.read(key, report): self.value.read(value, report) for key, value in node.entries.values()}
        return {key: value for key, value in pairs.items() if key is not BAD and value is not BAD}

    def schema(self) -> Schema:
        """Return an object with any keys."""
        return {"type": ["object", "null"], "additionalProperties": self.value.schema()}


@dataclass(frozen=True)
class Foreign:
    """A key that does not belong here, which people try: why, and what to do instead.

    ``stands_for`` is the key it was written for: that one is then not missed.
    """

    hint: str
    message: str = "does not belong here"
    code: str = "K106"
    stands_for: str = ""


@dataclass(frozen=True)
class Field:
    """One key of an object. ``default`` is written as in the file; ``default_note`` where it depends on something."""

    key: str
    kind: Kind
    help: str
    default: Any = None
    default_note: str = ""
    is_required: bool = False


class Draft:
    """An object that was read: values that are right, places of all. Rules and the model are made from drafts."""

    __slots__ = ("kind", "node", "values")

    def __init__(self, kind: Object, node: Node, values: dict[str, Any]) -> None:
        """Keep what was read of ``node``."""
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


@dataclass(frozen=True, eq=False)
class Object(Kind):
    """A mapping with known keys; the value is a Draft, or with ``is_plain`` a dict of what the file gives.

    ``foreign`` are keys that people try, with what is said of them.
    """

    fields: tuple[Field, ...]
    what: str = "a mapping"
    foreign: Mapping[str, Foreign] = field(default_factory=dict)
    example: str = ""
    is_plain: bool = False

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
            return {} if self.is_plain else Draft(self, node, {})
        if not isinstance(node, MappingNode):
            return self.wrong_type(node, report, self.example)
        values: dict[str, Any] = {}
        by_key = self.by_key
        for name, (key, value) in node.entries.items():
            row = by_key.get(name)
            if row is not None:
                values[name] = row.kind.read(value, report)
            elif meant := self._refuse(name, key, report):
                values.setdefault(meant, BAD)
        for row in self._required:
            if row.key not in values and node.is_whole:
                report.error(node, "K102", f"{row.key} is missing", row.help, key=row.key)
        if self.is_plain:
            return {name: _plain(value) for name, value in values.items() if value is not BAD}
        return Draft(self, node, values)

    def _refuse(self, name: str, key: Scalar, report: Report) -> str:
        """Report an unknown key; return the known one it was probably meant for."""
        foreign = self.foreign.get(name)
        if foreign is not None:
            report.error(key, foreign.code, f"{name} {foreign.message}", foreign.hint)
            return foreign.stands_for
        near = nearest(name, self.by_key)
        known = ", ".join(self.by_key) if len(self.by_key) <= 8 else ""
        hint = f"did you mean {near}?" if near else f"known keys: {known}" if known else ""
        report.error(key, "K101", f"{shown(name)} is not a known key", hint)
        return near

    def schema(self) -> Schema:
        """Return an object with descriptions and defaults of its keys."""
        required = {"required": [row.key for row in self._required]} if self._required else {}
        return {
            "type": "object" if self._required else ["object", "null"],
            "properties": {row.key: _field_schema(row) for row in self.fields},
            "additionalProperties": False,
            **required,
        }


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
    return {**described, **default, **row.kind.schema()}


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
