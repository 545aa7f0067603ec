"""The shipped text: the sources and nothing else, small, standard library only, good for Python 3.9."""

import ast
import gzip
import sys
from typing import get_args

import pytest

from kgen import resources
from kgen.config.model import Role
from kgen.render import runner_source

ROLES = get_args(Role)
SIZE_LIMITS = {"master": 5000, "node": 4100}


class Essential(ast.NodeTransformer):
    """Leaves out what only readers need."""

    def visit_Expr(self, node):
        is_docstring = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_docstring else self.generic_visit(node)

    def visit_ImportFrom(self, node):
        return None if node.level or node.module == "typing" else node

    def visit_AnnAssign(self, node):
        return ast.Assign([node.target], self.visit(node.value), lineno=node.lineno)

    def visit_FunctionDef(self, node):
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node):
        return ast.arg(node.arg)


def essential(source: str) -> list[ast.stmt]:
    return Essential().visit(ast.parse(source)).body


NAMES = {ast.Name: "id", ast.arg: "arg", ast.ExceptHandler: "name", ast.FunctionDef: "name", ast.ClassDef: "name"}


def without_names(statement: ast.stmt) -> tuple[str, list[str]]:
    """Return the statement with its variables' and functions' names taken out, and these names in order."""
    names = []
    for node in ast.walk(statement):
        field = NAMES.get(type(node))
        if field and getattr(node, field):
            names.append(getattr(node, field))
            setattr(node, field, "")
    return ast.dump(statement), names


def is_import(statement: ast.stmt) -> bool:
    return isinstance(statement, (ast.Import, ast.ImportFrom))


@pytest.mark.parametrize("role", ROLES)
def test_ships_what_the_modules_say_with_other_names(role):
    modules = [essential(resources.runner_source(name)) for name in runner_source.ROLE_MODULES[role]]
    sources = [statement for module in modules for statement in module]
    shipped = essential(runner_source.assemble(role))
    imports = [ast.dump(one) for one in shipped if is_import(one)]
    assert sorted(imports) == sorted({ast.dump(one) for one in sources if is_import(one)})
    assert [ast.dump(one) for one in shipped[: len(imports)]] == imports
    defined = defined_names(sources)
    pairs = set()
    for mine, its in zip((one for one in sources if not is_import(one)), shipped[len(imports) :], strict=True):
        (expected, names), (found, short_names) = without_names(mine), without_names(its)
        assert found == expected
        pairs |= set(zip(names, short_names, strict=True))
    assert len(pairs) == len({name for name, _ in pairs}) == len({short for _, short in pairs})
    assert not [pair for pair in pairs if pair[0] not in defined and pair[0] != pair[1]]


def defined_names(statements: list[ast.stmt]) -> set[str]:
    """Return every name that is bound in the statements."""
    found = set()
    for statement in statements:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                found.add(node.id)
            elif type(node) in NAMES and not isinstance(node, ast.Name):
                found.add(getattr(node, NAMES[type(node)]))
    return found


@pytest.mark.parametrize("role", ROLES)
def test_steps_and_checks_keep_their_names(role):
    last = resources.runner_source(role).partition("STEPS = (")[2].partition(")")[0]
    steps = [line.strip(" ,") for line in last.splitlines() if line.strip()]
    assert steps[0] == "preflight"
    assert steps[-1] == "done"
    names = {node.name for node in essential(runner_source.assemble(role)) if isinstance(node, ast.FunctionDef)}
    assert {*steps, "fetch", "verify", "clock"} <= names


@pytest.mark.parametrize("role", ROLES)
def test_every_module_comes_after_those_it_imports(role):
    seen = set()
    for name in runner_source.ROLE_MODULES[role]:
        for node in ast.walk(ast.parse(resources.runner_source(name))):
            if isinstance(node, ast.ImportFrom) and node.level:
                assert node.module in seen, f"{name} imports {node.module}"
        seen.add(name)


@pytest.mark.parametrize("role", ROLES)
def test_no_name_is_defined_twice_or_missing(role):
    names = [
        target.id if isinstance(target, ast.Name) else target.name
        for statement in ast.parse(runner_source.assemble(role)).body
        for target in getattr(statement, "targets", [statement])
        if isinstance(target, (ast.FunctionDef, ast.ClassDef, ast.Name))
    ]
    assert len(names) == len(set(names))
    code = compile(runner_source.assemble(role), "firstboot.py", "exec")
    known = (
        {*names, *dir(__builtins__), *__builtins__} if isinstance(__builtins__, dict) else {*names, *dir(__builtins__)}
    )
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(ast.parse(runner_source.assemble(role)))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert not {name for name in global_names(code) if name not in known | imported | {"__file__", "__name__"}}


def global_names(code) -> set[str]:
    """Return the names that a code object and those inside of it look up as globals."""
    import dis

    found = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for constant in code.co_consts:
        if hasattr(constant, "co_code"):
            found |= global_names(constant)
    return found


@pytest.mark.parametrize("role", ROLES)
def test_is_python_3_9_and_standard_library(role):
    tree = ast.parse(runner_source.assemble(role), feature_version=(3, 9))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


@pytest.mark.parametrize("role", ROLES)
def test_holds_no_comment_and_fits(role):
    text = runner_source.assemble(role)
    assert text.startswith("#!/usr/bin/env python3\nimport ")
    assert not [line for line in text.splitlines()[1:] if not line or line.lstrip().startswith("#") or '"""' in line]
    assert len(gzip.compress(text.encode(), 9, mtime=0)) <= SIZE_LIMITS[role]


def test_a_node_ships_no_module_for_masters():
    assert "etcd" not in runner_source.assemble("node")
