"""The secrets bundle, encrypted with age: every verb decrypts it, nothing writes its plain text."""

from __future__ import annotations

import base64
import json
import os
import pty
import resource
import stat
import subprocess
import sys
import termios
from pathlib import Path

import pyrage
import pytest
from tests import pages
from tests.components import golang
from tests.components.__main__ import AGE_VERSION, SOPS_VERSION

from kgen import api
from kgen.errors import KgenError
from kgen.secrets_bundle import age, store, unlocking

PLAIN, ENCRYPTED, SOPS = "prod.secrets.yaml", "prod.secrets.yaml.age", "prod.secrets.sops.yaml"
PASSPHRASE = "test only, several words"


@pytest.fixture(autouse=True)
def no_keys_from_outside(monkeypatch):
    for name in (unlocking.IDENTITY_VARIABLE, unlocking.PASSPHRASE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    yield
    unlocking.use()


@pytest.fixture
def identity(here):
    """Make an identity file and return its recipient."""

    def make(name: str) -> str:
        made = pyrage.x25519.Identity.generate()
        (here / name).write_text(f"# created: today\n# public key: {made.to_public()}\n{made}\n")
        return str(made.to_public())

    return make


def follow(kgen, here, section: str) -> list[str]:
    """Run the kgen commands of a section of the page, as a reader whose home is ``here``."""
    text = pages.page("encrypt-the-bundle.md").replace("~/.config", str(here))
    (found,) = (part for part in text.split("\n## ") if part.startswith(section))
    return pages.follow(found, kgen)


@pytest.fixture
def encrypted(kgen, rendered, here, identity) -> Path:
    """The bundle of ``prod.yaml``, encrypted for ``a.key``."""
    assert kgen("bundle", "encrypt", "prod.yaml", "--recipient", identity("a.key")).code == 0
    return here / ENCRYPTED


def files(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_every_verb_that_reads_the_bundle_takes_the_identity(kgen, here, encrypted):
    assert not (here / PLAIN).exists()
    assert stat.S_IMODE(encrypted.stat().st_mode) == 0o600
    before = encrypted.read_bytes()
    for words in (("render",), ("certs",), ("diff",), ("exposure",), ("token", "join-command"), ("export", "kubeadm")):
        ended = kgen(*words, "prod.yaml", "--identity", "a.key")
        assert ended.code == 0, (words, ended.err)
    assert encrypted.read_bytes() == before  # age would make other bytes of the same bundle
    assert kgen("render", "prod.yaml", "--check", "--identity", "a.key").code == 0


def test_a_render_that_adds_secrets_encrypts_again_and_writes_no_plain_text(kgen, here, encrypted, monkeypatch):
    written = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, content: written.append(bytes(content)) or real(fd, content))
    with (here / "prod.yaml").open("a") as file:
        file.write("users: [{name: ops, plain_text_passwd: test-only}]\n")
    before = encrypted.read_bytes()
    assert kgen("render", "prod.yaml", "--identity", "a.key").code == 0
    assert encrypted.read_bytes() != before
    assert any(content.startswith(b"-----BEGIN AGE") for content in written)
    assert not any(b"kind: SecretsBundle" in content for content in written)
    unlocking.use(here / "a.key")
    bundle = store.read(encrypted)
    assert bundle is not None
    assert bundle.password_hashes["ops"]
    assert not (here / PLAIN).exists()


def test_the_environment_names_the_identity(kgen, encrypted, monkeypatch):
    monkeypatch.setenv("KGEN_AGE_IDENTITY_FILE", "a.key")
    assert kgen("certs", "prod.yaml").code == 0
    assert kgen("certs", "prod.yaml", "--identity", "missing.key").code == 2  # the option comes first


def test_recipients_are_added_and_removed(kgen, here, encrypted, identity):
    a = json.loads(kgen("bundle", "edit-recipients", "prod.yaml", "--identity", "a.key", "--json").out)
    b = identity("b.key")
    assert a == {"path": ENCRYPTED, "recipients": a["recipients"], "passphrase": False}
    edit = ("bundle", "edit-recipients", "prod.yaml", "--identity")
    assert kgen(*edit, "b.key", "--add", b).code == 2
    assert kgen(*edit, "a.key", "--add", b).code == 0
    assert kgen(*edit, "b.key", "--remove", a["recipients"][0]).code == 0
    assert kgen("certs", "prod.yaml", "--identity", "a.key").code == 2
    assert kgen("certs", "renew", "prod.yaml", "--identity", "b.key").code == 0
    assert kgen("certs", "prod.yaml", "--identity", "b.key").code == 0
    ended = kgen(*edit, "b.key", "--remove", b)
    assert (ended.code, "nobody could decrypt" in ended.err) == (2, True)
    ended = kgen(*edit, "b.key", "--remove", b, "--add", a["recipients"][0])
    assert "the identity you gave could not decrypt the bundle any more" in ended.err
    assert kgen("certs", "prod.yaml", "--identity", "b.key").code == 0


def test_without_the_identity_nothing_is_written(kgen, here, encrypted, identity):
    identity("other.key")
    (here / "empty.key").write_text("# nothing\n")
    (here / "bad.key").write_text("AGE-SECRET-KEY-1BADBADBAD\n")
    (here / "plugin.key").write_text("AGE-PLUGIN-YUBIKEY-1BADBADBAD\n")
    (here / "quantum.key").write_text("# created: today\nAGE-SECRET-KEY-PQ-1BADBADBAD\n")
    (here / "ecdsa.key").write_text("-----BEGIN EC PRIVATE KEY-----\nBADBAD\n-----END EC PRIVATE KEY-----\n")
    (here / "encrypted.key").write_bytes(pyrage.passphrase.encrypt(b"AGE-SECRET-KEY-1BADBADBAD", "x", armored=True))
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + "users: [{name: ops, plain_text_passwd: x}]\n")
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    for words, says in (
        ((), "is encrypted with age, and no identity was given"),
        (("--identity", "other.key"), "cannot be decrypted: the identity is another one, or the file is damaged"),
        (("--identity", "empty.key"), "the identity file has no identity"),
        (("--identity", "bad.key"), "line 1 of the identity file is not an identity of age"),
        (("--identity", "plugin.key"), "line 1 of the identity file needs a plugin of age"),
        (("--identity", "quantum.key"), "line 2 of the identity file is a post-quantum identity"),
        (("--identity", "ecdsa.key"), "the SSH key in the identity file cannot be used"),
        (("--identity", "encrypted.key"), "the identity file is encrypted itself"),
        (("--identity", "missing.key"), "cannot read the identity file missing.key: No such file or directory"),
    ):
        ended = kgen("render", "prod.yaml", *words)
        assert (ended.code, says in ended.err) == (2, True), ended.err
        assert "BADBAD" not in ended.err
        assert "hint: " in ended.err or "missing" in says
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("is_armored", [True, False])
def test_any_flipped_byte_is_an_error_in_one_sentence(here, identity, is_armored):
    recipient = pyrage.x25519.Recipient.from_str(identity("a.key"))
    content = pyrage.encrypt(b"kind: SecretsBundle\n" * 3, [recipient], armored=is_armored)
    key = age.Key(identities=(here / "a.key").read_text())
    assert age.decrypt(content, key, "x")
    outcomes = []
    for place in range(len(content)):
        for bit in (0x01, 0x20, 0x80):
            damaged = bytearray(content)
            damaged[place] ^= bit
            try:
                outcomes.append(age.decrypt(bytes(damaged), key, "x").decode())
            except KgenError as error:
                outcomes.append(str(error).split(":")[0])
    refused = outcomes.count("x cannot be decrypted")
    assert refused + outcomes.count("kind: SecretsBundle\n" * 3) == len(outcomes)  # some of the armor may differ
    assert refused > 2 * len(content)


