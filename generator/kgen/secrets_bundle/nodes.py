"""The bundle's YAML walked node by node: every value is text, every problem has its place, none shows a value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

import yaml

from kgen.errors import Problem, ProblemsError

RESTORE = "restore the file from a backup: what it held cannot be computed again"


class NodeReader:
    """Reads fields, lists and texts, and collects what is wrong with them in ``problems``."""

    def __init__(self, file: str) -> None:
        """Start with no problems; ``file`` is the name in messages."""
        self.file = file
        self.problems: list[Problem] = []

    def compose(self, text: str) -> yaml.Node | None:
        """Return the root of ``text``, None when it is empty; fail where it is not YAML."""
        try:
            node: yaml.Node | None = yaml.compose(text, Loader=yaml.CSafeLoader)
        except yaml.YAMLError as error:  # its own words may quote the text
            mark = getattr(error, "problem_mark", None)
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            message = "the secrets bundle is damaged: not valid YAML from here on"
            raise ProblemsError([Problem(self.file, line, column, "", "B101", message, RESTORE)]) from None
        return node

    def report(self, node: yaml.Node | None, field: str, code: str, message: str, hint: str) -> None:
        """Note a problem where ``node`` starts; None: at the start of the file."""
        line, column = (node.start_mark.line + 1, node.start_mark.column + 1) if node else (1, 1)
        self.problems.append(Problem(self.file, line, column, field, code, message, hint))

    def fail(self, node: yaml.Node | None, field: str, code: str, message: str, hint: str) -> NoReturn:
        """Note a problem and give up."""
        self.report(node, field, code, message, hint)
        raise ProblemsError(self.problems)

    def items(self, node: yaml.Node, field: str) -> Iterator[tuple[yaml.Node, str, yaml.Node]]:
        """Yield key node, key and value of a mapping; a key given twice is a problem."""
        if not isinstance(node, yaml.MappingNode):
            self.report(node, field, "B103", "is not a mapping", RESTORE)
            return
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            if not name or name in seen:
                self.report(key, field, "B103", "holds a key twice, or one that is no text", "remove one of them")
            else:
                seen.add(name)
                yield key, name, value

    def fields(
        self, node: yaml.Node, field: str, required: tuple[str, ...], optional: tuple[str, ...] = ()
    ) -> dict[str, yaml.Node]:
        """Return the values of the known keys of a mapping; unknown and missing ones are problems."""
        found: dict[str, yaml.Node] = {}
        for key, name, value in self.items(node, field):
            if name in required or name in optional:
                found[name] = value
            else:
                self.report(key, field, "B103", "holds a key that kgen does not know", "remove it, or use a newer kgen")
        for name in required:
            if name not in found:
                self.report(node, field, "B103", f"{name!r} is missing", RESTORE)
        return found

    def text(self, node: yaml.Node, field: str) -> str:
        """Return a scalar as it is written, whatever YAML would make of it."""
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        self.report(node, field, "B103", "is not text", RESTORE)
        return ""

    def sequence(self, node: yaml.Node, field: str) -> list[yaml.Node]:
        """Return the items of a list."""
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        self.report(node, field, "B103", "is not a list", RESTORE)
        return []
