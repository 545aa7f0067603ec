"""Python source → the same program in fewer bytes, made so that gzip sees the same text again and again.

Line by line, which the rules for the runner's sources allow (docs/reference/runner.md): the result is the same under
every Python that renders, as that of ``ast.unparse`` is not.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain, product

_DOCSTRING = '"""'
_STRING = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""")
_PREFIX = re.compile(r"(?:(?<!\w)[bfr]{1,2})?$")
_SHORT_OCTAL = re.compile(r"\\[0-7]{1,2}.$")
_DROPPED = re.compile(r"#|from \.|from typing import ")
_DEFINITION = re.compile(r" *def .*:$")
_ANNOTATION = re.compile(r": [A-Za-z]+(?=[,)]| = )| -> .*(?=:$)")
_VARIABLE_ANNOTATION = re.compile(r"^( *[\w.]+): [A-Za-z]+ = ")
_BLANKS = re.compile(r" ?([=+<>!|*/%&:,{}()\[\]-]+) ?")

_GLOBAL = re.compile(r"(?:def |class )?(\w+)")
_PARAMETERS = re.compile(r" *def (\w+)\((.*)\):$")
_TARGETS = re.compile(r" *((?:(?:[\w,*]|\([\w,*()]+\))+=(?!=))+)")
_OTHER_BINDINGS = re.compile(r"\bfor ([\w,*()]+?) ?in\b|\bas (\w+)|\blambda ([\w,]+):|(\w+):=")
_OWN_ATTRIBUTE = re.compile(r"self\.(\w+)=(?!=)")
_WORD = re.compile(r"\w+")
_ANY_NAME = re.compile(r"(?<![.\w])(?:(?:self|run)\.)?[A-Za-z_]\w*")
_NO_KEYWORD = re.compile(r"(?<![.\w])(?:(?:self|run)\.\w+|[A-Za-z_]\w*(?!\w|=(?!=)))")
_FIELD = re.compile(r"\{([^{}]+)\}")
_HEADER = re.compile(r" *(?:@|(?:def|class|if|elif|else|for|while|try|except|finally|with)\b.*:$)")

Names = dict[str, str]


@cache
def statements(source: str) -> tuple[str, ...]:
    """Return the statements of a module, one a line and one blank a level, without what only readers need.

    That is: comments, docstrings, annotations, imports of the runner's own modules, blanks around operators, and the
    seams of strings.
    """
    return tuple(map(_seamless, _joined(map(_tight, _stripped(source)))))


def shortened(lines: Sequence[str]) -> Iterator[str]:
    """Yield the program's lines (no imports among them) with short names, and short suites beside their headers.

    What the program defines gets capitals, what a function or class binds gets small letters anew in each, both in the
    order in which they appear: alike functions become alike text. Functions of one parameter ``run`` keep their names.
    """
    blocks = list(_blocks(lines))
    shared = _globals(blocks) | _attributes(lines)
    return _folded([_renamed(line, names) for block in blocks for names in [shared | _locals(block)] for line in block])


def _stripped(source: str) -> Iterator[str]:
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
        if code.lstrip(" ").startswith((")", "]", "}")):
            pending = pending.removesuffix(",")  # a tuple of one element stands on one line
        text = line.lstrip(" ") if pending else line
        pending += " " + text if _WORD.match(text) and _WORD.match(pending[-1:]) else text
        if depth == 0:
            yield pending
            pending = ""


def _seamless(line: str) -> str:
    """Return the line with string literals of one kind that stand side by side as one."""
    code, *rest = _STRING.split(line)
    found = [code]
    kind = None
    for literal, code in zip(rest[::2], rest[1::2], strict=True):
        last = _PREFIX.search(found[-1])
        prefix = last[0] if last else ""
        beside = found[-1].strip() == prefix and kind == prefix + literal[0]
        if beside and not (_SHORT_OCTAL.search(found[-2]) and literal[1].isdigit()):
            found[-2:] = [found[-2][:-1] + literal[1:], code]
        else:
            found += [literal, code]
            kind = prefix + literal[0]
    return "".join(found)


def _blocks(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield each statement of the module with the lines indented below it."""
    block: list[str] = []
    for line in lines:
        if block and not line.startswith(" ") and not block[-1].startswith("@"):
            yield block
            block = []
        block.append(line)
    yield block


