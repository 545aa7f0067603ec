"""``kgen publish --to serve``: stubs that fetch their payload from a real ``kgen serve``, by HTTPS."""

import hashlib
import json
import socket
import subprocess
import sys

import pytest
import yaml
from tests import clusters, pages
from tests.unit.cli.conftest import Ended
from tests.unit.runner.scratch import PYTHONS, payloads, python_of

from kgen.user_data.document import compressed
from kgen.user_data.stub import Store, stub_text

BY_REFERENCE = "userData: {secrets: byReference}\nprovider: hetzner\n"


def made(directory, name):
    """Return the files of a new certificate and its key."""
    certificate, key = directory / f"{name}.crt", directory / f"{name}.key"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    words += ["-subj", "/CN=kgen", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(words, check=True, capture_output=True)
    return certificate, key


@pytest.fixture
def url():
    """The URL of a port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"https://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def pair(here):
    return made(here, "serve")


@pytest.fixture
def published(here, kgen, url, pair):
    """The output of a cluster whose stubs ask ``kgen serve``."""
    with (here / "prod.yaml").open("a") as file:
        file.write(BY_REFERENCE)
    assert kgen("render", "prod.yaml").code == 0
    ended = kgen("publish", "prod.yaml", "--to", "serve", "--url", url, "--certificate", str(pair[0]))
    assert ended.code == 0, ended.err
    listen = url.rpartition(":")[2]
    serve = f"kgen serve prod.yaml --listen 0.0.0.0:{listen} --certificate {pair[0]} --key KEY"
    assert f"next: `{serve}`\n  gives each machine its payload, once, at {url}" in ended.out
    assert "warning: kgen serve gives a payload once, to one machine, so the pool workers has no stub" in ended.err
    return here / "outputs/prod"


@pytest.fixture
def serving(here, published, url, pair):
    """A function that starts ``kgen serve`` and returns its process, once it listens."""
    processes = []

    def start(certificate=pair, *words):
        command = [
            sys.executable,
            "-m",
            "kgen",
            "serve",
            "prod.yaml",
            "--listen",
            url.removeprefix("https://"),
            "--json",
        ]
        command += ["--certificate", str(certificate[0]), "--key", str(certificate[1]), "--any-address", *words]
        process = subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        assert json.loads(process.stdout.readline())["event"] == "listening"
        return process

    yield start
    for process in processes:
        process.terminate()
        process.communicate()


def stub(root, machine):
    return yaml.safe_load((root / f"publish/user-data/{machine}.yaml").read_text())


def boot(root, machine, at, python=(sys.executable,), **changes):
    """Run a stub's program as a machine does, with files below ``at``; return its code and output."""
    (file,) = stub(root, machine)["write_files"]
    # The program is fetched and checked as it is; only then its files are led below a directory.
    lead = (
        "exec(told.replace('in files:', f'in files:\\n        path = {ROOT!r} + path').replace('os.execv(', 'print('))"
    )
    code = file["content"].replace("exec(fetch(", f"ROOT = {str(at)!r}\ntold = (fetch(") + lead + "\n"
    changes = {"/etc/kgen/payload.json": f"{at}/etc/kgen/payload.json", "time.sleep(10)": "time.sleep(0.01)", **changes}
    for old, new in changes.items():
        assert old in code
        code = code.replace(old, new)
    ended = subprocess.run([*python, "-Iu", "-c", code], capture_output=True, text=True, check=False, timeout=60)
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize("suite", PYTHONS)
def test_a_machine_gets_its_payload_once(published, serving, tmp_path, suite):
    server = serving()
    code, said = boot(published, "m1", tmp_path / "m1", python_of(suite)[:1])
    assert code == 0, said
    payload = json.loads((tmp_path / "m1/etc/kgen/payload.json").read_text())
    whole = yaml.safe_load((published / "documents/m1.yaml").read_text())
    (wanted,) = (each["content"] for each in whole["write_files"] if each["path"] == "/etc/kgen/payload.json")
    assert payload == json.loads(wanted)
    assert (tmp_path / "m1/etc/kgen/payload.json").stat().st_mode & 0o777 == 0o600
    code, said = boot(published, "m1", tmp_path / "thief", **{"range(60": "range(1"})
    assert (code, said.count("HTTP 410 this document was taken already")) == (1, 2), said
    assert not (tmp_path / "thief").exists()
    token = stub(published, "m1")["write_files"][0]["content"].split("8443/")[-1].partition("/m1/object")[0][-48:]
    server.terminate()
    events, errors = server.communicate()
    assert "took object" in events
    assert token not in events + errors + said


def test_another_server_does_not_learn_the_token(published, serving, here, tmp_path, kgen, url):
    """It presents another certificate, and gives what it has to whoever asks."""
    other = made(here, "other")
    program = (
        "import http.server, ssl, sys\n"
        "class Handler(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self): print(self.path, flush=True)\n"
        f"server = http.server.HTTPServer(('127.0.0.1', {url.rpartition(':')[2]}), Handler)\n"
        "tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n"
        f"tls.load_cert_chain({str(other[0])!r}, {str(other[1])!r})\n"
        "server.socket = tls.wrap_socket(server.socket, server_side=True)\n"
        "print('listening', flush=True)\n"
        "server.serve_forever()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "listening\n"
    code, said = boot(published, "w1", tmp_path / "w1", **{"range(60": "range(0"})
    process.terminate()
    asked, _ = process.communicate()
    assert (code, asked) == (1, "")
    assert "another server answers: it has not the certificate of this stub" in said
    refused = kgen(
        "serve", "prod.yaml", "--listen", "127.0.0.1:0", "--certificate", str(other[0]), "--key", str(other[1])
    )
    assert refused.code == 2
    assert "is not the certificate that the stubs pin" in refused.err
    refused = kgen("serve", "prod.yaml", "--listen", "127.0.0.1:0")
    assert (refused.code, "stubs ask this server by HTTPS" in refused.err) == (2, True)


def test_what_is_not_what_was_published_does_not_run(published, serving, tmp_path):
    serving()
    (path,) = (published / "publish/objects/kgen/prod/node/w1").iterdir()
    path.chmod(0o600)
    path.write_text("print('taken over')")
    code, said = boot(published, "w1", tmp_path / "w1")
    assert (code, "taken over" in said, "this is not what was published" in said) == (1, False, True)


def test_a_later_boot_goes_on_with_what_the_first_has_fetched(published, tmp_path):
    """Nobody serves any more. The shell that starts the first boot is printed here, not run."""
    (tmp_path / "w1/etc/kgen").mkdir(parents=True)
    (tmp_path / "w1/etc/kgen/payload.json").write_text("{}")
    start = 'os.execv("/bin/sh", ["sh", "-c", start])'
    _, said = boot(published, "w1", tmp_path / "w1", **{start: "sys.exit(start)", "range(60": "range(0"})
    assert "systemctl start kgen-firstboot" in said


def test_stubs_hold_no_secret_and_are_the_same_each_time(published, kgen, url, pair):
    before = {path.name: path.read_bytes() for path in (published / "publish/user-data").iterdir()}
    assert set(before) == {"m1.yaml", "m1.yaml.gz", "w1.yaml", "w1.yaml.gz"}
    assert kgen("exposure", "prod.yaml", "--fail-on", "userData").code == 0
    words = ("publish", "prod.yaml", "--to", "serve", "--url", url, "--certificate", str(pair[0]))
    assert kgen(*words, "--dry-run").out == "everything is published\n"
    assert kgen(*words).code == 0
    assert {path.name: path.read_bytes() for path in (published / "publish/user-data").iterdir()} == before
    attached = kgen("attach", "prod.yaml", "m1")
    assert attached.code == 0, attached.err
    assert "publish/user-data/m1.yaml" in attached.out
    assert "INSTANCE_PROFILE" not in attached.out
    of_pool = kgen("attach", "prod.yaml", "workers")
    assert (of_pool.code, "so the pool workers has no stub" in of_pool.err) == (2, True)
    found = json.loads(kgen("exposure", "prod.yaml", "--json").out)
    assert not [place for each in found["secrets"] for place in each["places"] if place["kind"] == "bucket"]
    assert kgen("unpublish", "prod.yaml").code == 0
    assert not (published / "publish").exists()


def test_seeds_hold_the_stubs(published, kgen):
    ended = kgen("seed", "prod.yaml")
    assert ended.code == 0
    assert "workers has no stub" in ended.err
    assert sorted(path.name for path in (published / "seed").iterdir()) == ["m1", "m1.iso", "w1", "w1.iso"]
    for name in ("m1", "w1"):
        stub_of_machine = (published / f"publish/user-data/{name}.yaml").read_bytes()
        assert (published / f"seed/{name}/user-data").read_bytes() == stub_of_machine
        assert stub_of_machine in (published / f"seed/{name}.iso").read_bytes()
    ended = kgen("exposure", "prod.yaml", "--fail-on", "seeds", "--fail-on", "userData")
    assert (ended.code, ended.err) == (0, "")
    assert "path=outputs/prod/seed/m1.iso" in kgen("attach", "prod.yaml", "m1", "--with", "virt-install").out
    ended = kgen("seed", "prod.yaml", "--pool", "workers", "--name", "w7")
    assert (ended.code, "the pool workers has no stub" in ended.err) == (2, True)


def test_a_stub_that_would_be_another_one_now_is_not_given_out(published, here, kgen, pair):
    """What cloud-init takes from the stub is in no object, so its key stays."""
    path = here / "prod.yaml"
    path.write_text(path.read_text() + "users: [{name: ops, hashed_passwd: $6$salt$once}]\n")
    words = ("--to", "serve", "--url", "https://10.0.0.2:8443", "--certificate", str(pair[0]))
    for verb in (("render",), ("publish", *words), ("seed",)):
        assert kgen(verb[0], "prod.yaml", *verb[1:]).code == 0
    path.write_text(path.read_text().partition("users:")[0])
    assert kgen("render", "prod.yaml").code == 0
    serve = ("serve", "prod.yaml", "--listen", "127.0.0.1:0", "--certificate", str(pair[0]), "--key", str(pair[1]))
    for verb in (("seed", "prod.yaml"), ("seed", "prod.yaml", "--check"), ("attach", "prod.yaml", "m1"), serve):
        ended = kgen(*verb)
        assert (ended.code, "is not what is published" in ended.err) == (2, True), ended.err
    ended = kgen("exposure", "prod.yaml", "--json", "--fail-on", "userData", "--fail-on", "seeds")
    assert ended.code == 3
    outdated = json.loads(ended.out)["outdated"]
    assert {"publish/user-data/m1.yaml", "publish/user-data/w1.yaml.gz"} < {*outdated["userData"]}
    assert {*outdated["seeds"]} == {"seed/m1/user-data", "seed/w1/user-data"}
    assert kgen("publish", "prod.yaml", *words).code == kgen("seed", "prod.yaml").code == 0
    ended = kgen("exposure", "prod.yaml", "--fail-on", "userData", "--fail-on", "seeds")
    assert (ended.code, ended.err) == (0, "")


def test_objects_of_before_are_reported(published, here, kgen):
    path = here / "prod.yaml"
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if "name: w1" not in line))
    kinds = json.loads(kgen("exposure", "prod.yaml", "--json", "--fail-on", "userData").out)["outdated"]
    (of_object,) = (found for found in kinds["documents"] if found.startswith("publish/objects/kgen/prod/node/w1/"))
    assert "documents/w1.yaml.gz" in kinds["documents"]
    assert {*kinds["userData"]} == {"publish/user-data/w1.yaml", "publish/user-data/w1.yaml.gz"}
    assert kgen("render", "prod.yaml").code == 0
    assert f"outputs/prod/{of_object}" in kgen("exposure", "prod.yaml").err


