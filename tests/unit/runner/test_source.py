"""The shipped text: the modules of its role as they are, standard library only, good for Python 3.9."""

import ast
import builtins
import dis
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from tests.clusters import one_master
from tests.unit.runner.scratch import default_payloads

from kgen import resources
from kgen.firstboot import program as runner_source
from kgen.model import ExternalEtcd, Role

ROLES = get_args(Role)


@pytest.fixture(params=[True, False], ids=["with comments", "without comments"])
def with_comments(request):
    return request.param


class PlainAssignments(ast.NodeTransformer):
    """Takes annotations off the variables of functions; those of classes are fields."""

    def visit_ClassDef(self, node):
        node.body = [self.visit(each) if isinstance(each, ast.FunctionDef) else each for each in node.body]
        return node

    def visit_AnnAssign(self, node):
        return ast.copy_location(ast.Assign([node.target], node.value), node)


def statements(source: str) -> list[str]:
    """Return the statements of a module, without imports and docstrings, as text that has no comments."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
    tree = PlainAssignments().visit(tree)
    return [ast.unparse(each) for each in tree.body if not isinstance(each, (ast.Import, ast.ImportFrom))]


@pytest.mark.parametrize("role", ROLES)
def test_ships_every_statement_of_its_modules(role, with_comments):
    rows = {name: row for name, row in runner_source.EXTRAS.items() if role in row.roles}
    extras = [module for name, row in rows.items() for module in (*row.before, name)]
    names = (*runner_source.MODULES[role], *extras)
    expected = [each for name in names for each in statements(resources.runner_source(name))]
    checks = {"master": "(external_etcd, metadata_fence)", "node": "(metadata_fence,)"}[role]
    expected += [*(["FORMATS += (5,)"] if role == "node" else []), f"CHECKS += {checks}"]
    steps = {"master": "(own_values, EVERY_RUN)", "node": "(token, EVERY_RUN), (own_values, EVERY_RUN)"}[role]
    expected += [f"ALL_STEPS = ((unseal, EVERY_RUN), *STEPS[1:3], {steps}, *STEPS[3:])"]
    *shipped, start = statements(runner_source.program(role, with_comments=with_comments))
    assert shipped == expected
    assert start.startswith("sys.exit(main(sys.argv[1:], ALL_STEPS, {'--status': status")


def test_labels_are_shipped_only_where_masters_label_nodes():
    assert "--labels" not in runner_source.program("master", with_comments=False, extras=())
    assert '"--labels": label' in runner_source.program("master", with_comments=False, extras=("labels",))
    assert "--labels" not in runner_source.program("node", with_comments=True)


def test_an_external_etcd_is_checked_only_where_there_is_one():
    assert "external_etcd" not in runner_source.program("master", with_comments=False, extras=())
    assert "CHECKS += (external_etcd,)\n" in runner_source.program(
        "master", with_comments=False, extras=("external_etcd",)
    )
    assert "external_etcd" not in runner_source.program("node", with_comments=True)
    cluster = one_master()
    assert runner_source.extras(cluster, default_payloads()["master"]) == ()
    outside = replace(cluster, external_etcd=ExternalEtcd(("https://10.0.0.31:2379",)))
    assert runner_source.extras(outside, default_payloads()["master"]) == ("external_etcd",)


@pytest.mark.parametrize("role", ROLES)
def test_is_laid_out_as_the_sources_are(tmp_path, role, with_comments):
    path = tmp_path / "firstboot.py"
    path.write_text(runner_source.program(role, with_comments=with_comments))
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent))
    command = [ruff, "format", "--isolated", "--line-length", "120", "--target-version", "py39", "--diff", path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("role", ROLES)
def test_documents_keep_only_the_comments_of_tables(role):
    text = runner_source.program(role, with_comments=False)
    assert text.count('"""') == 2, "the one that says what the program is"
    in_functions = [line for line in text.splitlines() if line.startswith("        ") and "#" in line]
    assert in_functions == []
    assert "    # Start the kubelet." in text
    whole = runner_source.program(role, with_comments=True)
    assert whole.count('"""') > 100
    for name in runner_source.MODULES[role]:
        assert f"# ---- {name} ----" in whole


def test_a_comment_inside_of_a_string_stays():
    source = 'def f(a: int = 1) -> str:\n    """Doc."""\n\n    # gone\n    x: str = "# stays"  # gone\n    return x\n'
    assert runner_source.without_comments(source) == 'def f(a=1):\n    x = "# stays"\n    return x\n'


@pytest.mark.parametrize("role", ROLES)
def test_every_step_has_a_line_that_says_what_it_does(role):
    table = resources.runner_source(role).partition("STEPS = (\n")[2].partition("\n)\n")[0].splitlines()
    assert len(table) > 20
    for comment, step in zip(table[::2], table[1::2], strict=True):
        assert comment.startswith("    # ")
        assert step.startswith("    (")


@pytest.mark.parametrize("role", ROLES)
def test_every_module_comes_after_those_it_imports(role):
    seen = set()
    for name in runner_source.MODULES[role]:
        for node in ast.walk(ast.parse(resources.runner_source(name))):
            if isinstance(node, ast.ImportFrom) and node.level:
                assert node.module in seen, f"{name} imports {node.module}"
        seen.add(name)


@pytest.mark.parametrize("role", ROLES)
def test_no_name_is_defined_twice_or_missing(role, with_comments):
    tree = ast.parse(runner_source.program(role, with_comments=with_comments))
    names = [
        target.id if isinstance(target, ast.Name) else target.name
        for statement in tree.body
        for target in getattr(statement, "targets", [statement])
        if isinstance(target, (ast.FunctionDef, ast.ClassDef, ast.Name))
    ]
    assert len(names) == len(set(names))
    imported = {
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    known = {*names, *imported, *dir(builtins), "__file__", "__name__"}
    assert global_names(compile(tree, "firstboot.py", "exec")) <= known


def global_names(code) -> set[str]:
    """Return the names that a code object and those inside of it look up as globals."""
    found = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for constant in code.co_consts:
        if hasattr(constant, "co_code"):
            found |= global_names(constant)
    return found - {"__annotations__", "__qualname__", "__module__"}


@pytest.mark.parametrize("role", ROLES)
def test_is_python_3_9_and_standard_library(role):
    tree = ast.parse(runner_source.program(role, with_comments=True), feature_version=(3, 9))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


def test_a_node_ships_no_module_for_masters():
    assert "etcd" not in runner_source.program("node", with_comments=True)