def test_a_damaged_file_changes_nothing(kgen, here, encrypted):
    content = bytearray(encrypted.read_bytes())
    content[len(content) // 2] ^= 1
    encrypted.write_bytes(content)
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + "users: [{name: ops, plain_text_passwd: x}]\n")
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    for words in (("render",), ("render", "--new-cluster"), ("certs", "renew"), ("bundle", "decrypt")):
        ended = kgen(*words, "prod.yaml", "--identity", "a.key")
        assert (ended.code, len(ended.err.partition("error: ")[2].splitlines())) == (2, 2), ended.err
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_a_passphrase_from_a_file_or_a_descriptor(kgen, rendered, here, monkeypatch):
    (here / "words").write_text(PASSPHRASE + "\n")
    assert kgen("bundle", "encrypt", "prod.yaml", "--new-passphrase-file", "words").code == 0
    assert age.has_passphrase((here / ENCRYPTED).read_bytes())
    monkeypatch.setenv("KGEN_AGE_PASSPHRASE_FILE", "words")
    with (here / "prod.yaml").open("a") as file:
        file.write("users: [{name: ops, plain_text_passwd: test-only}]\n")
    assert kgen("render", "prod.yaml").code == 0
    assert age.has_passphrase((here / ENCRYPTED).read_bytes())
    reading, writing = os.pipe()
    os.write(writing, PASSPHRASE.encode())
    os.close(writing)
    monkeypatch.setenv("KGEN_AGE_PASSPHRASE_FILE", f"/dev/fd/{reading}")  # can be read once only
    assert kgen("render", "prod.yaml", "--check").code == 0
    os.close(reading)
    (here / "words").write_text("another one\n")
    monkeypatch.setenv("KGEN_AGE_PASSPHRASE_FILE", "words")
    assert "the passphrase is another one, or the file is damaged" in kgen("certs", "prod.yaml").err


