"""The shipped text: the sources and nothing else, small, standard library only, good for Python 3.9."""

import ast
import gzip
import math
import sys
from typing import get_args

import pytest

from kgen import resources
from kgen.config.model import Role
from kgen.render import minify, runner_source

ROLES = get_args(Role)
PROGRAMS: list[tuple[Role, tuple[str, ...]]] = [(role, ()) for role in ROLES] + [
    (role, more) for role, more in runner_source.LABEL_MODULES.items() if more
]
SIZE_LIMITS = dict(zip(PROGRAMS, (7790, 5730, 8080), strict=True))
IN_IMAGES = list(runner_source.BAKED_MODULES.items())


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
RUN = {"self", "run"}


def own_attributes(statements: list[ast.stmt]) -> set[str]:
    """Return the attributes that the runner's own classes set."""
    nodes = (node for statement in statements for node in ast.walk(statement))
    return {node.attr for node in nodes if isinstance(node, ast.Attribute) and is_on_run(node) and is_bound(node)}


def is_on_run(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in RUN


def is_bound(node: ast.expr) -> bool:
    return isinstance(node.ctx, ast.Store)


def without_names(statement: ast.stmt) -> tuple[str, list[str]]:
    """Return the statement with all names and attributes taken out, and these in order: ``run.root``, ``.append``."""
    names = []
    for node in ast.walk(statement):
        if isinstance(node, ast.Attribute):
            names.append(f"{'run' if is_on_run(node) else ''}.{node.attr}")
            node.attr = ""
        field = NAMES.get(type(node))
        if field and getattr(node, field):
            names.append(getattr(node, field))
            setattr(node, field, "")
    return ast.dump(statement), names


def is_import(statement: ast.stmt) -> bool:
    return isinstance(statement, (ast.Import, ast.ImportFrom))


def imported(statements: list[ast.stmt]) -> list[str]:
    return [alias.name for one in statements if is_import(one) for alias in one.names]


@pytest.mark.parametrize("program", PROGRAMS + IN_IMAGES)
def test_ships_what_the_modules_say_with_other_names(program):
    modules = [essential(resources.runner_source(name)) for name in runner_source.modules(*program)]
    sources = [statement for module in modules for statement in module]
    shipped = essential(runner_source.assemble(*program))
    assert imported(shipped[:1]) == list(dict.fromkeys(imported(sources)))
    own = bound_names(sources) | {f"run.{name}" for name in own_attributes(sources)}
    shared = {}
    for mine, its in zip((one for one in sources if not is_import(one)), shipped[1:], strict=True):
        bound = bound_names([mine])
        (expected, names), (found, short_names) = without_names(mine), without_names(its)
        assert found == expected
        here = {}
        for name, short in zip(names, short_names, strict=True):
            assert here.setdefault(name, short) == short, f"{name} has two names in one place"
            if name not in bound:
                assert shared.setdefault(name, short) == short, f"{name} has two names"
        variables = {short for name, short in here.items() if "." not in name}
        assert len(variables) == len([name for name in here if "." not in name]), "two names became one"
    renamed = {name for name, short in shared.items() if name != short}
    assert renamed <= own
    attributes = [short for name, short in shared.items() if name.startswith("run.")]
    assert len(attributes) == len(set(attributes))


@pytest.mark.parametrize("program", PROGRAMS + IN_IMAGES)
def test_attributes_of_the_run_are_on_nothing_else(program):
    """They get other names where they stand behind ``run`` and ``self``; elsewhere they would be missed."""
    modules = [essential(resources.runner_source(name)) for name in runner_source.modules(*program)]
    sources = [statement for module in modules for statement in module]
    attributes = own_attributes(sources)
    for node in (node for statement in sources for node in ast.walk(statement)):
        if isinstance(node, ast.Attribute) and is_on_run(node):
            assert node.attr in attributes
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "setattr", "vars"):
            raise AssertionError(f"{ast.unparse(node)}: attributes are not called by their names")


