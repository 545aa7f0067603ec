"""The one Jinja environment, and the one way to dump an object as YAML: no input can inject structure.

A template shows the shape of a file; every value in it is emitted as a JSON scalar (or list, or object), which is
YAML too. Values that are long texts may be emitted as literal blocks, and key material as places in a Content.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass, field
from typing import Any

import jinja2
import yaml

from kgen import resources
from kgen.payload import Content, Pem, PemBase64, StoredToken

_BLOCK_STEP = 2  # columns between a key and the lines of its literal block
_UNSAFE_IN_BLOCK = re.compile(
    "[^\\t\\n -~\\xa0-\\u2027\\u202a-\\ud7ff\\ue000-\\ufefe\\uff00-\\ufffd\\U00010000-\\U0010ffff]"
)
_UNSAFE_IN_SCALAR = re.compile("[\\x7f-\\x9f\\u2028\\u2029\\ufeff\\ufffe\\uffff]")
_PLACE = re.compile("\0(pem|b64|ssm):([^\0]*)\0")
_PLACES: dict[str, type[Pem | PemBase64 | StoredToken]] = {"pem": Pem, "b64": PemBase64, "ssm": StoredToken}

# Strings that Go's YAML 1.1 reads as another type, in addition to those that PyYAML knows.
_AMBIGUOUS_IN_GO = re.compile(r"[yYnN]|[-+]?(\.\d+|\d[\d_]*(\.\d*)?)[eE][-+]?\d+|0[oO][0-7_]+")


@dataclass(frozen=True, slots=True)
class Block:
    """A text that is emitted as a YAML literal block.

    ``indent`` is the column its lines stand in: two to the right of the key that the block is the value of.
    A text with characters that a literal block cannot hold is emitted as a JSON scalar instead.
    """

    text: str = field(repr=False)
    indent: int

    def __str__(self) -> str:
        """Return the header of the block and its lines, without the line break after the last one."""
        if not self.text.strip("\n") or _UNSAFE_IN_BLOCK.search(self.text):
            return scalar(self.text)
        lines = self.text.split("\n")
        chomping = "-" if lines[-1] else "+" if not lines[-2] else ""
        if not lines[-1]:
            lines.pop()
        margin = " " * self.indent
        return f"|{_BLOCK_STEP}{chomping}\n" + "\n".join(margin + line if line else "" for line in lines)


def scalar(value: object) -> str:
    """Return ``value`` as JSON that every YAML parser reads as the same value.

    Raises:
        ValueError: a float that JSON does not have.
        TypeError: something that is not data.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _UNSAFE_IN_SCALAR.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _finalize(value: object) -> str:
    if isinstance(value, Block):
        return str(value)
    if isinstance(value, Pem):
        return f"\0pem:{value.blob}\0"
    if isinstance(value, PemBase64):
        return f"\0b64:{value.blob}\0"
    if isinstance(value, StoredToken):
        return f"\0ssm:{value.parameter}\0"
    if isinstance(value, jinja2.Undefined):
        return str(value)  # raises: the environment is strict
    return scalar(value)


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (resources.template_text(name), None, None)),
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        autoescape=False,  # noqa: S701 the output is YAML; finalize quotes every value
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )


def render(name: str, /, **context: object) -> str:
    """Return the text of the template ``name``, a path below the templates' root; it is not parsed back."""
    return _environment().get_template(name).render(**context)


def render_yaml(name: str, /, **context: object) -> tuple[Any, ...]:
    """Return the documents of the rendered template as objects.

    Raises:
        yaml.YAMLError: the template does not make YAML.
    """
    return tuple(yaml.load_all(render(name, **context), Loader=yaml.CSafeLoader))


def render_text(name: str, /, **context: object) -> str:
    """Return the text of the template ``name``, parsed back once.

    Raises:
        yaml.YAMLError: the template does not make YAML.
    """
    text = render(name, **context)
    check_yaml(text)
    return text


def render_content(name: str, /, **context: object) -> Content:
    """Return the text of the template ``name`` with a place for each piece of a Content in ``context``.

    Raises:
        yaml.YAMLError: the template does not make YAML.
    """
    text = render(name, **context)
    check_yaml(_PLACE.sub("pem", text))
    literal, *rest = _PLACE.split(text)
    pieces: list[str | Pem | PemBase64 | StoredToken] = [literal]
    for form, name_of_piece, after in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        pieces += [_PLACES[form](name_of_piece), after]
    return tuple(piece for piece in pieces if piece != "")


def check_yaml(text: str | bytes) -> None:
    """Parse every document of ``text``.

    Raises:
        yaml.YAMLError: it is not YAML, or holds a tag that is not plain data.
    """
    for _ in yaml.load_all(text, Loader=yaml.CSafeLoader):
        pass


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    tag = "tag:yaml.org,2002:str"
    style = None
    if "\n" in text:
        style = "|"
    elif dumper.resolve(yaml.ScalarNode, text, (True, False)) != tag or _AMBIGUOUS_IN_GO.fullmatch(text):  # type: ignore[no-untyped-call]
        style = '"'
    return yaml.ScalarNode(tag, text, style=style)


_Dumper.add_representer(str, _represent_text)


def to_yaml(value: object, *, sort_keys: bool = True) -> str:
    """Return ``value`` as block-style YAML, keys sorted as kubeadm sorts those of its objects.

    kubeadm's own defaults give kubeadm's bytes, which the hash of a component configuration needs.
    """
    style: dict[str, Any] = {"default_flow_style": False, "allow_unicode": True, "width": 1 << 30}
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=sort_keys, **style))