def test_a_pool_has_no_seed_to_attach(published, kgen):
    assert kgen("seed", "prod.yaml").code == 0
    ended = kgen("attach", "prod.yaml", "workers", "--with", "qm")
    assert (ended.code, "it is of a pool without a stub" in ended.err) == (2, True)


def test_a_changed_cluster_must_be_published_again(published, here, kgen, pair):
    text = (here / "prod.yaml").read_text()
    (here / "prod.yaml").write_text(text.replace("role: node, address", "role: node, labels: {rack: r7}, address"))
    assert kgen("render", "prod.yaml").code == 0
    serve = kgen("serve", "prod.yaml", "--listen", "127.0.0.1:0", "--certificate", str(pair[0]), "--key", str(pair[1]))
    assert serve.code == 2
    assert "of w1 is not what is published" in serve.err
    attached = kgen("attach", "prod.yaml", "w1")
    assert (attached.code, "kgen publish prod.yaml --to serve --url https://" in attached.err) == (2, True)
    seeds = kgen("seed", "prod.yaml")
    assert (seeds.code, "of w1 is not what is published" in seeds.err) == (2, True)
    assert not (published / "seed").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "the stubs must know the address and the certificate of kgen serve"),
        (("--url", "http://10.0.0.2:8443", "--certificate", "serve.crt"), "give --url https://ADDRESS:PORT"),
        (("--url", "https://10.0.0.2:8443", "--certificate", "none.crt"), "cannot read none.crt: no such file"),
        (("--url", "https://10.0.0.2:8443", "--certificate", "prod.yaml"), "prod.yaml holds no certificate"),
        (
            ("--url", "https://10.0.0.2", "--certificate", "serve.crt", "--region", "x"),
            "a region and a KMS key are AWS's",
        ),
        (("--url", "https://10.0.0.2", "--certificate", "serve.crt", "--bucket", "b"), "a bucket is for S3"),
        *(
            (("--url", url, "--certificate", "serve.crt"), "give --url https://ADDRESS:PORT")
            for url in (
                "https://ADDRESS:PORT",
                "https://",
                "https://h:99999",
                "https://h:0",
                "https://h:1/a",
                "https://h:1/a b",
                "https://u@h",
                "https://h?q",
                "https://h\n",
            )
        ),
        (("--print-policies",), "kgen serve asks nothing of AWS"),
    ],
)
def test_wrong_arguments(rendered, kgen, pair, words, said):
    ended = kgen("publish", "prod.yaml", "--to", "serve", *words)
    assert (ended.code, said in ended.err) == (2, True), ended.err
    assert not (rendered / "publish").exists()


def test_the_server_is_for_no_other_place(rendered, kgen):
    ended = kgen("publish", "prod.yaml", "--bucket", "b", "--url", "https://10.0.0.2")
    assert (ended.code, "--url and --certificate are those of kgen serve" in ended.err) == (2, True)


def test_the_commands_of_the_page_run(kgen, here, pair):
    text = pages.page("user-data-from-kgen-serve.md")
    (here / "prod.yaml").write_text(pages.cluster_file(text))

    def run(verb, *words):
        """Run kgen; a server would serve for ever: its options are those of the other tests."""
        return Ended(0, "", "") if verb == "serve" else kgen(verb, *words)

    ran = pages.follow(text, run, has_output=False)
    assert ran == ["render", "publish", "exposure", "serve", "attach"]


def test_a_stub_fits_1500_bytes():
    cluster = clusters.one_master()
    digest = hashlib.sha256().hexdigest()
    place = Store("https://kgen.boot.prod.example.com:8443", service="serve", pin=digest, secret="s")
    text = stub_text(cluster, payloads(cluster)["m1"], place, f"kgen/mini/master/m1/{digest}", ())
    assert len(compressed(text.encode())) <= 1500
