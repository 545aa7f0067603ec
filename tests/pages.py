"""The code blocks of a documentation page, and a reader who runs the page's kgen commands in order."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CLUSTER_FILE = "apiVersion: kgen/v1"
NEEDS_MACHINES = ("wait", "status", "lab")
"""Verbs that need the cluster, or machines."""

_BLOCK = re.compile(
    r"^```(?P<language>\w*)\n(?P<fenced>.*?)^```$|(?P<indented>(?:^ {4}[^\n]*\n|^\n(?= {4}))+)", re.M | re.S
)


@dataclass(frozen=True)
class Block:
    """A code block; ``language`` is empty for an indented one."""

    language: str
    text: str


def page(name: str) -> str:
    """Return the text of a page of docs/how-to."""
    return (ROOT / "docs/how-to" / name).read_text(encoding="utf-8")


def blocks(text: str) -> list[Block]:
    """Return the code blocks of a page, fenced or indented by four, in order."""
    found = []
    for match in _BLOCK.finditer(text):
        indented = match["indented"]
        body = match["fenced"] if indented is None else re.sub("^ {4}", "", indented, flags=re.M)
        found.append(Block(match["language"] or "", body))
    return found


def commands(block: Block) -> Iterator[list[str]]:
    """Yield the words of each command of a block of shell; nothing for a block of another language."""
    if block.language in ("", "sh") and CLUSTER_FILE not in block.text:
        for line in block.text.replace("\\\n", " ").split("\n"):
            if words := shlex.split(line, comments=True):
                yield words


def cluster_file(text: str) -> str:
    """Return the page's only cluster file."""
    (found,) = (block.text for block in blocks(text) if CLUSTER_FILE in block.text)
    return found


def cluster_file_name(text: str) -> str:
    """Return the name that the page's first kgen command gives to the cluster file."""
    words = (word for block in blocks(text) for words in commands(block) if words[0] == "kgen" for word in words)
    return next(word for word in words if word.endswith(".yaml"))


def follow(text: str, kgen: Callable[..., Any], *, has_output: bool = True) -> list[str]:
    """Run the page's kgen commands in order and return their verbs, except of those that need machines.

    The cluster file must be there. With ``has_output``, the block after each ``kgen attach`` must be what it prints
    below its comment.
    """
    ran = []
    for block, after in pairwise([*blocks(text), Block("", "")]):
        for words in commands(block):
            if words[0] != "kgen" or words[1] in NEEDS_MACHINES:
                continue
            ended = kgen(*words[1:])
            assert ended.code == 0, (words, ended.err)
            if words[1] == "attach" and has_output:
                assert after.text == without_comments(ended.out), words
            ran.append(words[1])
    return ran


def without_comments(text: str) -> str:
    """Return a command or snippet without the lines that begin with ``#``."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))


def verbs(text: str) -> Collection[str]:
    """Return every verb of kgen that the page's blocks and prose name with a cluster file."""
    return set(re.findall(rf"kgen ([a-z]+)(?: [a-z]+)? {re.escape(cluster_file_name(text))}", text))