def test_a_passphrase_that_takes_too_long_is_no_wrong_one(here, monkeypatch):
    content = pyrage.passphrase.encrypt(b"kind: SecretsBundle\n", PASSPHRASE)
    head, _, rest = content.partition(b"\n-> scrypt ")
    salt, _, rest = rest.partition(b" ")
    slow = head + b"\n-> scrypt " + salt + b" 30" + rest[rest.index(b"\n") :]
    tried = []
    real = pyrage.passphrase.decrypt
    monkeypatch.setattr(pyrage.passphrase, "decrypt", lambda *words: tried.append(1) or real(*words))
    key = age.Key(passphrase=PASSPHRASE)
    with pytest.raises(KgenError, match="x cannot be decrypted here: to try a passphrase would take this computer too"):
        age.decrypt(slow, key, "x")
    assert len(tried) > 1  # a busy moment does not decide
    assert age.decrypt(content, key, "x") == b"kind: SecretsBundle\n"
    with pytest.raises(KgenError, match="the passphrase is another one"):
        age.decrypt(content, age.Key(passphrase="x"), "x")


def test_recipients_replace_a_passphrase_and_back(kgen, rendered, here, identity, monkeypatch):
    (here / "words").write_text(PASSPHRASE + "\n")
    monkeypatch.setenv("KGEN_AGE_PASSPHRASE_FILE", "words")
    assert kgen("bundle", "encrypt", "prod.yaml", "--new-passphrase-file", "words").code == 0
    edit = ("bundle", "edit-recipients", "prod.yaml")
    assert "whoever knows the passphrase" in kgen(*edit).out
    assert kgen(*edit, "--add", identity("a.key")).code == 0
    assert kgen("certs", "prod.yaml", "--identity", "a.key").code == 0
    assert kgen(*edit, "--new-passphrase-file", "words", "--identity", "a.key").code == 0
    assert kgen("certs", "prod.yaml").code == 0


