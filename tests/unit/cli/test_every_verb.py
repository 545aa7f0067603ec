"""Every verb in every bad situation: no traceback, one JSON object, an exit code that the docs name, no secret."""

import json
import os
import shutil
import sys
from pathlib import Path

import click
import pytest
from tests.secret_search import search
from tests.unit.cli.conftest import CLUSTER

from kgen.cli.main import cli, run
from kgen.secrets_bundle import store

NOWHERE = ("--server", "https://127.0.0.1:9")
VERBS = {
    "init": [("init", "new.yaml"), ("init", "FILE")],
    "import": [("import", "FILE", "-o", "-"), ("import", "--running", "--kubeconfig", "FILE")],
    "render": [("render", "FILE"), ("render", "FILE", "--check")],
    "diff": [("diff", "FILE"), ("diff", "FILE", "--against", "HEAD")],
    "exposure": [("exposure", "FILE", "--fail-on", "userData")],
    "report": [("report", "FILE")],
    "seed": [("seed", "FILE"), ("seed", "FILE", "--check")],
    "serve": [
        ("serve", "FILE", "--dhcp", "--listen", "127.0.0.1:0"),
        ("serve", "FILE", "--only", "nobody", "--listen", "127.0.0.1:0"),
    ],
    "publish": [
        ("publish", "FILE", "--bucket", "b"),
        ("publish", "FILE", "--bucket", "b", "--launch-templates", "FILE", "--dry-run"),
        ("publish", "FILE", "--bucket", "b", "--print-policies"),
    ],
    "unpublish": [("unpublish", "FILE")],
    "attach": [("attach", "FILE", "m1", "--with", "aws")],
    "lab up": [("lab", "up", "FILE", "--image", "FILE")],
    "lab image": [("lab", "image", "FILE", "--from", "FILE", "-o", "new.qcow2")],
    "lab status": [("lab", "status")],
    "lab console": [("lab", "console", "m1")],
    "lab kubeconfig": [("lab", "kubeconfig")],
    "lab stop": [("lab", "stop", "m1")],
    "lab start": [("lab", "start", "m1")],
    "lab kill": [("lab", "kill", "m1")],
    "lab down": [("lab", "down")],
    "bake": [("bake", "FILE"), ("bake", "FILE", "--check"), ("bake", "FILE", "--verify", "nothing")],
    "images list": [("images", "list", "FILE")],
    "images save": [("images", "save", "FILE", "archives")],
    "images pull": [("images", "pull", "FILE")],
    "wait": [("wait", "FILE", "--timeout", "0", *NOWHERE)],
    "status": [("status", "FILE", *NOWHERE)],
    "apply": [("apply", "FILE", "m1")],
    "routes": [("routes", "FILE")],
    "certs show": [("certs", "show", "FILE"), ("certs", "FILE")],
    "certs renew": [("certs", "renew", "FILE", "m1/apiserver")],
    "certs accept": [("certs", "accept", "FILE", "nothing")],
    "certs csr": [("certs", "csr", "FILE", "requests", "m1/apiserver")],
    "bundle encrypt": [("bundle", "encrypt", "FILE", "--recipients-file", "FILE")],
    "bundle decrypt": [("bundle", "decrypt", "FILE")],
    "bundle edit-recipients": [("bundle", "edit-recipients", "FILE", "--new-passphrase-file", "FILE")],
    "token join-command": [("token", "join-command", "FILE")],
    "token renew": [("token", "renew", "FILE", *NOWHERE)],
    "token refresh": [("token", "refresh", "FILE", *NOWHERE)],
    "token rotate": [("token", "rotate", "FILE", *NOWHERE)],
    "encryption rotate": [("encryption", "rotate", "FILE")],
    "etcd snapshot": [("etcd", "snapshot", "FILE", "new.db", "--server", "127.0.0.1:9")],
    "explain": [("explain",), ("explain", "machines.name"), ("explain", "FILE")],
    "docs": [("docs",), ("docs", "lab"), ("docs", "FILE")],
    "export kubeadm": [("export", "kubeadm", "FILE")],
    "schema": [("schema",)],
    "completion": [("completion", "bash"), ("completion", "FILE")],
}
"""Command lines of each verb; ``FILE`` becomes the cluster file, or what a situation has in its place."""

PRINT_SECRETS = {"token join-command", "apply", "export kubeadm"}


def leaves(group: click.Group, prefix: str = "") -> dict[str, click.Command]:
    """Return every verb by its words."""
    found = {}
    for name, command in group.commands.items():
        found |= leaves(command, f"{prefix}{name} ") if isinstance(command, click.Group) else {prefix + name: command}
    return found


def test_the_table_has_every_verb():
    assert set(VERBS) == set(leaves(cli))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A rendered cluster."""
    place = tmp_path_factory.mktemp("made")
    (place / "prod.yaml").write_text(CLUSTER)
    assert run(["render", str(place / "prod.yaml"), "--quiet", "--output", str(place / "outputs")]) == 0
    return place


@pytest.fixture
def there(made, tmp_path, monkeypatch) -> Path:
    """A copy of the rendered cluster, which is the current directory, away from AWS and any terminal."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("AWS_", "KGEN_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("PATH", "/nonexistent")
    return tmp_path


