"""``kgen serve`` as a program: what it serves, prints, refuses, and how it ends."""

import gzip
import json
import os
import pty
import signal
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.secret_search import search

from kgen.secrets_bundle import store

KGEN = (sys.executable, "-m", "kgen")


@contextmanager
def server(*arguments: str, **more):
    """Run kgen serve until the end of the block, and yield the process when it listens."""
    words = [*KGEN, "serve", "prod.yaml", "--listen", "127.0.0.1:0", *arguments]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def get(url: str, data: bytes | None = None) -> bytes:
    with urllib.request.urlopen(url, data, timeout=120) as answer:
        return answer.read()


def seed_urls(here) -> dict[str, str]:
    lines = (here / "urls").read_text().splitlines()
    return {line.split(" ", 1)[0]: line.split("s=")[-1] for line in lines}


def test_once_ends_with_0_when_every_machine_has_its_documents(here, rendered):
    with server("--once", "--json", "--any-address", "--urls", "urls") as process:
        started = json.loads(process.stdout.readline())
        assert started["machines"] == ["m1", "w1"]
        urls = seed_urls(here)
        assert urls["m1"].startswith(started["url"] + "/")
        assert stat.S_IMODE((here / "urls").stat().st_mode) == 0o600
        assert f"m1 ds=nocloud;dsmode=net;i=prod-m1;s={urls['m1']}\n" in (here / "urls").read_text()
        for name, url in urls.items():
            assert get(url + "meta-data") == f"instance-id: prod-{name}\nlocal-hostname: {name}\n".encode()
            assert get(url + "user-data") == gzip.decompress((rendered / f"user-data/{name}.yaml.gz").read_bytes())
            get(url + "vendor-data")
        assert process.wait(120) == 0
        out, err = process.communicate()
    events = [json.loads(line) for line in out.splitlines()]
    took = sorted((event["machine"], event["text"].split("(")[0]) for event in events)
    assert took == [
        (name, f"took {file} ") for name in ("m1", "w1") for file in ("meta-data", "user-data", "vendor-data")
    ]
    assert {event["event"] for event in events} == {"served"}
    assert err == ""
    assert not [url for url in urls.values() if url.split("/")[3] in out]


def test_no_secret_of_the_bundle_is_in_what_it_writes_and_prints(here, rendered):
    with server("--once", "--json", "--any-address", "--urls", "urls") as process:
        process.stdout.readline()
        for url in seed_urls(here).values():
            get(url + "user-data")
            get(url + "vendor-data")
        out, err = process.communicate(timeout=60)
    written = {"urls": (here / "urls").read_bytes(), "stdout": out.encode(), "stderr": err.encode()}
    assert search(written, store.read(here / "prod.secrets.yaml")) == set()


def test_a_reader_that_leaves_ends_the_server_but_no_transfer(here, rendered):
    with server("--json", "--any-address", "--urls", "urls") as process:
        process.stdout.readline()
        process.stdout.close()
        assert get(seed_urls(here)["w1"] + "user-data") == (rendered / "user-data/w1.yaml").read_bytes()
        assert process.wait(120) == 128 + signal.SIGPIPE
        assert process.stderr.read() == ""


def test_sigterm_ends_it(here, rendered):
    with server("--any-address") as process:
        process.stderr.readline()
        process.terminate()
        assert process.wait(120) == 128 + signal.SIGTERM
        assert process.stderr.read() == ""


def test_without_a_terminal_it_prints_lines(here, rendered):
    with server("--any-address", "--urls", "urls", "--only", "w1") as process:
        assert "serving 1 machines at http://127.0.0.1:" in process.stderr.readline()
        (url,) = seed_urls(here).values()
        get(url + "user-data")
        assert "w1 [127.0.0.1]: took user-data (" in process.stderr.readline()
        with pytest.raises(urllib.error.HTTPError, match="410"):
            get(url + "user-data")
        assert "refused: w1 [127.0.0.1]: asked for user-data again" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 130
        assert process.stdout.read() == ""


