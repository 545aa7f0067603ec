import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

import kgen as package
from kgen.cli import console
from kgen.cli.main import cli
from kgen.errors import KgenError, Problem, ProblemsError

DOCS = Path(__file__).resolve().parents[3] / "docs" / "reference" / "cli.md"


def verbs(group: click.Group, prefix: str = "kgen") -> list[str]:
    found = []
    for name, command in group.commands.items():
        found += verbs(command, f"{prefix} {name}") if isinstance(command, click.Group) else [f"{prefix} {name}"]
    return found


def options(group: click.Group) -> set[str]:
    found = set()
    for command in group.commands.values():
        if isinstance(command, click.Group):
            found |= options(command)
        found |= {option for parameter in command.params for option in parameter.opts if option.startswith("-")}
    return found


def test_reference_names_every_verb_and_option(kgen):
    text = DOCS.read_text()
    assert [verb for verb in verbs(cli) if f"`{verb}" not in text] == []
    assert [option for option in options(cli) if option not in text] == []
    listed = set(re.findall(r"`kgen ([a-z]+)", text))
    assert listed == set(cli.commands)
    help_text = kgen("--help").out
    assert all(re.search(rf"^  {name} ", help_text, re.M) for name in cli.commands)


@pytest.mark.parametrize("arguments", [(), *[tuple(verb.split()[1:]) for verb in verbs(cli)]])
def test_help_reads_well(kgen, arguments):
    ended = kgen(*arguments, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("Usage: kgen")
    assert "..." not in ended.out.replace("[ARGS]...", "").replace("[NAME]...", "").replace("[FILE]...", "")
    assert max(map(len, ended.out.splitlines())) <= 100
    assert kgen(*arguments, "-h").out == ended.out


def test_version(kgen):
    assert kgen("--version").out == f"kgen {package.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"],
        ["render"],
        ["render", "--nope", "x"],
        ["render", "a", "b"],
        ["token"],
        ["completion", "tcsh"],
        ["render", "prod.yaml", "--output", "prod.yaml"],
        ["render", "prod.yaml", "--new-cluster", "--check"],
        ["render", "prod.yaml", "--new-cluster", "--no-new-secrets"],
    ],
)
def test_wrong_command_line_is_exit_2(kgen, arguments):
    ended = kgen(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("Usage: ")


def test_missing_cluster_file(kgen):
    ended = kgen("render", "missing.yaml")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: missing.yaml does not exist\n  hint: ")


def test_problems_come_with_their_line_and_a_count(kgen, here):
    path = here / "bad.yaml"
    path.write_text("apiVersion: kgen/v1\nname: prod\nkubernetesVersion: v1.37.2\nmachnes: []\nnam: x\n")
    ended = kgen("render", "bad.yaml")
    assert (ended.code, ended.out) == (2, "")
    lines = ended.err.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("bad.yaml:4:1: machnes"))
    assert lines[at + 1 : at + 3] == ["      4 | machnes: []", "          ^"]
    assert lines[at + 3].startswith("  hint: ")
    count = sum(line.startswith("bad.yaml:") for line in lines)
    assert lines[-1] == f"{count} problems; nothing was written."
    assert not (here / "outputs").exists()


def problem(path: Path, line: int, column: int) -> ProblemsError:
    return ProblemsError([Problem(str(path), line, column, "field", "K1", "is wrong", is_quotable=True)])


@pytest.mark.parametrize(("content", "word"), [("password: hunter2\n", "passw"), ("adminKey: hunter2\n", "Key")])
def test_line_that_may_hold_a_secret_is_not_quoted_and_says_so(here, capsys, content, word):
    (here / "a.yaml").write_text(content)
    console.error(problem(here / "a.yaml", 1, 13))
    printed = capsys.readouterr().err
    assert "hunter2" not in printed
    assert f"      1 | (not shown: {word!r} says that the line may hold a secret)" in printed


def test_only_the_cluster_file_itself_is_quoted(here, capsys):
    (here / "a.yaml").write_text("x: hunter2\n")
    (here / "link.yaml").symlink_to("a.yaml")
    console.error(problem(here / "link.yaml", 1, 4))
    console.error(ProblemsError([Problem(str(here / "a.yaml"), 1, 4, "field", "B1", "is wrong")]))
    assert "hunter2" not in capsys.readouterr().err


def test_excerpt_is_short_and_printable(here, capsys):
    (here / "a.yaml").write_text("x" * 500 + "\x1b[31m\t!" + "y" * 500)
    console.error(problem(here / "a.yaml", 1, 507))
    line, caret = capsys.readouterr().err.splitlines()[1:3]
    assert len(line) < 120
    assert "\x1b" not in line
    assert line[caret.index("^")] == "!"


@pytest.mark.parametrize(("line", "column"), [(0, 0), (9, 1), (1, 99)])
def test_place_outside_the_file_has_no_excerpt(here, capsys, line, column):
    (here / "a.yaml").write_text("x: 1\n")
    console.error(problem(here / "a.yaml", line, column))
    assert "|" not in capsys.readouterr().err


def test_one_problem_is_singular(here, capsys):
    console.error(problem(here / "a.yaml", 1, 1))
    assert capsys.readouterr().err.splitlines()[-1] == "1 problem; nothing was written."


def test_schema_is_json(kgen):
    assert json.loads(kgen("schema").out)["type"] == "object"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(kgen, shell):
    ended = kgen("completion", shell)
    assert ended.code == 0
    assert "_KGEN_COMPLETE" in ended.out


