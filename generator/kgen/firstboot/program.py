"""The first-boot program of a role: the modules of ``kgen/runner`` that it needs, in one file."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from kgen import resources
from kgen.conditions import has_intermediate_ca, has_local_etcd
from kgen.content import node_labels
from kgen.model import Cluster, Role
from kgen.payload import FORMAT_WITH_STORED_TOKEN, Payload

MODULES: dict[Role, tuple[str, ...]] = {
    "master": (
        "base",
        "files",
        "api",
        "payload",
        "findings",
        "cri",
        "preflight",
        "preflight_master",
        "machine",
        "guard",
        "logs",
        "publish",
        "loop",
        "master",
    ),
    "node": ("base", "files", "api", "payload", "findings", "cri", "preflight", "machine", "loop", "node"),
}
"""The modules of each role's program. Each module comes after those it imports; the last one has the table of steps."""


@dataclass(frozen=True, slots=True)
class Extra:
    """A module that only some machines need in their programs. Images always have it."""

    when: Callable[[Cluster, Payload], bool]
    """Return whether a machine of the cluster needs it."""
    before: tuple[str, ...] = ()
    """The modules that it imports and no other one does."""
    roles: tuple[Role, ...] = ("master",)
    """The roles whose programs may have it."""
    verb: str = ""
    """The entry of its function in the table of verbs at the end."""
    check: str = ""
    """Its function in CHECKS."""
    first: str = ""
    """Its step in place of the first one, which reads the payload."""
    step: str = ""
    """Its step before preflight, whose checks look at the files that the step has completed."""
    payload_format: int = 0
    """The format of payloads that only programs with the module take."""


EXTRAS: Mapping[str, Extra] = {
    "labels": Extra(lambda cluster, _: bool(node_labels.of_nodes(cluster)), verb='"--labels": label'),
    "external_etcd": Extra(lambda cluster, _: not has_local_etcd(cluster), check="external_etcd"),
    "trust": Extra(lambda cluster, _: has_intermediate_ca(cluster), roles=("master", "node")),
    "metadata_fence": Extra(
        lambda cluster, _: cluster.metadata_fence, roles=("master", "node"), check="metadata_fence"
    ),
    "unseal": Extra(lambda cluster, _: cluster.seals, roles=("master", "node"), first="unseal"),
    "stored_token": Extra(
        lambda _, payload: payload.has_stored_token,
        before=("aws", "aws_call"),
        roles=("node",),
        step="token",
        payload_format=FORMAT_WITH_STORED_TOKEN,
    ),
    "own_values": Extra(lambda _, payload: payload.has_own_values, roles=("master", "node"), step="own_values"),
}
"""By the module's name."""

APPLY_MODULES = (
    *("base", "files", "api", "payload", "own_values", "machine", "logs", "publish", "copies", "restart", "trust"),
    "apply",
)
"""The modules of the program that ``kgen apply`` runs on a machine."""

_HEAD = '''#!/usr/bin/env python3
"""The first-boot program of kgen: it makes this machine a {role} of a Kubernetes cluster. STEPS says how."""
'''


_END = """

{formats}{checks}{table}sys.exit(main(sys.argv[1:], {steps}, {{{verbs}}}))
"""
_NOTE = "# Fill in what only this machine knows before preflight looks at the files.\n"


def extras(cluster: Cluster, payload: Payload) -> tuple[str, ...]:
    """Return the extra modules that the machine of ``payload`` needs."""
    return tuple(name for name, extra in EXTRAS.items() if extra.when(cluster, payload))


@cache
def program(role: Role, *, with_comments: bool, extras: tuple[str, ...] = tuple(EXTRAS)) -> str:
    """Return the program of ``role`` as Python source, with those of these extra modules that are for the role.

    Without comments, the program has no docstrings, no annotations of functions, and only the comments that stand in a
    table.
    """
    names = [name for name in extras if role in EXTRAS[name].roles]
    rows = [EXTRAS[name] for name in names]
    verbs = ", ".join(['"--status": status', *(row.verb for row in rows if row.verb)])
    found = [row.check for row in rows if row.check]
    checks = ", ".join(found) + ("," if len(found) == 1 else "")
    steps = "".join(f"({row.step}, EVERY_RUN), " for row in rows if row.step)
    first = "".join(f"({row.first}, EVERY_RUN), *STEPS[1:3], " for row in rows if row.first)
    note = _NOTE if steps else ""
    table = f"{note}ALL_STEPS = ({first or '*STEPS[:3], '}{steps}*STEPS[3:])\n\n" if first or steps else ""
    formats = "".join(f"FORMATS += ({row.payload_format},)\n\n" for row in rows if row.payload_format)
    modules = (
        *MODULES[role],
        *(module for name, row in zip(names, rows, strict=True) for module in (*row.before, name)),
    )
    end = _END.format(
        formats=formats,
        verbs=verbs,
        table=table,
        steps="ALL_STEPS" if table else "STEPS",
        checks=f"CHECKS += ({checks})\n\n" if checks else "",
    )
    return _HEAD.format(role=role) + joined(modules, with_comments=with_comments) + end


