"""A YAML reader that gives unquoted values the meaning that kubectl gives them. PyYAML gives them another one.

The rules are those of sigs.k8s.io/yaml v1.6 (go-yaml v2), as seen with kubectl v1.37.2; tests/control_plane compares.
``yes`` is true, ``0644`` is 420, ``1e3`` is 1000, ``1:30`` and dates are texts. The reader refuses what kubectl would
change silently: keys given twice (kubectl keeps the last), and keys like an unquoted ``y`` (kubectl makes it ``true``).
It also refuses tags.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from kgen.reader.tree import Flaw, syntax_flaw

_DEEPEST = 200
_MOST_VALUES = 1_000_000
_PLAIN = "kgen:plain"
_TEXT = "tag:yaml.org,2002:str"
_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_MERGE = "<<"
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"], True),
    **dict.fromkeys(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"], False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_NOT_FINITE = re.compile(r"\.(nan|NaN|NAN)|[-+]?\.(inf|Inf|INF)")
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))", re.ASCII)
_BASES = (16, 2, 8, 10)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_INT64, _UINT64 = 2**63, 2**64


class _Bad:
    pass


BAD: Final[Any] = _Bad()
"""The value of a node that could not be read; a flaw says why."""


class _TooMuchError(Exception):
    def __init__(self, mark: yaml.Mark, code: str, message: str) -> None:
        super().__init__(message)
        self.flaw = Flaw(mark.line + 1, mark.column + 1, code, message)


class _Loader(yaml.CSafeLoader):
    """A loader that does not resolve unquoted scalars, and stops before libyaml's recursion would end the process."""

    _depth = 0

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else _TEXT
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]

    def descend_resolver(self, parent: Any, index: Any) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _TooMuchError(parent.start_mark, "K009", f"nested more than {_DEEPEST} levels deep")

    def ascend_resolver(self) -> None:
        self._depth -= 1


@dataclass(frozen=True, slots=True)
class Document:
    """One document: its root node, for places, and its value."""

    node: yaml.Node
    value: Any


def documents(text: str) -> tuple[list[Document], list[Flaw]]:
    """Return the documents of ``text`` that hold something, and what is wrong with it."""
    reader = _Reader()
    found: list[Document] = []
    try:
        for node in yaml.compose_all(text, Loader=_Loader):
            value = reader.value(node)
            if value is not None:
                found.append(Document(node, value))
    except yaml.MarkedYAMLError as error:
        reader.flaws.append(syntax_flaw(error, text))
    except yaml.YAMLError as error:  # a character that no YAML may hold; the reader knows only its position
        place = text[: getattr(error, "position", 0)]
        line, column = place.count("\n") + 1, len(place) - place.rfind("\n")
        reader.flaws.append(Flaw(line, column, "K010", "a character that must not stand in a YAML file", "remove it"))
    except _TooMuchError as too_much:
        reader.flaws.append(too_much.flaw)
    return found, reader.flaws


def value_at(value: Any, path: Iterable[str]) -> Any:
    """Return what is at ``path`` in nested mappings; None if nothing is."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def node_at(node: yaml.Node, path: Iterable[str | int]) -> yaml.Node:
    """Return the node at ``path``, or the nearest one above it that there is; names are keys, numbers are items."""
    for step in path:
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
        elif isinstance(node, yaml.MappingNode):
            following = next((value for key, value in node.value if getattr(key, "value", None) == step), None)
            if following is None:
                return node
            node = following
        else:
            return node
    return node


class _Reader:
    def __init__(self) -> None:
        self.flaws: list[Flaw] = []
        self._values = 0

    def _flaw(self, node: yaml.Node, code: str, message: str, hint: str = "") -> Flaw:
        return Flaw(node.start_mark.line + 1, node.start_mark.column + 1, code, message, hint)

    def value(self, node: yaml.Node, depth: int = 0) -> Any:
        """Return the value of a node; BAD, after noting a flaw, if it has none."""
        self._values += 1
        if self._values > _MOST_VALUES:
            raise _TooMuchError(node.start_mark, "K007", "aliases repeat the file's content too often")
        if depth > _DEEPEST:
            raise _TooMuchError(node.start_mark, "K009", f"nested more than {_DEEPEST} levels deep")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if node.tag not in _COLLECTIONS:
            return self._refuse_tag(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, depth + 1) for item in node.value]
        assert isinstance(node, yaml.MappingNode)  # noqa: S101 there are no other nodes
        return self._mapping(node, depth)

    def _refuse_tag(self, node: yaml.Node) -> Any:
        name = node.tag.replace("tag:yaml.org,2002:", "!!")
        self.flaws.append(
            self._flaw(node, "K003", f"the tag {name} is not used here", "remove it; quote a text instead")
        )
        return BAD

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        if node.tag == _TEXT:
            return node.value
        if node.tag != _PLAIN:
            return self._refuse_tag(node)
        if _NOT_FINITE.fullmatch(node.value):
            self.flaws.append(self._flaw(node, "K503", f"JSON has no {node.value}", "quote it if it is a text"))
            return BAD
        return plain(node.value)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> Any:
        found: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, child in node.value:
            value = self.value(child, depth + 1)
            if isinstance(key, yaml.ScalarNode) and key.tag == _PLAIN and key.value == _MERGE:
                found.update(self._merged(child, value))
                continue
            name = self._key(key)
            if name in lines:
                hint = f"it is already given in line {lines[name]}; keep one of them"
                self.flaws.append(self._flaw(key, "K002", f"the key {name!r} is given twice", hint))
            elif name is not BAD:
                lines[name] = key.start_mark.line + 1
                found[name] = value
        return found

    def _merged(self, node: yaml.Node, value: Any) -> dict[str, Any]:
        """Return the entries that a merge key adds; of several mappings the first one that has a key counts."""
        sources = value if isinstance(value, list) else [value]
        merged: dict[str, Any] = {}
        for source in reversed(sources):
            if not isinstance(source, dict):
                self.flaws.append(self._flaw(node, "K011", "a merge key needs mappings", "give an alias of a mapping"))
                return {}
            merged.update(source)
        return merged

    def _key(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            value = self._scalar(node)
            if isinstance(value, str):
                return value
            if value is BAD:
                return BAD
            if str(value) == node.value:  # 8080: as a text it is the same
                return node.value
            message = f"kubectl takes the unquoted key {node.value} for {str(value).lower()}"
            self.flaws.append(self._flaw(node, "K008", message, f'write "{node.value}"'))
        else:
            self.flaws.append(self._flaw(node, "K008", "a key must be a text"))
        return BAD


def plain(text: str) -> Any:
    """Return the value that kubectl reads from an unquoted scalar: a truth value, a number, None or a text."""
    if text in _WORDS:
        return _WORDS[text]
    if not text[0].isascii() or text[0] not in "+-.0123456789":
        return text
    bare = text if text[0] == "." else text.replace("_", "")
    integer = _INTEGER.fullmatch(bare)
    if integer:
        sign, *digits = integer.groups()
        number = next(int(part, base) for part, base in zip(digits, _BASES, strict=True) if part)
        number = -number if sign == "-" else number
        if -_INT64 <= number < _INT64:
            return number
        if not sign and number < _UINT64:
            return number
    if _FLOAT.fullmatch(bare):
        value = float(bare)
        if math.isinf(value):
            return text
        return int(value) if value.is_integer() and abs(value) < _INT64 else value
    return text