def test_bug_is_a_traceback(kgen, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr("kgen.api.render", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        kgen("render", "prod.yaml")


def test_interrupt_is_130_and_leaves_nothing(kgen, here, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("kgen.output.writer.Output.prepare", interrupted)
    ended = kgen("render", "prod.yaml")
    assert (ended.code, ended.out, ended.err.strip()) == (130, "", "interrupted")
    assert [path.name for path in here.iterdir()] == ["prod.yaml"]


def test_table_aligns_columns():
    text = console.table(("name", "n"), [("a", "1"), ("long", "1,000")], right=(1,))
    assert click.unstyle(text).splitlines() == ["name      n", "a         1", "long  1,000"]


def test_progress_appears_on_a_terminal_when_work_is_long(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    for patience, shown in ((60.0, False), (0.0, True)):
        monkeypatch.setattr(console, "PATIENCE_SECONDS", patience)
        with console.progress(quiet=False) as on_progress:
            on_progress("documents", 1, 2)
        captured = capsys.readouterr()
        assert ("documents" in captured.err) == shown
        assert captured.out == ""


@pytest.mark.parametrize("quiet", [True, False])
def test_no_progress_when_quiet_or_not_on_a_terminal(capsys, monkeypatch, quiet):
    monkeypatch.setattr(console, "PATIENCE_SECONDS", 0.0)
    with console.progress(quiet=quiet) as on_progress:
        on_progress("documents", 1, 2)
    assert capsys.readouterr().err == ""


def process(here: Path, *arguments: str, **rest) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "kgen", *arguments], cwd=here, text=True, **rest)


@pytest.mark.real
def test_a_closed_reader_is_no_error(here):
    read, write = os.pipe()
    os.close(read)
    child = process(here, "render", "prod.yaml", stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    _, err = child.communicate()
    assert (child.returncode, err) == (141, "")
    assert (here / "outputs/prod/kgen.lock.json").exists()


@pytest.mark.real
def test_full_stdout_is_reported_in_a_sentence(here):
    with Path("/dev/full").open("w") as full:
        child = process(here, "schema", stdout=full, stderr=subprocess.PIPE)
        _, err = child.communicate()
    assert (child.returncode, err) == (1, "error: cannot write to the standard output: No space left on device\n")


@pytest.mark.real
def test_colour_only_on_a_terminal(here):
    (here / "bad.yaml").write_text("x: 1\n")

    def on_terminal(**environment: str) -> bytes:
        leader, follower = os.openpty()
        child = process(here, "render", "bad.yaml", stderr=follower, env={**os.environ, "TERM": "xterm", **environment})
        child.wait()
        os.close(follower)
        found = os.read(leader, 10_000)
        os.close(leader)
        return found

    assert b"\x1b[" in on_terminal()
    assert b"\x1b[" not in on_terminal(NO_COLOR="1")
    piped = process(here, "render", "bad.yaml", stderr=subprocess.PIPE)
    assert "\x1b[" not in piped.communicate()[1]


@pytest.mark.real
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_in_the_middle_leaves_nothing(here, number, code):
    nodes = "".join(f"  - {{name: n{n}, role: node}}\n" for n in range(3_000))
    text = (here / "prod.yaml").read_text().replace("pools:", f"{nodes}pools:")
    (here / "prod.yaml").write_text(text)
    ours = signal.signal(number, signal.SIG_DFL)  # what a shell runs in the background inherits that it is ignored
    child = process(here, "render", "prod.yaml", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    signal.signal(number, ours)
    staging = here / "outputs/prod/.kgen-new"
    while not (staging / "200.new").exists() and child.poll() is None:
        time.sleep(0.01)
    child.send_signal(number)
    _, err = child.communicate()
    assert child.returncode == code, err
    assert [path.name for path in here.iterdir()] == ["prod.yaml"]


@pytest.mark.real
def test_an_interrupt_while_modules_are_imported_is_no_traceback():
    program = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, *_):
        if name == "kgen.cli.render":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from kgen.__main__ import entry
entry()
"""
    done = subprocess.run([sys.executable, "-c", program, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.real
def test_two_renders_at_once_agree(here):
    children = [process(here, "render", "prod.yaml", "--quiet", stderr=subprocess.PIPE) for _ in range(3)]
    ends = {(child.communicate()[1].partition(" in ")[0], child.returncode) for child in children}
    assert ("", 0) in ends
    assert ends <= {("", 0), ("error: another kgen is at work", 1)}  # one that waited too long on a busy machine
    check = process(here, "render", "prod.yaml", "--check", stdout=subprocess.PIPE)
    check.communicate()
    assert check.returncode == 0


@pytest.mark.real
def test_help_imports_nothing_heavy(here):
    code = "import sys; from kgen.cli.main import run; run(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"cryptography", "jinja2", "yaml", "rich", "kubernetes", "boto3", "passlib"}
    assert heavy.isdisjoint(done.stdout.split())


@pytest.mark.real
def test_warm_render_imports_nothing_it_does_not_need(here):
    code = "import sys; from kgen.cli.main import run; run(['render', 'prod.yaml']); print(*sys.modules)"
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=True)
    assert {"rich", "kubernetes", "boto3", "passlib"}.isdisjoint(done.stdout.split())


def test_errors_without_a_hint_have_no_hint_line(capsys):
    console.error(KgenError("it is so"))
    assert capsys.readouterr().err == "error: it is so\n"
