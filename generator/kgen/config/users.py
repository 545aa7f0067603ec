"""``users:`` and ``ntp:``, spelled as cloud-init spells them, so that they pass through.

Keys: https://docs.cloud-init.io/en/latest/reference/modules.html (Users and Groups, NTP).
"""

from __future__ import annotations

import re

from kgen.config import values
from kgen.reader.kinds import Boolean, Choice, Integer, Invalid, Text
from kgen.reader.objects import ByShape, Field, Foreign, ListOf, MapOf, Object
from kgen.reader.report import shown

_TEXT = Text()
_BOOLEAN = Boolean()
_TEXTS = ListOf(_TEXT)
_LOGIN = re.compile(r"[a-z_][a-z0-9_-]{0,30}\$?")


def login(text: str) -> str:
    """Return a login name that ``useradd`` of every distribution takes."""
    if _LOGIN.fullmatch(text):
        return text
    hint = "use lower-case letters, digits, - and _, a letter first, at most 31 of them"
    raise Invalid("K228", f"{shown(text)} is not a login name", hint)


def _only_default(text: str) -> dict[str, str]:
    if text == "default":
        return {"name": "default"}
    raise Invalid("K103", f"must be a mapping or the word default, not {shown(text)}", "write {name: …}")


_HYPHEN = Foreign("spell it with underscores")
_FIELDS = (
    Field("name", Text(login, "a login name"), "the login name", is_required=True),
    Field("gecos", _TEXT, "full name and comment"),
    Field("homedir", Text(values.absolute_path, "an absolute path", is_unambiguous=True), "the home directory"),
    Field("primary_group", _TEXT, "the primary group"),
    Field("groups", ByShape("a text or a list", _TEXT, _TEXTS), "more groups"),
    Field("selinux_user", _TEXT, "the SELinux user"),
    Field("lock_passwd", _BOOLEAN, "forbid logging in with a password; cloud-init's default is true"),
    Field("inactive", _TEXT, "days after which the account is disabled"),
    Field("expiredate", _TEXT, "day on which the account ends"),
    Field("passwd", Text(values.password_hash, "a hash", is_secret=True), "crypt hash of the password of a new user"),
    Field(
        "hashed_passwd", Text(values.password_hash, "a hash", is_secret=True), "the same, also for a user that exists"
    ),
    Field("plain_text_passwd", Text(values.one_line, is_secret=True), "the password; documents get a hash of it"),
    Field("no_create_home", _BOOLEAN, "make no home directory"),
    Field("create_groups", _BOOLEAN, "make the groups"),
    Field("no_user_group", _BOOLEAN, "make no group of the user's name"),
    Field("no_log_init", _BOOLEAN, "do not touch lastlog"),
    Field("ssh_authorized_keys", _TEXTS, "public keys"),
    Field("ssh_import_id", _TEXTS, "where public keys are imported from"),
    Field("ssh_redirect_user", _BOOLEAN, "point to the default user"),
    Field("system", _BOOLEAN, "a system user"),
    Field("snapuser", _TEXT, "email of the Snappy user"),
    Field("sudo", ByShape("a text or a list", _TEXT, _TEXTS), "sudo rules"),
    Field("doas", _TEXTS, "doas rules"),
    Field("shell", Text(values.absolute_path, "an absolute path", is_unambiguous=True), "the login shell"),
    Field("uid", Integer(0, 2**32 - 2), "the user's number"),
)
USER = ByShape(
    "a user",
    scalar=Text(_only_default, "the word default or a mapping"),
    mapping=Object(
        _FIELDS,
        foreign={key.replace("_", "-"): _HYPHEN for key in (row.key for row in _FIELDS) if "_" in key},
        is_plain=True,
    ),
)

NTP = Object(
    (
        Field("enabled", _BOOLEAN, "set up time synchronisation"),
        Field("servers", ListOf(Text(is_unambiguous=True)), "time servers"),
        Field("pools", ListOf(Text(is_unambiguous=True)), "pools of time servers"),
        Field("peers", ListOf(Text(is_unambiguous=True)), "peers"),
        Field("allow", ListOf(Text(is_unambiguous=True)), "networks that may ask this machine"),
        Field(
            "ntp_client",
            Choice(("auto", "chrony", "ntp", "ntpdate", "openntpd", "systemd-timesyncd")),
            "the program that keeps the time",
        ),
        Field(
            "config", MapOf(ByShape("a text or a list", _TEXT, _TEXTS)), "paths, packages and template of the program"
        ),
    ),
    is_plain=True,
)
