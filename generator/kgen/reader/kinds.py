"""Kinds of values: each reads a node, reports what is wrong with it, and describes itself as JSON Schema.

``read`` returns the value, or BAD after it has reported the error.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from kgen.reader import scalars
from kgen.reader.report import Report, nearest, one_of, shown
from kgen.reader.tree import Mapping as MappingNode
from kgen.reader.tree import Node, Scalar
from kgen.reader.tree import Sequence as SequenceNode


class _Bad:
    def __repr__(self) -> str:
        return "BAD"


BAD: Final[Any] = _Bad()
"""Stands for a value that could not be read; the report says why."""

Schema = dict[str, Any]


class Invalid(Exception):  # noqa: N818 not an error of the program: why a text is not a value
    """The reason why a text is not a valid value: a code, a message and a hint."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        """Keep the parts of the problem."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


class Kind(ABC):
    """A kind of value; ``what`` names it in a sentence: "a text"."""

    what: str

    @abstractmethod
    def read(self, node: Node, report: Report) -> Any:
        """Return the value of ``node``, or BAD after reporting why it has none."""

    @abstractmethod
    def schema(self) -> Schema:
        """Return the JSON Schema of the value."""

    def parse_default(self, default: Any) -> Any:
        """Return the value that ``default``, written as in the file, stands for."""
        return default

    def wrong_type(self, node: Node, report: Report, hint: str = "") -> Any:
        """Report that ``node`` is not of this kind, and return BAD."""
        if is_null(node):
            report.error(
                node, "K105", "has no value", hint or f"give {self.what}, or leave the key out where it is optional"
            )
        else:
            report.error(node, "K103", f"must be {self.what}, not {_found(node)}", hint)
        return BAD


def is_null(node: Node) -> bool:
    """Return whether the node is YAML's null: nothing, ``~`` or ``null``, unquoted."""
    return isinstance(node, Scalar) and node.is_plain and scalars.resolve(node.text) == "null"


_RESOLVED_NAMES = {"boolean": "a boolean", "integer": "a number", "number": "a number", "text": "a text"}


def _found(node: Node) -> str:
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, SequenceNode):
        return "a list"
    return _RESOLVED_NAMES[scalars.resolve(node.text)] if node.is_plain else "a text"


@dataclass(frozen=True)
class Text(Kind):
    """A text. ``parse`` turns it into the value, or raises Invalid.

    ``is_unambiguous``: no value of this kind looks like a number or boolean, so that ``parse`` may judge it unquoted.
    ``is_secret``: the value must not be shown.
    """

    parse: Callable[[str], Any] = str
    what: str = "a text"
    pattern: str = ""
    examples: tuple[str, ...] = ()
    is_unambiguous: bool = False
    is_secret: bool = False

    def read(self, node: Node, report: Report) -> Any:
        """Return what ``parse`` makes of the text."""
        if not isinstance(node, Scalar):
            return self.wrong_type(node, report)
        if node.is_plain:
            resolved = scalars.resolve(node.text)
            if resolved == "null":
                return self.wrong_type(node, report)
            if resolved != "text" and not self.is_unambiguous:
                value = "the value" if self.is_secret else node.text
                message = f"{value} without quotes is {_RESOLVED_NAMES[resolved]} to YAML, {self.what} is wanted"
                report.error(node, "K104", message, "put it in quotes" if self.is_secret else f'write "{node.text}"')
                return BAD
        try:
            return self.parse(node.text)
        except Invalid as invalid:
            report.error(node, invalid.code, invalid.message, invalid.hint)
            return BAD

    def parse_default(self, default: Any) -> Any:
        """Return what ``parse`` makes of the default."""
        return self.parse(default)

    def schema(self) -> Schema:
        """Return a string, with the pattern if there is one."""
        pattern = {"pattern": self.pattern} if self.pattern else {}
        examples = {"examples": list(self.examples)} if self.examples else {}
        return {"type": "string", **pattern, **examples}


