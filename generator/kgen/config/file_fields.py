"""``files:`` and ``staticPods:``, of the cluster and of its machines and pools."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from kgen.config import values
from kgen.config.shapes import ROLE
from kgen.reader.kinds import Invalid, Text
from kgen.reader.objects import Field, Foreign, ListOf, Object
from kgen.reader.report import shown

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LONGEST_NAME = 250  # bytes; file systems allow 255, and the first-boot program puts a dot before a temporary name
_OWNER = re.compile(r"(?:[a-z_][a-z0-9_-]{0,31}|[0-9]{1,10})(?::(?:[a-z_][a-z0-9_-]{0,31}|[0-9]{1,10}))?")


def path(text: str) -> PurePosixPath:
    """Return the absolute path of a file on a machine."""
    parts = text.split("/")
    if not text.startswith("/"):
        raise Invalid("K214", f"{shown(text)} is not an absolute path", "start it with /")
    if _CONTROL.search(text) or {"", ".", ".."} & set(parts[1:]):
        hint = "write a plain path like /etc/example/file.conf: no `..`, `//`, control characters, no slash at the end"
        raise Invalid("K214", f"{shown(text)} is not the path of a file", hint)
    if len(text.encode()) > 4000 or any(len(part.encode()) > _LONGEST_NAME for part in parts):
        raise Invalid("K214", f"{shown(text)} is too long", f"a name has at most {_LONGEST_NAME} bytes")
    return PurePosixPath(text)


def mode(text: str) -> int:
    """Return the permissions that an octal text says."""
    if re.fullmatch("0?[0-7]{3}", text):
        return int(text, 8)
    raise Invalid("K250", f"{shown(text)} is not a file's mode", 'write it as chmod takes it: "0644"')


def owner(text: str) -> str:
    """Return ``user``, ``user:group``, or the same in numbers."""
    if _OWNER.fullmatch(text):
        return text
    raise Invalid("K251", f"{shown(text)} is not an owner", 'write user, user:group or "1000:1000"')


_CONTENT = (
    Field("content", Text(), "the text"),
    Field("source", Text(values.file_path, "a path"), "a file of UTF-8 text, relative to this file"),
)
_FILE = (
    Field("path", Text(path, "an absolute path", pattern="^/"), "where it is on the machine", is_required=True),
    *_CONTENT,
    Field("mode", Text(mode, "a mode"), "its permissions", default_note='"0600" below /etc/kubernetes, else "0644"'),
    Field("owner", Text(owner, "user or user:group"), "its owner", default="root:root"),
)
_SPELLINGS = {
    "permissions": Foreign("use `mode:`"),
    "encoding": Foreign("remove it: give the text itself, or `source:` with a file"),
    "append": Foreign("remove it: give the whole file", "is not supported"),
    "defer": Foreign("remove it: files are written when users exist", "is not needed"),
}
_BY_ROLE = Field("role", ROLE, "only for machines of this role", default_note="both")
_FILE_EXAMPLE = 'write {path: /etc/example.conf, content: "…"}, or {path: …, source: example.conf}'
_POD_EXAMPLE = "write {source: kube-vip.yaml}"
_NO_PATH = {"path": Foreign("remove it: the file is named after the pod", "comes from another field")}

FILES = ListOf(Object(_FILE, example=_FILE_EXAMPLE, foreign=_SPELLINGS), "a list of files")
FILES_BY_ROLE = ListOf(Object((*_FILE, _BY_ROLE), example=_FILE_EXAMPLE, foreign=_SPELLINGS), "a list of files")
STATIC_PODS = ListOf(Object(_CONTENT, example=_POD_EXAMPLE, foreign=_NO_PATH), "a list of static pods")
STATIC_PODS_BY_ROLE = ListOf(
    Object((*_CONTENT, _BY_ROLE), example=_POD_EXAMPLE, foreign=_NO_PATH), "a list of static pods"
)
