"""The first-boot runner as it ships: the modules its role needs in one file, without what only readers need.

docs/reference/runner.md says which rules the runner's sources obey so that this can work line by line.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import product

from kgen import resources
from kgen.config.model import Role

ROLE_MODULES: dict[Role, tuple[str, ...]] = {
    "master": ("base", "files", "api", "payload", "preflight", "machine", "guard", "publish", "loop", "master"),
    "node": ("base", "files", "api", "payload", "preflight", "machine", "loop", "node"),
}
"""The modules of each role's program, each after those it imports; the last holds its table of steps."""

_HEAD = "#!/usr/bin/env python3"
_DOCSTRING = '"""'
_STRING = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""")
_IMPORT = re.compile(r"(?:import|from) ")
_DROPPED = re.compile(r"#|from \.|from typing import ")
_DEFINITION = re.compile(r" *def .*:$")
_ANNOTATION = re.compile(r": [A-Za-z]+(?=[,)]| = )| -> .*(?=:$)")
_VARIABLE_ANNOTATION = re.compile(r"^( *[\w.]+): [A-Za-z]+ = ")
_BLANKS = re.compile(r" ?([=+<>!|*&:,{}()\[\]-]+) ?")


_PARAMETERS = re.compile(r" *def (\w+)\((.*)\):$")
_TARGETS = re.compile(r" *(?:class )?([\w,*()]+)(?:=(?!=)|\(\w+\):$)")
_LOOP_VARIABLES = re.compile(r"\bfor ([\w,*()]+?) ?in\b")
_AS = re.compile(r"\bas (\w+)")
_WORD = re.compile(r"\w+")
_ANY_NAME = re.compile(r"(?<![.\w])[A-Za-z_]\w*")
_NO_KEYWORD = re.compile(_ANY_NAME.pattern + r"(?!\w|=(?!=))")
_FIELD = re.compile(r"\{([^{}]+)\}")


@cache
def assemble(role: Role) -> str:
    """Return the program of ``role``: it begins with ``#!`` and ends with a newline."""
    lines = [line for module in ROLE_MODULES[role] for line in _module(module)]
    imports = dict.fromkeys(line for line in lines if _IMPORT.match(line))
    code = [line for line in lines if line not in imports]
    short = _short_names(code)
    return "\n".join([_HEAD, *imports, *(_renamed(line, short) for line in code), ""])


@cache
def _module(name: str) -> tuple[str, ...]:
    return tuple(_joined(map(_tight, _stripped(resources.runner_source(name)))))


def _stripped(source: str) -> Iterator[str]:
    """Yield the lines without comments, docstrings, annotations and own imports, one blank for each level."""
    in_docstring = False
    for line in source.splitlines():
        text = line.lstrip(" ")
        if _DOCSTRING in text:
            in_docstring ^= text.count(_DOCSTRING) == 1
        elif text and not in_docstring and not _DROPPED.match(text):
            if _DEFINITION.match(line):
                text = _ANNOTATION.sub("", text)
            yield " " * ((len(line) - len(line.lstrip(" "))) // 4) + _VARIABLE_ANNOTATION.sub(r"\1 = ", text)


def _tight(line: str) -> str:
    """Return the line without blanks around operators and brackets; strings are left alone."""
    code = line.lstrip(" ")
    parts = _STRING.split(code)
    parts[::2] = [_BLANKS.sub(r"\1", part) for part in parts[::2]]
    return line[: len(line) - len(code)] + "".join(parts)


def _joined(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines; those inside of brackets as one."""
    pending = ""
    depth = 0
    for line in lines:
        code = _STRING.sub("", line)
        depth += sum(map(code.count, "([{")) - sum(map(code.count, ")]}"))
        pending += line.lstrip(" ") if pending else line
        if depth == 0:
            yield pending
            pending = ""


def _short_names(lines: list[str]) -> dict[str, str]:
    """Return a name of one or two letters for each that the runner defines, the most used first.

    Steps and checks keep theirs: functions of the run alone, whose names are in the state and in reports.
    """
    defined: set[str] = set()
    kept: set[str] = set()
    uses: Counter[str] = Counter()
    for line in lines:
        code = _STRING.sub("", line)
        definition = _PARAMETERS.match(code)
        if definition:
            name, parameters = definition.groups()
            (kept if parameters == "run" or name.startswith("__") else defined).add(name)
            defined.update(_WORD.findall(re.sub("=[^,]*", "", parameters)))
        elif targets := _TARGETS.match(code):
            defined.update(_WORD.findall(targets[1]))
        for names in (*_LOOP_VARIABLES.findall(code), *_AS.findall(code)):
            defined.update(_WORD.findall(names))
        uses.update(_WORD.findall(line))
    letters = string.ascii_lowercase + string.ascii_uppercase
    free = (name for name in (*letters, *map("".join, product(letters, letters))) if name not in uses)
    return dict(zip(sorted(defined - kept, key=lambda name: (-uses[name], name)), free, strict=False))


def _renamed(line: str, short: dict[str, str]) -> str:
    """Return the line with short names, also in the fields of f-strings; a keyword of a call keeps its name."""
    if _PARAMETERS.match(line):
        return _replaced(line, _ANY_NAME, short)
    targets = _TARGETS.match(line)
    end = targets.end(1) if targets else 0
    return _replaced(line[:end], _ANY_NAME, short) + _replaced(line[end:], _NO_KEYWORD, short)


def _replaced(code: str, pattern: re.Pattern[str], short: dict[str, str]) -> str:
    parts = _STRING.split(code)
    for index, part in enumerate(parts):
        if index % 2 == 0:
            parts[index] = pattern.sub(lambda name: short.get(name[0], name[0]), part)
        elif re.search(r"\bf$", parts[index - 1]):
            parts[index] = _FIELD.sub(lambda field: "{" + _replaced(field[1], pattern, short) + "}", part)
    return "".join(parts)
