"""A YAML file as a tree of nodes with lines and columns. A scalar stays text: its field decides what it means.

The tree is built from libyaml's events. The surprising parts of YAML are refused here: keys given twice, tags, several
documents, merge keys, aliases that contain themselves or repeat too much, too deep nesting, control characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

_DEEPEST = 64
# Aliases repeat parts of the file. A file that repeats more than this is an attack, not a cluster.
_REPETITIONS_PER_NODE = 20
_REPETITIONS_FREE = 1000

_NOT_PRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")  # as YAML 1.1 counts lines
_SIMPLE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(slots=True, eq=False)
class Scalar:
    """A text. ``is_plain``: it has no quotes, so that YAML guesses its type. Lines and columns are 1-based."""

    text: str
    is_plain: bool
    line: int
    column: int


@dataclass(slots=True, eq=False)
class Sequence:
    """A list."""

    line: int
    column: int
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Mapping:
    """A mapping; each key with its own node and the node of its value, in file order.

    ``is_whole`` is false if a key could not be read: then no key is reported as missing.
    """

    line: int
    column: int
    entries: dict[str, tuple[Scalar, Node]] = field(default_factory=dict)
    is_whole: bool = True


Node = Scalar | Sequence | Mapping


@dataclass(frozen=True, slots=True)
class Flaw:
    """An error in the YAML. ``node``, and ``key`` in it, give the field path, if the tree has one."""

    line: int
    column: int
    code: str
    message: str
    hint: str = ""
    node: Node | None = None
    key: str = ""


class _Stop(Exception):  # noqa: N818 control flow: nothing after this flaw can be read
    pass


def compose(text: str) -> tuple[Node | None, list[Flaw]]:
    """Return the root of ``text``, None when it cannot be read to the end, and every flaw of its YAML."""
    composer = _Composer()
    try:
        return composer.compose(text), composer.flaws
    except _Stop:
        return None, composer.flaws


def key_path(parent: str, key: str) -> str:
    """Return the field path of ``key`` below ``parent``: ``a.b``, or ``a["b/c"]`` where a dot would mislead."""
    if not _SIMPLE_KEY.fullmatch(key):
        return f"{parent}[{key!r}]"
    return f"{parent}.{key}" if parent else key


def paths(root: Node) -> dict[int, str]:
    """Return the field path of every node below ``root`` by ``id``; a node that is repeated has its first one."""
    found: dict[int, str] = {}
    for node, path in _walk(root):
        found.setdefault(id(node), path)
    return found


def _walk(root: Node) -> Iterator[tuple[Node, str]]:
    seen: set[int] = set()
    pending: list[tuple[Node, str]] = [(root, "")]
    while pending:
        node, path = pending.pop()
        yield node, path
        if id(node) in seen or isinstance(node, Scalar):
            continue
        seen.add(id(node))
        children: list[tuple[Node, str]] = []
        if isinstance(node, Mapping):
            for name, (key, value) in node.entries.items():
                place = key_path(path, name)
                children += [(key, place), (value, place)]
        else:
            children = [(item, f"{path}[{number}]") for number, item in enumerate(node.items)]
        pending.extend(reversed(children))


@dataclass(slots=True)
class _Frame:
    """A collection that is being filled; ``count`` is how many nodes there were before it."""

    node: Sequence | Mapping
    anchor: str | None
    count: int
    key: Scalar | None = None


_UNUSABLE = Scalar("", True, 0, 0)
"""Stands for a refused key until its value has been read."""


class _Composer:
    def __init__(self) -> None:
        self.flaws: list[Flaw] = []
        self._frames: list[_Frame] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._count = 0  # nodes, repeated ones counted each time
        self._written = 0
        self._root: Node | None = None

    def _flaw(self, node: Node, code: str, message: str, hint: str = "", *, inside: Node | None = None) -> None:
        key = node.text if inside and isinstance(node, Scalar) else ""
        self.flaws.append(Flaw(node.line, node.column, code, message, hint, inside or node, key))

    def _note(self, mark: Any, code: str, message: str, hint: str = "") -> None:
        self.flaws.append(Flaw(mark.line + 1, mark.column + 1, code, message, hint))

    def _stop(self, mark: Any, code: str, message: str, hint: str = "") -> _Stop:
        self._note(mark, code, message, hint)
        return _Stop()

    def compose(self, text: str) -> Node | None:
        unprintable = _NOT_PRINTABLE.search(text)
        if unprintable:
            line, column = _place(text, unprintable.start())
            message = f"the character U+{ord(unprintable[0]):04X} is not allowed in a YAML file"
            self.flaws.append(Flaw(line, column, "K010", message, "remove it"))
            return None
        try:
            self._events(text)
        except yaml.MarkedYAMLError as error:
            self.flaws.append(syntax_flaw(error, text))
            return None
        if self._root is None or (isinstance(self._root, Scalar) and not self._root.text and self._root.is_plain):
            self.flaws.append(Flaw(1, 1, "K005", "the file is empty"))
            return None
        return self._root

    def _events(self, text: str) -> None:
        documents = 0
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.ScalarEvent):
                self._scalar(event)
            elif isinstance(event, yaml.CollectionStartEvent):
                self._open(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._close()
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event)
            elif isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._note(event.start_mark, "K004", "a second YAML document starts here")
                    return

    def _refuse_tag(self, node: Node, tag: str) -> None:
        name = tag.replace("tag:yaml.org,2002:", "!!")
        self._flaw(node, "K003", f"the tag {name} is not supported", "remove it; quote a text instead")

    def _scalar(self, event: Any) -> None:
        mark = event.start_mark
        node = Scalar(event.value, not event.style, mark.line + 1, mark.column + 1)
        if event.tag is not None:
            self._refuse_tag(node, event.tag)
        if _CONTROL.search(event.value):
            self._flaw(node, "K010", "the value contains a control character", "remove it")
        self._written += 1
        self._count += 1
        self._add(node, event.anchor, 1)

    def _open(self, event: Any) -> None:
        mark = event.start_mark
        if len(self._frames) == _DEEPEST:
            raise self._stop(mark, "K009", f"nested more than {_DEEPEST} levels deep")
        kind = Mapping if isinstance(event, yaml.MappingStartEvent) else Sequence
        node = kind(mark.line + 1, mark.column + 1)
        if event.tag is not None:
            self._refuse_tag(node, event.tag)
        self._written += 1
        self._count += 1
        self._frames.append(_Frame(node, event.anchor, self._count))

    def _close(self) -> None:
        frame = self._frames.pop()
        self._add(frame.node, frame.anchor, self._count - frame.count + 1)

    def _alias(self, event: Any) -> None:
        mark = event.start_mark
        if any(frame.anchor == event.anchor for frame in self._frames):
            raise self._stop(mark, "K006", f"the alias *{event.anchor} contains itself")
        if event.anchor not in self._anchors:
            hint = f"mark a value with &{event.anchor} above, or quote a text that starts with `*`"
            raise self._stop(mark, "K006", f"the alias *{event.anchor} refers to nothing", hint)
        target, size = self._anchors[event.anchor]
        self._count += size
        if self._count - self._written > _REPETITIONS_FREE + _REPETITIONS_PER_NODE * self._written:
            raise self._stop(mark, "K007", "aliases repeat the file's content too often", "write fewer aliases")
        line, column = mark.line + 1, mark.column + 1
        copy: Node
        if isinstance(target, Scalar):
            copy = Scalar(target.text, target.is_plain, line, column)
        elif isinstance(target, Sequence):
            copy = Sequence(line, column, target.items)
        else:
            copy = Mapping(line, column, target.entries, target.is_whole)
        self._add(copy, None, size)

    def _add(self, node: Node, anchor: str | None, size: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, size)
        if not self._frames:
            self._root = node
            return
        frame = self._frames[-1]
        if isinstance(frame.node, Sequence):
            frame.node.items.append(node)
        elif frame.key is None:
            frame.key = self._key(node, frame.node)
        else:
            if frame.key is not _UNUSABLE:
                self._add_entry(frame.node, frame.key, node)
            frame.key = None

    def _key(self, node: Node, mapping: Mapping) -> Scalar:
        if isinstance(node, Scalar) and not (node.is_plain and node.text in ("", "~", "<<")):
            return node
        if isinstance(node, Scalar) and node.text == "<<":
            code, message, hint = "K011", "merge keys (<<) are not supported", "write the keys out"
        else:
            code, message, hint = "K008", "a key must be a text", "start the line with a name and a colon"
        self.flaws.append(Flaw(node.line, node.column, code, message, hint, mapping))
        mapping.is_whole = False
        return _UNUSABLE

    def _add_entry(self, mapping: Mapping, key: Scalar, value: Node) -> None:
        first = mapping.entries.get(key.text)
        if first is not None:
            message = f"the key {key.text!r} is given twice"
            hint = f"it is already in line {first[0].line}; keep one of them"
            self._flaw(key, "K002", message, hint, inside=mapping)
            return
        if isinstance(value, Scalar) and value.is_plain and not value.text:
            value.line, value.column = key.line, key.column  # an absent value is reported at its key
        mapping.entries[key.text] = (key, value)


def _place(text: str, index: int) -> tuple[int, int]:
    line, start = 1, 0
    for match in _LINE_BREAK.finditer(text, 0, index):
        line, start = line + 1, match.end()
    return line, index - start + 1


_LIBYAML_DEPTH = "maximum nesting depth"  # the libyaml in PyYAML 6.0.4 has this limit of its own


# The usual cause of libyaml's message. The first match is used.
_SYNTAX_HINTS = (
    ("tab character", "indent with blanks, not with tabs"),
    ("while scanning an alias", "a text that starts with `*` needs quotes"),
    ("while scanning an anchor", "a text that starts with `&` needs quotes"),
    ("while scanning a directive", "a text that starts with `%` needs quotes"),
    ("cannot start any token", "a text that starts with @, ` or % needs quotes"),
    ("mapping values are not allowed", "a text with `: ` in it needs quotes; check the indentation"),
    ("block mapping", "keys of one mapping start in the same column"),
    ("block collection", "items of one list start in the same column, each with `- `"),
    ("flow sequence", "a `[` is not closed, or a comma is missing"),
    ("flow mapping", "a `{` is not closed, or a comma is missing"),
    ("quoted scalar", "a quote is not closed"),
    ("could not find expected ':'", "a key is followed by a colon and a blank"),
)


def syntax_flaw(error: yaml.MarkedYAMLError, text: str) -> Flaw:
    """Return libyaml's error as a flaw, at the place where a person would look, with the usual fix as hint."""
    lines = _LINE_BREAK.split(text)
    line, column = _syntax_place(error, lines)
    begin = error.context_mark
    begins = f" that starts on line {begin.line + 1}" if begin is not None and begin.line != line else ""
    context = f" ({error.context}{begins})" if error.context else ""
    said = f"{error.problem or 'it cannot be read'}{context}"
    hint = next((hint for part, hint in _SYNTAX_HINTS if part in said), "")
    if lines[line][column : column + 1] == "\t":
        hint = "indent with blanks, not with tabs"
    code = "K009" if _LIBYAML_DEPTH in said else "K001"
    return Flaw(line + 1, column + 1, code, f"not YAML: {said}", hint)


def _syntax_place(error: yaml.MarkedYAMLError, lines: list[str]) -> tuple[int, int]:
    """Return the 0-based line and column of the error: for an unclosed quote or bracket the place where it starts.

    libyaml only notices such an error at the end of the file, or after it.
    """
    last = max((number for number, line in enumerate(lines) if line.strip()), default=0)
    end = (last, len(lines[last].rstrip()))
    begin = error.context_mark
    mark = error.problem_mark or begin
    place = (mark.line, mark.column) if mark is not None else end
    if begin is not None and (place >= end or "could not find expected ':'" in (error.problem or "")):
        place = (begin.line, begin.column)
    return min(place, end)