def test_on_a_terminal_it_shows_a_table(here, rendered):
    ours, theirs = pty.openpty()
    words = [*KGEN, "serve", "prod.yaml", "--listen", "127.0.0.1:0", "--any-address", "--urls", "urls", "--once"]
    process = subprocess.Popen(
        [*words, "--only", "m1"], stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm"}
    )
    os.close(theirs)
    shown = b""
    try:
        while b"not seen" not in shown:
            shown += os.read(ours, 65536)
        (url,) = seed_urls(here).values()
        get(f"{url.split(url.split('/')[3])[0]}boot.ipxe?mac=52:54:00:00:00:99")
        for document in ("user-data", "vendor-data"):
            get(url + document)
        while True:
            shown += os.read(ours, 65536)
    except OSError:  # the end of the terminal
        assert process.wait(120) == 0
    finally:
        process.kill()
        os.close(ours)
    assert b"user-data taken" in shown
    assert b"(unknown)" in shown
    assert b"not served" in shown
    assert url.split("/")[3].encode() not in shown


def test_a_machine_at_another_address_is_refused(here, rendered):
    with server("--urls", "urls") as process:
        process.stderr.readline()
        with pytest.raises(urllib.error.HTTPError, match="403"):
            get(seed_urls(here)["m1"] + "user-data")
        assert (
            "m1 [127.0.0.1]: asked for user-data from 127.0.0.1, but its address is 10.0.0.11"
            in process.stderr.readline()
        )


def test_what_only_the_bundle_knows_is_in_the_documents(here, kgen):
    text = (here / "prod.yaml").read_text().partition("pools:")[0]
    networking = "networking: {podSubnet: 10.244.0.0/16, plugin: bridge}\n"  # its ranges of pods are in the bundle
    (here / "prod.yaml").write_text(text + networking)
    assert kgen("render", "prod.yaml").code == 0
    with server("--any-address", "--urls", "urls", "--only", "w1") as process:
        process.stderr.readline()
        (url,) = seed_urls(here).values()
        assert get(url + "user-data") == (here / "outputs/prod/user-data/w1.yaml").read_bytes()


def test_named_machines_of_pools_are_served(here, kgen, rendered):
    assert kgen("seed", "prod.yaml", "--pool", "workers", "--name", "w7").code == 0
    with server("--urls", "urls", "--only", "w7") as process:
        process.stderr.readline()
        (url,) = seed_urls(here).values()
        assert get(url + "meta-data") == (rendered / "seed/w7/meta-data").read_bytes()
        assert get(url + "user-data") == (rendered / "seed/w7/user-data").read_bytes()


def test_ipxe_gets_kernel_initrd_and_seed(here, rendered):
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text().replace("0.21}", "0.21, mac: 52:54:00:00:00:21}"))
    (here / "boot").mkdir()
    for name in ("vmlinuz", "initrd.img"):
        (here / "boot" / name).write_text(name)
    words = "--boot-files", "boot", "--append", "root=/dev/vda ro", "--any-address", "--url", "http://boot.example.com/"
    with server(*words, "--json") as process:
        url = f"http://127.0.0.1:{process_port(process)}"
        assert b"chain --replace http://boot.example.com/boot.ipxe?" in get(f"{url}/boot.ipxe")
        script = get(f"{url}/boot.ipxe?mac=52:54:00:00:00:21").decode()
        assert (
            "kernel http://boot.example.com/boot/vmlinuz initrd=initrd.img root=/dev/vda ro "
            "ds=nocloud;dsmode=net;i=prod-w1;s=http://boot.example.com/"
        ) in script
        assert "initrd http://boot.example.com/boot/initrd.img" in script
        assert get(f"{url}/boot/vmlinuz") == b"vmlinuz"
        assert json.loads(process.stdout.readline())["stage"] == "loader"


