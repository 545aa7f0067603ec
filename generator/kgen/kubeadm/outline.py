"""A YAML tree whose values know their place in the source, and may have comments or be commented out.

PyYAML writes no comments. ruamel.yaml does, but it quotes by YAML 1.2, so that the cluster file's reader would take its
texts ``on`` or ``1:30`` for other types.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from kgen import engine
from kgen.config import kubernetes_yaml
from kgen.errors import Problem
from kgen.reader import scalars

_WIDTH = 110
_STEP = re.compile(r"""\.?([A-Za-z_][\w-]*)|\[(\d+)\]|\[('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\]""")


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a source; line and column are 1-based."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        """Return ``file:line:column``."""
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Remark:
    """A comment on an item: something that the user has to decide, or a note. ``code`` is that of a problem."""

    is_decision: bool
    message: str
    hint: str = ""
    place: Place | None = None
    code: str = ""

    def __str__(self) -> str:
        """Return the text of the comment."""
        source = f" ({self.place})" if self.place else ""
        code = f" [{self.code}]" if self.code else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{'DECIDE' if self.is_decision else 'NOTE'}{source}: {self.message}{code}{hint}"


@dataclass(slots=True, eq=False)
class Item:
    """A scalar, a dict of items or a list of items. An item that ``is_out`` is written as a comment."""

    value: Any
    place: Place | None = None
    remarks: list[Remark] = field(default_factory=list)
    is_out: bool = False

    @property
    def children(self) -> list[tuple[str | int, Item]]:
        """Return keys or indexes and items; none for a scalar."""
        if isinstance(self.value, dict):
            return list(self.value.items())
        return list(enumerate(self.value)) if isinstance(self.value, list) else []

    @property
    def is_live(self) -> bool:
        """Return whether something of the item is written as more than a comment."""
        return not self.is_out and (not self.children or any(child.is_live for _, child in self.children))

    @property
    def plain(self) -> Any:
        """Return the value as plain data, without what is commented out."""
        if isinstance(self.value, dict):
            return {key: child.plain for key, child in self.value.items() if child.is_live}
        if isinstance(self.value, list):
            return [child.plain for child in self.value if child.is_live]
        return self.value

    def get(self, *keys: str) -> Item | None:
        """Return the item below ``keys``, one inside the other; None where there is none."""
        found: Item | None = self
        for key in keys:
            found = found.value.get(key) if found is not None and isinstance(found.value, dict) else None
        return found

    def take(self, *keys: str) -> Item | None:
        """Remove the item below ``keys`` and return it."""
        parent = self.get(*keys[:-1])
        return parent.value.pop(keys[-1], None) if parent is not None and isinstance(parent.value, dict) else None

    def note(self, message: str, hint: str = "", place: Place | None = None) -> None:
        """Remark, once, on something that is nowhere else in the tree, and changes nothing."""
        if all(remark.message != message for remark in self.remarks):
            self.remarks.append(Remark(False, message, hint, place or self.place))

    def decide(self, message: str, hint: str = "", place: Place | None = None, code: str = "") -> None:
        """Remark on something that the user has to decide."""
        self.remarks.append(Remark(True, message, hint, place or self.place, code))


def item(value: Any, place: Place | None = None) -> Item:
    """Return plain data as an item, all of it at ``place``."""
    if isinstance(value, dict):
        return Item({key: item(below, place) for key, below in value.items()}, place)
    return Item([item(below, place) for below in value] if isinstance(value, list) else value, place)


def read(text: str, file: str) -> tuple[list[Item], list[Problem]]:
    """Return the documents of ``text``, read as kubeadm reads them, and what is wrong with the YAML.

    A null is left out, because kubeadm takes it for an absent field.
    """
    documents, flaws = kubernetes_yaml.documents(text)
    problems = [Problem(file, flaw.line, flaw.column, "", flaw.code, flaw.message, flaw.hint) for flaw in flaws]
    return [] if problems else [_placed(each.node, each.node, each.value, file) for each in documents], problems


def _placed(at: yaml.Node, node: yaml.Node | None, value: Any, file: str) -> Item:
    """Return ``value`` of ``node`` at the place of ``at``, the key. Without a node (a merged key): the same place."""
    place = Place(file, at.start_mark.line + 1, at.start_mark.column + 1)
    if isinstance(value, dict):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        nodes = {key.value: (key, below) for key, below in pairs if isinstance(key, yaml.ScalarNode)}
        children = {}
        for key, below in value.items():
            if below is not None:
                key_node, child = nodes.get(key, (at, None))
                children[key] = _placed(key_node, child, below, file)
        return Item(children, place)
    if isinstance(value, list):
        nodes_of_list = node.value if isinstance(node, yaml.SequenceNode) else [None] * len(value)
        pairs_of_list = zip(nodes_of_list, value, strict=True)
        return Item([_placed(child or at, child, below, file) for child, below in pairs_of_list], place)
    return Item(value, place)


def text(root: Item) -> str:
    """Return the YAML of a mapping, with its comments."""
    return "\n".join([*_comment(root, ""), *_block(root, "")]) + "\n"


def _comment(node: Item, margin: str) -> Iterator[str]:
    for remark in node.remarks:
        yield from (f"{margin}# {line}" for line in textwrap.wrap(str(remark), _WIDTH, break_long_words=False))


def _block(node: Item, margin: str) -> Iterator[str]:
    for key, child in node.children:
        yield from _comment(child, margin)
        lines = _entry(child, margin) if isinstance(key, int) else _pair(key, child, margin)
        yield from lines if child.is_live else (f"{margin}# {line.removeprefix(margin)}" for line in lines)


def _pair(key: str, child: Item, margin: str) -> Iterator[str]:
    if not child.children:
        yield f"{margin}{_scalar(key)}: {_scalar(child.value)}"
    else:
        yield f"{margin}{_scalar(key)}:"
        yield from _block(child, margin + "  ")


def _entry(child: Item, margin: str) -> Iterator[str]:
    if not child.children:
        yield f"{margin}- {_scalar(child.value)}"
        return
    is_begun = False
    for line in _block(child, margin + "  "):
        begins = not is_begun and (not child.is_live or not line.lstrip().startswith("#"))
        yield f"{margin}- {line[len(margin) + 2 :]}" if begins else line
        is_begun = is_begun or begins


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        plain = engine.to_yaml([value])[2:].rstrip("\n")
        is_safe = "\n" not in value and (plain != value or scalars.resolve(value) == "text")
        return plain if is_safe else engine.scalar(value)
    return engine.scalar(value)


def follow(root: Item, path: str) -> list[Item]:
    """Return the items on the way to a field path as problems have it, the deepest that exists last.

    Indexes count what is not commented out.
    """
    found = [root]
    for key, index, quoted in _STEP.findall(path):
        here = found[-1]
        live = [child for _, child in here.children if child.is_live]
        if index and isinstance(here.value, list) and int(index) < len(live):
            found.append(live[int(index)])
        elif not index and (child := here.get(key or str(ast.literal_eval(quoted)))) is not None and child.is_live:
            found.append(child)
        else:
            break
    return found


def walk(root: Item, path: str = "") -> Iterator[tuple[str, Item]]:
    """Yield every item with its path."""
    yield path, root
    for key, child in root.children:
        yield from walk(child, f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}".lstrip("."))