@cache
def apply_program() -> str:
    """Return the program of ``kgen apply`` as Python source, with its comments."""
    return joined(APPLY_MODULES, with_comments=True)


def joined(modules: Iterable[str], *, with_comments: bool) -> str:
    """Return the modules one below the other, and above them every import of the standard library."""
    imports = {"import sys"}
    parts = []
    for name in modules:
        found, code = _module(name, with_comments=with_comments)
        imports.update(found)
        parts.append(code)
    return "\n" + "\n".join(sorted(imports)) + "\n\n\n" + "\n\n".join(parts)


@cache
def _module(name: str, *, with_comments: bool) -> tuple[list[str], str]:
    """Return what a module imports from the standard library, and its code, below its docstring as a comment."""
    source = resources.runner_source(name)
    if not with_comments:
        return _split(without_comments(source))
    imports, code = _split(source)
    doc = (ast.get_docstring(ast.parse(source)) or "").splitlines()
    heading = "\n".join(f"# {line}".rstrip() for line in doc)
    return imports, f"# ---- {name} ----\n{heading}\n\n\n{code}"


def _split(source: str) -> tuple[list[str], str]:
    """Return the imports of the standard library that the code uses, one name each, and the code below the imports."""
    lines = source.splitlines(keepends=True)
    imports = []
    end = 0
    tree = ast.parse(source)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for statement in tree.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            end = statement.end_lineno or 0
        if isinstance(statement, ast.Import):
            imports.append(ast.unparse(statement))
        elif isinstance(statement, ast.ImportFrom) and not statement.level:
            imports += [f"from {statement.module} import {each.name}" for each in statement.names if each.name in used]
        elif isinstance(statement, ast.Expr) and end == 0:  # the docstring of the module
            end = statement.end_lineno or 0
    return imports, "".join(lines[end:]).strip("\n") + "\n"


def without_comments(source: str) -> str:
    """Return the source without docstrings, comments and the functions' annotations.

    The comments inside a table of the module stay.
    """
    lines = source.splitlines()
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    dropped: set[int] = set()
    cut: set[tuple[int, int, int]] = set()
    headers: set[int] = set()
    for node in nodes:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            text = node.body[0]
            dropped.update(range(text.lineno, (text.end_lineno or 0) + 1))
            if len(node.body) == 1 and not isinstance(node, ast.Module):
                lines[text.lineno - 1] = " " * text.col_offset + "pass"
                dropped.remove(text.lineno)
        if isinstance(node, ast.FunctionDef):
            cut.update(_annotations(node))
            headers.update(range(node.lineno, node.body[0].lineno))
    for row, start, end in sorted(cut, reverse=True):
        rest = lines[row - 1][end:]
        # Without an annotation a parameter's default follows "=" without blanks.
        is_default = rest.startswith(" = ") and row in headers
        lines[row - 1] = lines[row - 1][:start] + ("=" + rest[3:] if is_default else rest)
    tables = [node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)]
    kept_rows = {row for table in tables for row in range(table.lineno, (table.end_lineno or 0) + 1)}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        row = token.start[0]
        if token.type == tokenize.COMMENT and row not in kept_rows:
            lines[row - 1] = lines[row - 1][: lines[row - 1].rindex(token.string)].rstrip()
            if not lines[row - 1]:
                dropped.add(row)
    kept: list[str] = []
    for row, line in enumerate(lines, start=1):
        is_first_of_block = not line and bool(kept) and kept[-1].endswith(":")
        if row not in dropped and not is_first_of_block:
            kept.append(line)
    return "\n".join(kept) + "\n"


def _annotations(function: ast.FunctionDef) -> Iterator[tuple[int, int, int]]:
    """Yield row, start and end of each annotation of a function and of its variables; each is on one row."""
    if function.returns:
        yield function.returns.lineno, function.returns.col_offset - len(" -> "), function.returns.end_col_offset or 0
    for node in (*function.args.args, function.args.kwarg):
        if node and node.annotation:
            yield node.lineno, node.col_offset + len(node.arg), node.annotation.end_col_offset or 0
    for statement in ast.walk(function):
        if isinstance(statement, ast.AnnAssign):
            yield statement.lineno, statement.target.end_col_offset or 0, statement.annotation.end_col_offset or 0