def process_port(process) -> int:
    """Return the port of a server that was given a --url, from the sockets of its process."""
    process.stdout.readline()
    inodes = set()
    for link in Path(f"/proc/{process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # a file that the server has closed meanwhile
            inodes.add(str(link.readlink())[8:-1])
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (port,) = (int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A" and row[9] in inodes)
    return port


def test_what_was_not_rendered_is_not_served(here, kgen, rendered):
    text = (here / "prod.yaml").read_text()
    (here / "prod.yaml").write_text(text.replace("10.0.0.21}", "10.0.0.21, labels: {rack: r1}}"))
    ended = kgen("serve", "prod.yaml")
    assert ended.code == 2
    assert "what prod.yaml says now of w1 is not what was rendered" in ended.err
    assert "kgen render prod.yaml" in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--urls", "urls"), "0.0.0.0 stands for all addresses of this computer"),
        (("--listen", "8080"), "has no IP address before the port"),
        (("--listen", "10.0.0.1"), "has no IP address before the port"),
        (("--listen", "10.0.0.1:99999"), "has no port"),
        (("--listen", "fd00::1:80"), "has no port"),
        (("--listen", "localhost:80"), "has no IP address before the port"),
        (("--url", "ftp://x"), "is not the URL of a server"),
        (("--url", "http://x/;y"), "is not the URL of a server"),
        (("--url", "http://[::1"), "is not the URL of a server"),
        (("--url", "http://[x]:80"), "is not the URL of a server"),
        (("--url", "http://10.0.0.2:99999"), "is not the URL of a server"),
        (("--url", "http://10.0.0.2:http"), "is not the URL of a server"),
        (("--url", "http://10.0.0.2:0"), "is not the URL of a server"),
        (("--append", "a\nb", "--boot-files", "."), "one line of printable ASCII"),
        (("--append", "ds=nocloud", "--boot-files", "."), "leave ds= out"),
        (("--append", "quiet # said", "--boot-files", "."), "leave # out: iPXE ends a command there"),
        (("--append", "quiet && ro", "--boot-files", "."), "leave && out: iPXE ends a command there"),
        (("--append", "quiet"), "give that, too"),
        (("--certificate", "x"), "--certificate and --key belong together"),
    ],
)
def test_wrong_arguments_are_refused(kgen, arguments, said):
    ended = kgen("serve", "prod.yaml", *arguments)
    assert ended.code == 2
    assert said in ended.err


def test_what_does_not_fit_the_cluster_or_the_disk_is_refused(kgen, rendered):
    for arguments, said in (
        (("--only", "m9"), "there is no machine 'm9'"),
        (("--boot-files", "."), "has no vmlinuz"),
        (("--certificate", "prod.yaml", "--key", "y"), "cannot read y: no such file"),
        (("--certificate", "prod.yaml", "--key", "prod.yaml"), "cannot be used: one of them is not PEM, or the key"),
        (("--server", "http://10.0.0.11:6443"), "--server: 'http://10.0.0.11:6443' is not the address"),
        (("--dhcp",), "--dhcp needs the port of kgen serve"),
        (("--dhcp", "--url", "http://localhost:8080"), "PXE needs an IPv4 address of this computer"),
    ):
        ended = kgen("serve", "prod.yaml", "--listen", "127.0.0.1:0", *arguments)
        assert ended.code == 2
        assert said in ended.err
        assert "serving" not in ended.err


def test_a_place_for_urls_that_is_a_directory_is_named_as_it_was_given(here, kgen, rendered):
    (here / "urls").mkdir()
    ended = kgen("serve", "prod.yaml", "--listen", "127.0.0.1:0", "--urls", "urls")
    assert ended.code == 1
    assert ended.err == "error: urls: is a directory\n  hint: move it away and try again\n"


def test_an_address_where_it_cannot_listen_is_refused(kgen, rendered):
    ended = kgen("serve", "prod.yaml", "--listen", "192.0.2.1:8080")
    assert ended.code == 1
    assert ended.err == (
        "error: cannot listen on 192.0.2.1 port 8080: cannot assign requested address\n"
        "  hint: this computer has no such address: `ip address` lists those it has\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as other:
        ended = kgen("serve", "prod.yaml", "--listen", f"127.0.0.1:{other.getsockname()[1]}")
    assert ended.code == 1
    assert "address already in use\n  hint: another program listens there" in ended.err


def test_without_a_render_there_is_nothing_to_serve(kgen):
    ended = kgen("serve", "prod.yaml")
    assert ended.code == 2
    assert "kgen render" in ended.err