@dataclass(frozen=True)
class Boolean(Kind):
    """``true`` or ``false``, spelled like that and unquoted."""

    what: str = "true or false"

    def read(self, node: Node, report: Report) -> Any:
        """Return the boolean."""
        if isinstance(node, Scalar) and node.is_plain and node.text in ("true", "false"):
            return node.text == "true"
        if isinstance(node, Scalar) and node.text.casefold() in _BOOLEAN_SPELLINGS:
            meant = _BOOLEAN_SPELLINGS[node.text.casefold()]
            report.error(
                node, "K104", f"must be true or false, not {shown(node.text)}", f"write {meant}, without quotes"
            )
            return BAD
        if not isinstance(node, Scalar) or is_null(node):
            return self.wrong_type(node, report)
        report.error(node, "K103", f"must be true or false, not {shown(node.text)}")
        return BAD

    def schema(self) -> Schema:
        """Return a boolean."""
        return {"type": "boolean"}


_BOOLEAN_SPELLINGS = {
    **dict.fromkeys(("true", "yes", "on", "y"), "true"),
    **dict.fromkeys(("false", "no", "off", "n"), "false"),
}


@dataclass(frozen=True)
class Integer(Kind):
    """A whole number in plain decimal digits."""

    minimum: int | None = None
    maximum: int | None = None
    what: str = "a whole number"

    def read(self, node: Node, report: Report) -> Any:
        """Return the number."""
        if not isinstance(node, Scalar) or is_null(node):
            return self.wrong_type(node, report)
        value = scalars.integer(node.text)
        if value is None and node.is_plain and scalars.resolve(node.text) == "integer":
            hint = "write it in decimal digits, without leading zeros, underscores or colons"
            report.error(node, "K104", f"{node.text} is not the number it looks like", hint)
            return BAD
        if value is None or not node.is_plain:
            hint = f"write {value}, without quotes" if value is not None else ""
            report.error(node, "K103", f"must be {self.what}, not {shown(node.text)}", hint)
            return BAD
        low, high = self.minimum, self.maximum
        if (low is not None and value < low) or (high is not None and value > high):
            limits = f"between {low} and {high}" if high is not None else f"at least {low}"
            report.error(node, "K209", f"{value} is out of range", f"give a number {limits}")
            return BAD
        return value

    def schema(self) -> Schema:
        """Return an integer with its limits."""
        low = {} if self.minimum is None else {"minimum": self.minimum}
        high = {} if self.maximum is None else {"maximum": self.maximum}
        return {"type": "integer", **low, **high}


@dataclass(frozen=True)
class Number(Kind):
    """A finite number in plain decimal digits."""

    what: str = "a finite number"

    def read(self, node: Node, report: Report) -> Any:
        """Return the number, an int where it is whole."""
        if not isinstance(node, Scalar) or is_null(node):
            return self.wrong_type(node, report)
        value = scalars.number(node.text) if node.is_plain else None
        if value is None:
            report.error(node, "K103", f"must be {self.what}, not {shown(node.text)}")
            return BAD
        return value

    def schema(self) -> Schema:
        """Return a number."""
        return {"type": "number"}


@dataclass(frozen=True)
class Choice(Kind):
    """One of a closed set of texts; ``aliases`` are other spellings for some of them.

    ``about`` says of each value what it means, where the value itself does not.
    """

    values: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    hints: Mapping[str, str] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def what(self) -> str:  # type: ignore[override]
        """Return the values as a list."""
        return f"one of {one_of(self.values)}"

    def read(self, node: Node, report: Report) -> Any:
        """Return the value, an alias as what it stands for."""
        if not isinstance(node, Scalar) or is_null(node):
            return self.wrong_type(node, report)
        text = node.text
        if text in self.values:
            return text
        if text in self.aliases:
            return self.aliases[text]
        near = nearest(text, (*self.values, *self.aliases))
        hint = self.hints.get(text) or (f"did you mean {near}?" if near else "")
        report.error(node, "K211", f"{shown(text)} is not {self.what}", hint)
        return BAD

    def schema(self) -> Schema:
        """Return an enumeration."""
        return {"enum": [*self.values, *self.aliases]}
