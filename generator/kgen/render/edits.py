"""How one JSON value becomes another: the shortest list of edits that a few lines of Python can make.

An edit is ``[path, value]`` (this stands at ``path`` now), ``[path]`` (nothing stands there any more) or ``[path,
start, end, part]`` (this part of the text or list there is another one). They are made in order. Those of a list come
from its end to its beginning, so that indexes count as in the value before.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import accumulate
from typing import Any

from kgen.render.payload_json import canonical

Edit = list[Any]
Path = tuple[str | int, ...]


def edits(old: Any, new: Any, path: Path = ()) -> list[Edit]:
    """Return the edits that make ``new`` of ``old``, both JSON values; one for all of it where that is shorter."""
    if canonical(old) == canonical(new):  # unlike 1 and true
        return []
    whole: list[Edit] = [[list(path), new]]
    found = whole
    match old, new:
        case dict(), dict():
            found = list(_of_objects(old, new, path))
        case list(), list():
            found = list(_of_lists(old, new, path))
        case str(), str():
            found = list(_of_texts(old, new, path))
    return found if not path or len(canonical(found)) < len(canonical(whole)) else whole


def _of_objects(old: dict[str, Any], new: dict[str, Any], path: Path) -> Iterator[Edit]:
    for key in sorted(old.keys() | new.keys()):
        if key not in new:
            yield [[*path, key]]
        elif key not in old:
            yield [[*path, key], new[key]]
        else:
            yield from edits(old[key], new[key], (*path, key))


def _of_lists(old: list[Any], new: list[Any], path: Path) -> Iterator[Edit]:
    names = [_name(item) for item in old], [_name(item) for item in new]
    if len(old) == len(new):  # one for one: what has another name is edited like the rest
        names = names[0], names[0]
    for tag, start, end, first, last in reversed(SequenceMatcher(None, *names, autojunk=False).get_opcodes()):
        if tag == "equal":
            for index in reversed(range(start, end)):
                yield from edits(old[index], new[first + index - start], (*path, index))
        else:
            yield [list(path), start, end, new[first:last]]


def _name(item: Any) -> str:
    """Return what a file or an API object of a payload is known by; of anything else, all of it."""
    match item:
        case [str(collection), {"metadata": {"name": name}}, *_]:
            return f"{collection}/{name}"
        case [str(name), int(), str(), _]:
            return name
    return canonical(item)


def _of_texts(old: str, new: str, path: Path) -> Iterator[Edit]:
    lines = old.splitlines(keepends=True), new.splitlines(keepends=True)
    offsets = [0, *accumulate(map(len, lines[0]))]
    for tag, start, end, first, last in reversed(SequenceMatcher(None, *lines, autojunk=False).get_opcodes()):
        if tag != "equal":
            was, part = "".join(lines[0][start:end]), "".join(lines[1][first:last])
            head = _common(was, part)
            tail = _common(was[head:][::-1], part[head:][::-1])
            yield [list(path), offsets[start] + head, offsets[end] - tail, part[head : len(part) - tail]]


def _common(left: str, right: str) -> int:
    """Return how many characters both begin with."""
    return next(
        (index for index, pair in enumerate(zip(left, right, strict=False)) if pair[0] != pair[1]),
        min(len(left), len(right)),
    )