@pytest.mark.parametrize("program", PROGRAMS + IN_IMAGES)
def test_a_local_name_is_not_that_of_something_shared_in_the_same_function(program):
    """One function, one meaning for a name: it is replaced everywhere in it."""
    for name in runner_source.modules(*program):
        for statement in essential(resources.runner_source(name)):
            if isinstance(statement, ast.FunctionDef):
                module = ast.fix_missing_locations(ast.Module([statement], []))
                (code,) = (one for one in compile(module, name, "exec").co_consts if hasattr(one, "co_code"))
                assert not global_names(code) & bound_names([*statement.body, statement.args])


def bound_names(statements: list[ast.stmt]) -> set[str]:
    """Return every name that is bound in the statements."""
    found = set()
    for statement in statements:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and is_bound(node):
                found.add(node.id)
            elif type(node) in NAMES and not isinstance(node, ast.Name):
                found.add(getattr(node, NAMES[type(node)]))
    return found


@pytest.mark.parametrize("program", PROGRAMS + IN_IMAGES)
def test_steps_and_checks_keep_their_names(program):
    last = resources.runner_source(program[0]).partition("STEPS = (")[2].partition(")")[0]
    steps = [line.strip(" ,") for line in last.splitlines() if line.strip()]
    assert steps[0] == "preflight"
    assert steps[-1] == "done"
    names = {node.name for node in essential(runner_source.assemble(*program)) if isinstance(node, ast.FunctionDef)}
    assert {*steps, "fetch", "verify", "clock", "mend"} <= names


@pytest.mark.parametrize("program", PROGRAMS + IN_IMAGES)
def test_every_module_comes_after_those_it_imports(program):
    seen = set()
    for name in runner_source.modules(*program):
        for node in ast.walk(ast.parse(resources.runner_source(name))):
            if isinstance(node, ast.ImportFrom) and node.level:
                assert node.module in seen, f"{name} imports {node.module}"
        seen.add(name)


@pytest.mark.parametrize("program", PROGRAMS + IN_IMAGES)
def test_no_name_is_defined_twice_or_missing(program):
    names = [
        target.id if isinstance(target, ast.Name) else target.name
        for statement in ast.parse(runner_source.assemble(*program)).body
        for target in getattr(statement, "targets", [statement])
        if isinstance(target, (ast.FunctionDef, ast.ClassDef, ast.Name))
    ]
    assert len(names) == len(set(names))
    code = compile(runner_source.assemble(*program), "firstboot.py", "exec")
    known = (
        {*names, *dir(__builtins__), *__builtins__} if isinstance(__builtins__, dict) else {*names, *dir(__builtins__)}
    )
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(ast.parse(runner_source.assemble(*program)))
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


@pytest.mark.parametrize("program", PROGRAMS + IN_IMAGES)
def test_is_python_3_9_and_standard_library(program):
    tree = ast.parse(runner_source.assemble(*program), feature_version=(3, 9))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


@pytest.mark.parametrize("program", PROGRAMS + IN_IMAGES)
def test_holds_no_comment_and_fits(program):
    text = runner_source.assemble(*program)
    assert text.startswith("#!/usr/bin/env python3\nimport ")
    assert not [line for line in text.splitlines()[1:] if not line or line.lstrip().startswith("#") or '"""' in line]
    assert len(gzip.compress(text.encode(), 9, mtime=0)) <= SIZE_LIMITS.get(program, math.inf)


def test_a_node_ships_no_module_for_masters():
    assert "etcd" not in runner_source.assemble("node")


@pytest.mark.parametrize(
    "source",
    [
        'x = ("a" "b" "c")',
        'x = (f"{y}" f"b" "c{d}")',
        'x = (b"\\0" b"1" b"\\0")',
        'x = ("\\01" "1" "\\1012")',
        """x = ("a" 'b' "c")""",
        'x = (r"\\d" "\\n" r"\\d" r"\\w")',
        'x = ["a", "b" if "c" in "d" else "e"]',
    ],
)
def test_strings_side_by_side_stay_what_they_are(source):
    (shipped,) = minify.statements(source)
    assert ast.dump(ast.parse(shipped)) == ast.dump(ast.parse(source))