def plain(there: Path) -> str:
    return "prod.yaml"


def nothing_rendered(there: Path) -> str:
    shutil.rmtree(there / "outputs")
    (there / "prod.secrets.yaml").unlink()
    return "prod.yaml"


def wrong_file(there: Path) -> str:
    (there / "wrong.yaml").write_text("apiVersion: kgen/v1\nname: prod\nmachines: [{name: m1, rolle: x}]\n")
    return "wrong.yaml"


def missing_file(there: Path) -> str:
    return "missing/prod.yaml"


def directory(there: Path) -> str:
    return "."


def not_text(there: Path) -> str:
    (there / "binary.yaml").write_bytes(b"name: \xff\xfe\x00\n")
    return "binary.yaml"


def name_not_text(there: Path) -> str:
    for name in ("prod.yaml", "prod.secrets.yaml"):
        (there / name).rename(there / f"\udcff\x1b[31m{name}")
    return "\udcff\x1b[31mprod.yaml"


def damaged_bundle(there: Path) -> str:
    (there / "prod.secrets.yaml").write_bytes(b"\x00\xff: [")
    return "prod.yaml"


def damaged_output(there: Path) -> str:
    for path in [path for path in (there / "outputs").rglob("*") if path.is_file()]:
        path.write_bytes(b"\x1f\x8b\xff: [")
    return "prod.yaml"


def output_is_a_file(there: Path) -> str:
    shutil.rmtree(there / "outputs")
    (there / "outputs").write_text("")
    return "prod.yaml"


SITUATIONS = [
    plain,
    nothing_rendered,
    wrong_file,
    missing_file,
    directory,
    not_text,
    name_not_text,
    damaged_bundle,
    damaged_output,
    output_is_a_file,
]


def called(words: tuple[str, ...], file: str, *more: str) -> list[str]:
    return [file if word == "FILE" else word for word in words] + list(more)


CALLS = [
    (verb, words, situation)
    for verb, lines in VERBS.items()
    for words in lines
    for situation in SITUATIONS
    # Further lines of a verb read files in the same way.
    if situation in (plain, damaged_output) or ("FILE" in words and words == lines[0])
]


@pytest.mark.parametrize(
    ("verb", "words", "situation"),
    CALLS,
    ids=lambda value: getattr(value, "__name__", None) or (" ".join(value) if isinstance(value, tuple) else ""),
)
def test_a_verb_ends_in_json_with_a_documented_exit_code(there, capsys, verb, words, situation):
    bundle = store.read(there / "prod.secrets.yaml")
    file = situation(there)
    code = run(called(words, file, "--json"))
    told = capsys.readouterr()
    assert code in (0, 1, 2, 3), told.err
    found = json.loads(told.out)
    assert ("error" in found) == (code in (1, 2))
    if code in (1, 2):
        assert found["error"]["exitCode"] == code
        assert set(found["error"]) == {"exitCode", "message", "hint", "problems"}
        assert found["error"]["message"]
    if verb not in PRINT_SECRETS:
        assert search({"out": told.out.encode(), "err": told.err.encode(errors="replace")}, bundle) == set()


@pytest.mark.parametrize("verb", leaves(cli))
def test_a_wrong_option_is_json_also_where_the_result_never_is(capsys, verb):
    assert run([*verb.split(), "--no-such-option", "--json"]) == 2
    assert "--no-such-option" in json.loads(capsys.readouterr().out)["error"]["message"]


@pytest.mark.parametrize("call", [lines[0] for lines in VERBS.values()], ids=" ".join)
def test_a_full_disk_and_a_reader_that_left_are_no_traceback(there, capsys, monkeypatch, call):
    read, write = os.pipe()
    os.close(read)
    for target, ends in (("/dev/full", (1, 2)), (f"/dev/fd/{write}", (1, 2, 141))):
        with monkeypatch.context() as patched, Path(target).open("w") as stream:
            patched.setattr(sys, "stdout", stream)
            assert run(called(call, "prod.yaml", "--json")) in ends
            stream.write("the interpreter flushes it once more")
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ends", "code", "message"), [(KeyboardInterrupt(), 130, "interrupted"), (SystemExit(143), 143, "terminated")]
)
def test_an_interrupted_verb_prints_json(there, capsys, monkeypatch, ends, code, message):
    def stop(*_, **__):
        raise ends

    monkeypatch.setattr("kgen.api.render", stop)
    assert run(["render", "prod.yaml", "--json"]) == code
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["exitCode"], error["message"]) == (code, message)


def test_without_a_reader_of_stderr_the_work_goes_on(there, monkeypatch):
    read, write = os.pipe()
    os.close(read)
    (there / "prod.yaml").write_text(CLUSTER.replace("v1.37.2", "v1.37.1"))
    with monkeypatch.context() as patched, Path(f"/dev/fd/{write}").open("w") as stream:
        patched.setattr(sys, "stderr", stream)
        assert run(["render", "prod.yaml"]) == 0
        assert run(["render", "missing.yaml"]) == 2
    assert run(["render", "prod.yaml", "--check"]) == 0