def _on_a_terminal(arguments: list[str], typed: str) -> tuple[int, str]:
    """Run kgen with a terminal of its own, answer its questions, return its exit code and what the terminal shows."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-m", "kgen", *arguments])
    shown = b""
    lines = iter(typed.splitlines())
    while True:
        try:
            more = os.read(terminal, 1024)
        except OSError:  # the other end is closed
            break
        shown += more
        if more.endswith(b": "):
            assert not termios.tcgetattr(terminal)[3] & termios.ECHO
            answer = next(lines).encode()
            os.write(terminal, answer if answer == b"\x04" else answer + b"\n")
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def test_the_terminal_is_asked_once_and_shows_no_passphrase(kgen, rendered, here):
    code, shown = _on_a_terminal(["bundle", "encrypt", "prod.yaml", "--passphrase"], f"{PASSPHRASE}\n{PASSPHRASE}\n")
    assert (code, PASSPHRASE in shown) == (0, False), shown
    code, shown = _on_a_terminal(["render", "prod.yaml"], f"{PASSPHRASE}\n")
    assert (code, shown.count("Passphrase"), PASSPHRASE in shown) == (0, 1, False), shown
    code, shown = _on_a_terminal(["bundle", "edit-recipients", "prod.yaml", "--passphrase"], "one\ntwo\n")
    assert (code, "the two passphrases differ" in shown) == (2, True), shown
    code, shown = _on_a_terminal(["certs", "prod.yaml"], "\x04")  # Ctrl-D
    assert (code, "no passphrase was given" in shown, "Traceback" in shown) == (2, True, False), shown


def test_what_another_program_has_encrypted_names_its_recipients_before_it_changes(kgen, rendered, here, identity):
    recipient = identity("a.key")
    content = pyrage.encrypt((here / PLAIN).read_bytes(), [pyrage.x25519.Recipient.from_str(recipient)], armored=True)
    (here / PLAIN).unlink()
    (here / ENCRYPTED).write_bytes(content)
    with_key = ("prod.yaml", "--identity", "a.key")
    assert kgen("render", *with_key, "--check").code == 0
    assert "does not say who can decrypt it" in kgen("bundle", "edit-recipients", *with_key).out
    ended = kgen("certs", "renew", *with_key)
    assert (ended.code, "does not say whom it is encrypted for" in ended.err, "--add" in ended.err) == (2, True, True)
    assert (here / ENCRYPTED).read_bytes() == content
    assert kgen("bundle", "edit-recipients", *with_key, "--add", recipient).code == 0
    assert kgen("certs", "renew", *with_key).code == 0


def test_without_a_terminal_nobody_is_asked(here, kgen, rendered, monkeypatch):
    (here / "words").write_text(PASSPHRASE)
    assert kgen("bundle", "encrypt", "prod.yaml", "--new-passphrase-file", "words").code == 0
    command = [sys.executable, "-m", "kgen", "certs", "prod.yaml"]
    done = subprocess.run(command, start_new_session=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 2
    assert "there is no terminal to ask for it" in done.stderr
    unlocking.use()
    with pytest.raises(KgenError, match="nobody can be asked"):
        api.certificates(Path("prod.yaml"))


@pytest.mark.parametrize("form", ["Ed25519", "RSA", "RSA in PEM"])
def test_ssh_keys_are_identities_too(kgen, rendered, here, form):
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = ed25519.Ed25519PrivateKey.generate() if form == "Ed25519" else rsa.generate_private_key(65537, 2048)
    inside = PrivateFormat.TraditionalOpenSSL if form == "RSA in PEM" else PrivateFormat.OpenSSH
    private = b"\n" + key.private_bytes(Encoding.PEM, inside, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    (here / "id").write_bytes(private)
    (here / "recipients").write_text(f"# the team\n\n{public} me@example\n")
    assert kgen("bundle", "encrypt", "prod.yaml", "--recipients-file", "recipients").code == 0
    assert kgen("certs", "prod.yaml", "--identity", "id").code == 0
    assert public in kgen("bundle", "edit-recipients", "prod.yaml", "--identity", "id").out
    (here / "id").write_bytes(private[:100])
    assert "the SSH key in the identity file cannot be used" in kgen("certs", "prod.yaml", "--identity", "id").err


def test_two_files_are_an_error_that_names_both(kgen, here, encrypted):
    (here / PLAIN).write_text("")
    for words in (("render",), ("certs",), ("bundle", "decrypt")):
        ended = kgen(*words, "prod.yaml", "--identity", "a.key")
        assert (ended.code, f"there are two secrets bundles: {PLAIN} and {ENCRYPTED}" in ended.err) == (2, True)


def test_decrypt_brings_back_the_plain_file(kgen, rendered, here, identity):
    before = (here / PLAIN).read_bytes()
    assert kgen("bundle", "encrypt", "prod.yaml", "--recipient", identity("a.key")).code == 0
    assert kgen("bundle", "decrypt", "prod.yaml", "--identity", "a.key").code == 0
    assert (here / PLAIN).read_bytes() == before
    assert stat.S_IMODE((here / PLAIN).stat().st_mode) == 0o600
    assert ENCRYPTED not in files(here)


def test_create_makes_a_bundle_that_is_never_plain(kgen, here, identity, monkeypatch):
    written = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, content: written.append(bytes(content)) or real(fd, content))
    encrypt = ("bundle", "encrypt", "prod.yaml", "--recipient", identity("a.key"))
    ended = kgen(*encrypt)
    assert (ended.code, "there is no secrets bundle" in ended.err) == (2, True)
    assert kgen(*encrypt, "--create").code == 0
    assert not any(b"kind: SecretsBundle" in content for content in written)
    assert kgen("render", "prod.yaml", "--identity", "a.key").code == 0


def test_a_new_cluster_stays_encrypted_and_keeps_the_old_bundle(kgen, here, encrypted):
    before = encrypted.read_bytes()
    assert kgen("render", "prod.yaml", "--new-cluster", "--identity", "a.key").code == 0
    assert (here / "prod.old-1.secrets.yaml.age").read_bytes() == before
    assert kgen("certs", "prod.yaml", "--identity", "a.key").code == 0
    assert PLAIN not in files(here)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "give recipients or a passphrase"),
        (("--recipient", "age1x"), "'age1x' is not a recipient of age"),
        (("--recipient", "AGE-SECRET-KEY-1SECRET"), "a recipient is public, and this is an identity"),
        (("--recipient", "age1yubikey1qwerty"), "'age1yubikey1qwerty' needs a plugin of age"),
        (("--recipient", "age1pq1" + 1952 * "q"), "qqq…' is a post-quantum recipient"),
        (("--recipient", "ecdsa-sha2-nistp256 AAAA me"), "or a public key of SSH: ssh-ed25519 or ssh-rsa"),
        (("--recipients-file", "none"), "none: No such file"),
        (("--recipients-file", "binary"), "binary is not text"),
        (("--new-passphrase-file", "empty"), "an empty passphrase protects nothing"),
    ],
)
def test_what_cannot_encrypt_leaves_the_plain_file(kgen, rendered, here, words, says):
    (here / "empty").write_text("\n")
    (here / "binary").write_bytes(b"\xff\xfe")
    before = (here / PLAIN).read_bytes()
    ended = kgen("bundle", "encrypt", "prod.yaml", *words)
    assert (ended.code in (1, 2), says in ended.err) == (True, True), ended.err
    assert "1SECRET" not in ended.err
    assert (here / PLAIN).read_bytes() == before


def test_an_encrypted_bundle_says_what_to_do_instead(kgen, encrypted, identity):
    ended = kgen("bundle", "encrypt", "prod.yaml", "--recipient", identity("b.key"), "--identity", "a.key")
    assert (ended.code, "is encrypted with age already" in ended.err, "edit-recipients" in ended.err) == (2, True, True)


def test_a_kill_while_encrypting_leaves_one_bundle(kgen, rendered, here, identity):
    killed = """