def _globals(blocks: Iterable[list[str]]) -> Names:
    """Return names of capitals for functions, classes and constants, but for steps and checks.

    Those are functions of the run alone, and their names are in the state and in reports.
    """
    found: dict[str, None] = {}
    for block in blocks:
        line = next(line for line in block if not line.startswith("@"))
        parameters = _PARAMETERS.match(line)
        is_definition = parameters or line.startswith("class ") or _TARGETS.match(line)
        if is_definition and not (parameters and parameters[2] == "run"):
            found[_GLOBAL.match(line)[1]] = None  # type: ignore[index]
    return dict(zip(found, _letters(string.ascii_uppercase), strict=False))


def _attributes(lines: Iterable[str]) -> Names:
    """Return small letters for the attributes that classes of the program set, by ``self.<name>``, ``run.<name>``."""
    found = dict.fromkeys(name for line in lines for name in _OWN_ATTRIBUTE.findall(_STRING.sub("", line)))
    pairs = zip(found, _letters(string.ascii_lowercase), strict=False)
    return {f"{owner}.{name}": short for name, short in pairs for owner in ("self", "run")}


def _locals(block: list[str]) -> Names:
    """Return small letters for what a function or class binds: parameters, variables, functions inside."""
    if not block[-1].startswith(" "):
        return {}
    bound: set[str] = set()
    for line in block:
        code = _STRING.sub("", line)
        if definition := _PARAMETERS.match(code):
            name, parameters = definition.groups()
            if line.startswith(" ") and not name.startswith("__"):
                bound.add(name)
            bound.update(_WORD.findall(re.sub("=[^,]*", "", parameters)))
        elif targets := _TARGETS.match(code):
            bound.update(_WORD.findall(targets[1]))
        for groups in _OTHER_BINDINGS.findall(code):
            bound.update(chain.from_iterable(map(_WORD.findall, groups)))
    order = dict.fromkeys(word for line in block for word in _WORD.findall(line) if word in bound)
    return dict(zip(order, _letters(string.ascii_lowercase), strict=False))


def _letters(alphabet: str) -> Iterator[str]:
    pairs = map("".join, product(alphabet, alphabet))
    return chain(alphabet, (pair for pair in pairs if pair not in ("as", "if", "in", "is", "or", "os", "re")))


def _renamed(line: str, names: Names) -> str:
    """Return the line with short names, also in the fields of f-strings; a keyword of a call keeps its name."""
    if _PARAMETERS.match(line):
        return _replaced(line, _ANY_NAME, names)
    targets = _TARGETS.match(line)
    end = targets.end(1) if targets else 0
    return _replaced(line[:end], _ANY_NAME, names) + _replaced(line[end:], _NO_KEYWORD, names)


def _replaced(code: str, pattern: re.Pattern[str], names: Names) -> str:
    def short(found: re.Match[str]) -> str:
        owner, dot, name = found[0].rpartition(".")
        return names.get(owner, owner) + dot + names.get(found[0], name)

    parts = _STRING.split(code)
    for index, part in enumerate(parts):
        if index % 2 == 0:
            parts[index] = pattern.sub(short, part)
        elif parts[index - 1].endswith("f") and re.search(r"\bf$", parts[index - 1]):
            parts[index] = _FIELD.sub(lambda field: "{" + _replaced(field[1], pattern, names) + "}", part)
    return "".join(parts)


def _folded(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines; simple statements of one suite as one, and a suite of nothing else beside its header."""
    suites: list[str] = []
    for line in lines:
        is_simple = line.startswith(" ") and not _HEADER.match(line) and not _HEADER.match(suites[-1])
        if is_simple and _level(line) == _level(suites[-1]):
            suites[-1] += ";" + line.lstrip(" ")
        else:
            suites.append(line)
    ends = [*suites[1:], "", ""]
    at = 0
    while at < len(suites):
        line, suite, after = suites[at], ends[at], ends[at + 1]
        is_short = line.endswith(":") and _level(line) < _level(suite) > _level(after) and not _HEADER.match(suite)
        yield line + suite.lstrip(" ") if is_short else line
        at += 2 if is_short else 1


def _level(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