import os, sys
from pathlib import Path
from kgen import api
Path.rename = lambda *names: os.kill(os.getpid(), 9)
api.encrypt_bundle(Path("prod.yaml"), [sys.argv[1]])
"""
    assert subprocess.run([sys.executable, "-c", killed, identity("a.key")], check=False).returncode == -9
    assert files(here) & {PLAIN, ENCRYPTED} == {PLAIN}
    assert kgen("certs", "prod.yaml", "--identity", "a.key").code == 0
    again = kgen("bundle", "encrypt", "prod.yaml", "--recipient", identity("b.key"), "--identity", "a.key")
    assert (again.code, f"`mv {PLAIN} {ENCRYPTED}`" in again.err) == (2, True)


def test_a_kill_while_decrypting_leaves_one_bundle(kgen, here, encrypted):
    killed = """
import os
from pathlib import Path
from kgen import api
from kgen.output import disk
from kgen.secrets_bundle import unlocking
unlocking.use(Path("a.key"))
disk.replace_file = lambda *words: os.kill(os.getpid(), 9)
api.decrypt_bundle(Path("prod.yaml"))
"""
    assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == -9
    assert files(here) & {PLAIN, ENCRYPTED} == {PLAIN}
    assert age.is_encrypted((here / PLAIN).read_bytes())
    assert kgen("bundle", "decrypt", "prod.yaml", "--identity", "a.key").code == 0
    assert not age.is_encrypted((here / PLAIN).read_bytes())


@pytest.mark.parametrize(
    "words",
    [("decrypt",), ("edit-recipients", "--add", "{b}"), ("edit-recipients", "--new-passphrase-file", "words")],
)
def test_a_full_disk_changes_nothing(kgen, here, encrypted, identity, words):
    (here / "words").write_text(PASSPHRASE)
    command = [word.format(b=identity("b.key")) for word in words]
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        ended = kgen("bundle", command[0], "prod.yaml", *command[1:], "--identity", "a.key")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (ended.code, f"hint: {ENCRYPTED} is as it was" in ended.err) == (1, True), ended.err
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_whoever_waited_while_it_was_encrypted_starts_no_new_bundle(kgen, rendered, here, identity):
    path = store.path_for(Path("prod.yaml"))
    api.encrypt_bundle(Path("prod.yaml"), [identity("a.key")])
    with pytest.raises(KgenError, match="another kgen has just made"), store.locked(path):
        pass


def test_an_encrypted_bundle_is_no_warning(kgen, here, encrypted):
    encrypted.chmod(0o644)  # as git checks it out
    assert kgen("render", "prod.yaml", "--identity", "a.key").err.count("warning: prod.secrets") == 0


@pytest.mark.real
def test_git_may_track_an_encrypted_bundle(kgen, here, encrypted):
    for words in (("init", "-q"), ("add", "-f", ENCRYPTED)):
        subprocess.run(["git", *words], check=True, capture_output=True)
    assert "B302" not in kgen("render", "prod.yaml", "--identity", "a.key").err


def test_the_exposure_report_says_encrypted(kgen, here, encrypted):
    report = json.loads(kgen("exposure", "prod.yaml", "--identity", "a.key", "--json").out)
    kinds = {place["kind"] for secret in report["secrets"] for place in secret["places"]}
    assert "encryptedBundle" in kinds
    assert "bundle" not in kinds
    assert kgen("exposure", "prod.yaml", "--identity", "a.key", "--fail-on", "bundle").code == 0
    assert kgen("exposure", "prod.yaml", "--identity", "a.key", "--fail-on", "encryptedBundle").code == 3
    unlocking.use(here / "a.key")
    bundle = store.read(encrypted)
    assert bundle is not None
    armored = encrypted.read_bytes()
    raw = base64.b64decode(b"".join(armored.splitlines()[1:-1]))
    for entry in bundle.entries.values():
        key = "".join((entry.key or "").splitlines()[1:-1]).encode()
        assert key[40:-40] not in armored
        assert base64.b64decode(key) not in raw


def test_sops_is_needed_where_sops_has_encrypted(kgen, rendered, here, monkeypatch):
    (here / PLAIN).unlink()
    (here / SOPS).write_text("apiVersion: ENC[AES256_GCM,data:x]\nsops:\n    version: 3.9.0\n")
    monkeypatch.setenv("PATH", str(here))
    ended = kgen("render", "prod.yaml")
    assert (ended.code, f"{SOPS} is encrypted with SOPS, and there is no program `sops`" in ended.err) == (2, True)
    assert files(here) & {PLAIN, ENCRYPTED} == set()


@pytest.fixture
def sops(kgen, rendered, here, identity, monkeypatch) -> Path:
    """The bundle of ``prod.yaml``, encrypted by the real sops, which finds its key."""
    programs = golang.sops(SOPS_VERSION)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(here / "a.key"))
    (here / ".sops.yaml").write_text(f"creation_rules: [{{age: {identity('a.key')}}}]\n")
    _sops(here)
    return here / SOPS


def _sops(here: Path) -> None:
    """Encrypt as the page says."""
    subprocess.run(["sops", "encrypt", "--output", SOPS, PLAIN], cwd=here, check=True, capture_output=True)
    (here / PLAIN).unlink()


@pytest.mark.real
def test_every_verb_reads_what_sops_itself_has_encrypted(kgen, here, sops):
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    assert b"PRIVATE KEY" not in before[sops]
    for words in (("certs",), ("diff",), ("exposure",), ("token", "join-command"), ("export", "kubeadm"), ("render",)):
        ended = kgen(*words, "prod.yaml")
        assert ended.code == 0, (words, ended.err)
    assert kgen("exposure", "prod.yaml", "--fail-on", "bundle").code == 0
    for words in (("certs", "renew"), ("bundle", "encrypt", "--recipient", "age1x"), ("bundle", "edit-recipients")):
        ended = kgen(*words, "prod.yaml")
        assert (ended.code, "hint: " in ended.err, "Traceback" in ended.err) == (2, True, False), (words, ended.err)
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before
    sops.rename(here / PLAIN)  # SOPS' metadata say what it is
    assert kgen("render", "prod.yaml", "--check").code == 0


@pytest.mark.real
def test_a_bundle_of_sops_is_changed_as_the_page_says(kgen, here, sops):
    with (here / "prod.yaml").open("a") as file:
        file.write("users: [{name: ops, plain_text_passwd: test-only, lock_passwd: false}]\n")
    ended = kgen("render", "prod.yaml")
    assert (ended.code, "kgen only reads what SOPS has encrypted" in ended.err) == (2, True)
    assert follow(kgen, here, "SOPS") == ["bundle", "render"]
    assert "ops" in store.read(here / PLAIN).password_hashes
    _sops(here)
    assert kgen("render", "prod.yaml", "--check").code == 0


@pytest.mark.real
def test_sops_says_why_it_cannot_decrypt(kgen, here, sops, monkeypatch):
    content = sops.read_bytes()
    place = content.index(b"ENC[", content.index(b"bootstrapTokens")) + len("ENC[AES256_GCM,data:")
    sops.write_bytes(content[:place] + (b"B" if content[place] == ord("A") else b"A") + content[place + 1 :])
    ended = kgen("render", "prod.yaml")
    assert (ended.code, f"sops cannot decrypt {SOPS}: " in ended.err, "Traceback" in ended.err) == (2, True, False)
    sops.write_bytes(content)
    monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(here / "none.key"))
    ended = kgen("render", "prod.yaml")
    assert (ended.code, f"`sops decrypt {SOPS} > /dev/null` says more" in ended.err) == (2, True)


def test_the_page_can_be_followed(kgen, rendered, here, identity, monkeypatch):
    (here / "team.txt").write_text(f"# the team\n{identity('kgen.key')}\n{identity('other.key')}\n")
    assert follow(kgen, here, "# How to encrypt") == ["bundle"]
    monkeypatch.setenv("KGEN_AGE_IDENTITY_FILE", "kgen.key")
    assert follow(kgen, here, "Work with it") == ["render", "certs"]
    assert follow(kgen, here, "Back to plain text") == ["bundle"]
    assert PLAIN in files(here)


@pytest.mark.real
def test_age_itself_makes_identities_and_opens_what_kgen_writes(kgen, rendered, here):
    programs = golang.age(AGE_VERSION)
    before = (here / PLAIN).read_bytes()
    subprocess.run([programs / "age-keygen", "-o", "kgen.key"], check=True, capture_output=True)
    command = [programs / "age-keygen", "-y", "kgen.key"]
    recipient = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    assert kgen("bundle", "encrypt", "prod.yaml", "--recipient", recipient, "--identity", "kgen.key").code == 0
    opened = subprocess.run(
        [programs / "age", "-d", "-i", "kgen.key", ENCRYPTED], check=True, capture_output=True
    ).stdout
    assert opened.replace(f"ageRecipients:\n- {recipient}\n".encode(), b"") == before
    for armor in (["--armor"], []):  # and the other way round, with what age adds to a file
        (here / ENCRYPTED).unlink()
        subprocess.run([programs / "age", "-r", recipient, *armor, "-o", ENCRYPTED], input=opened, check=True)
        ended = kgen("render", "prod.yaml", "--check", "--identity", "kgen.key")
        assert ended.code == 0, ended.err
