"""The server on a real socket: its answers, and clients that mean no good."""

import json
import re
import socket
import ssl
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from ipaddress import ip_address

import pytest
from tests.unit.delivering.conftest import USER_DATA, parsed, received, slow_reader

from kgen import resources
from kgen.delivering.registry import Target
from kgen.delivering.server import Limits

HOME = ip_address("127.0.0.1")


def eventually(condition):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not condition():
        time.sleep(0.02)
    return condition()


def rest_of(client: socket.socket) -> bytes:
    """Return what a client still gets of a connection that the server resets."""
    found = b""
    try:
        while part := client.recv(65536):
            found += part
    except ConnectionResetError:
        return found
    raise AssertionError("the connection ended in peace")


def test_a_machine_takes_its_documents_as_cloud_init_does(serving):
    server = serving()
    assert server.seed("m1", "network-config") == (200, b"")  # 404 would make cloud-init try for ten seconds
    assert server.seed("m1", "meta-data") == (200, b"instance-id: prod-m1\n")
    assert server.seed("m1", "user-data") == (200, USER_DATA)
    status, vendor_data = server.seed("m1", "vendor-data")
    assert status == 200
    script = vendor_data.decode()
    url = f"http://127.0.0.1:{server.port}/{server.token('m1')}/m1"
    assert script.startswith("#!/usr/bin/env python3\n")
    assert script.endswith(f"\nstart('{url}/first-boot')\n")
    assert server.registry.entries["m1"].stage == "user-data taken"
    assert server.registry.entries["w1"].stage == "not seen"


@pytest.fixture
def send():
    """The function of the program in vendor-data that sends reports, without long pauses."""
    names = {}
    exec(resources.runner_source("report"), names)
    names["PAUSE_SECONDS"] = names["PAUSE_AFTER_SILENCE_SECONDS"] = 0.02
    return names["send"]


def test_the_first_boots_phases_arrive_until_it_is_done(serving, send, tmp_path):
    server = serving()
    entry = server.registry.entries["m1"]
    url = f"http://127.0.0.1:{server.port}/{server.token('m1')}/m1/first-boot"

    def write(phase: str, step: str, error: str = "") -> None:
        text = json.dumps({"phase": phase, "step": step, "seconds": 1, "error": error, "hint": "", "exit_code": 0})
        (tmp_path / "new").write_text(text)
        (tmp_path / "new").rename(tmp_path / "status.json")

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send, url, str(tmp_path / "status.json"))
        try:
            for story, last in (
                (("running", "files"), "running, step files"),
                (("waiting", "etcd-guard", "m2 is silent\x1b[2J"), "waiting, step etcd-guard: m2 is silent?[2J"),
            ):
                write(*story)
                assert eventually(lambda last=last: entry.last == last)
                assert entry.stage == "first boot"
        finally:
            write("done", "")
        sending.result(60)
    assert (entry.last, entry.stage) == ("done", "first boot ended")


def test_reports_end_when_the_server_does_not_know_the_machine(serving, send, tmp_path):
    server = serving()
    (tmp_path / "status.json").write_text('{"phase": "running", "step": "files", "error": ""}')
    send(f"http://127.0.0.1:{server.port}/other/m1/first-boot", str(tmp_path / "status.json"))
    assert server.registry.entries["m1"].stage == "not seen"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b"\xff", b'{"phase": "running"}', b"[" * 15_000, b" " * 100_000],
    ids=["empty", "list", "no keys", "no text", "too few keys", "too deep", "too long"],
)
def test_a_report_that_is_none_is_refused(serving, body):
    server = serving()
    head = f"POST /{server.token('m1')}/m1/first-boot HTTP/1.1\r\nHost: k\r\nContent-Length: {len(body)}\r\n\r\n"
    with server.connect() as client:
        client.sendall(head.encode() + body[:1000])
        if len(body) > 1000:
            client.sendall(body[1000:20_000])
        assert client.recv(65536).startswith(b"HTTP/1.1 400 ")
    assert server.registry.entries["m1"].stage == "not seen"


def test_machines_that_are_not_in_the_file_are_remembered(serving):
    server = serving()
    for number in range(3):
        assert server.get(f"/boot.ipxe?mac=52:54:00:00:00:0{number}")[0] == 200
    assert list(server.registry.unknown) == ["127.0.0.1"]
    assert "mac 52:54:00:00:00:02" in server.registry.unknown["127.0.0.1"]
    for number in range(50):
        server.registry.unlisted("asked", f"10.0.0.{number}")
    assert list(server.registry.unknown) == [f"10.0.0.{number}" for number in range(40, 50)]


def test_user_data_is_given_once(serving):
    server = serving()
    assert server.seed("m1", "user-data", method="HEAD") == (200, b"")
    assert server.seed("m1", "user-data") == (200, USER_DATA)
    for method in ("GET", "HEAD"):
        assert server.seed("m1", "user-data", method=method)[0] == 410
    assert server.seed("w1", "user-data") == (200, USER_DATA)


def test_http_1_0_gets_it_with_its_length(serving):
    server = serving()
    answer = server.raw(f"GET /{server.token('m1')}/m1/user-data HTTP/1.0\r\n\r\n".encode())
    assert f"content-length: {len(USER_DATA)}".encode() in answer.lower()
    assert answer.endswith(USER_DATA)
    assert server.seed("m1", "user-data", version="1.0")[0] == 410


def test_a_transfer_that_breaks_off_can_be_repeated(serving):
    server = serving()
    request = f"GET /{server.token('m1')}/m1/user-data HTTP/1.1\r\nHost: kgen\r\n\r\n".encode()
    for _ in range(2):
        server.events.clear()
        with slow_reader(server) as client:
            client.sendall(request)
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
        assert eventually(lambda: server.texts()) == ["broke off while it took user-data; it may take it again"]
    assert not server.registry.entries["m1"].is_served
    assert server.seed("m1", "user-data") == (200, USER_DATA)
    assert server.seed("m1", "user-data")[0] == 410


def test_a_client_that_resets_after_the_last_byte_has_taken_it(serving):
    server = serving()
    with server.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.sendall(f"GET /{server.token('m1')}/m1/user-data HTTP/1.1\r\nHost: kgen\r\n\r\n".encode())
        found = b""
        while not found.endswith(b"\r\n0\r\n\r\n"):
            found += client.recv(65536)
    assert eventually(lambda: server.registry.entries["m1"].is_served)
    assert server.seed("m1", "user-data")[0] == 410


def test_a_second_transfer_waits_until_the_first_has_ended(serving):
    server = serving(limits=Limits(document_seconds=1))
    request = f"GET /{server.token('m1')}/m1/user-data HTTP/1.1\r\nHost: kgen\r\n\r\n".encode()
    with slow_reader(server) as first:
        first.sendall(request)
        assert first.recv(100)
        assert server.seed("m1", "user-data") == (200, USER_DATA)
        assert len(rest_of(first)) < len(USER_DATA)
    assert server.seed("m1", "user-data")[0] == 410


def test_another_machine_gets_nothing(serving):
    server = serving(Target("m1", (ip_address("10.0.0.11"),)), Target("w1", (HOME,)), Target("w2"))
    for document in ("meta-data", "user-data", "vendor-data", "network-config"):
        assert server.seed("m1", document)[0] == 403
        assert server.get(f"/{server.token('w1')}/w2/{document}")[0] == 404
    assert server.seed("w1", "user-data")[0] == 200


def test_a_wrong_token_and_a_wrong_name_are_answered_alike(serving):
    server = serving()
    answers = {
        re.sub(rb"Date:.*?\r\n", b"", server.raw(f"GET /{path} HTTP/1.1\r\nHost: kgen\r\n\r\n".encode()))
        for path in ("x/m1/user-data", "x/nobody/user-data", f"{server.token('m1')}/w1/user-data", "x", "x/m1/passwd")
    }
    assert len(answers) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "//",
        "/boot",
        "/boot/",
        "/boot/../secret.yaml",
        "/boot/..%2fsecret.yaml",
        "/boot/%2e%2e/secret.yaml",
        "/boot/..\\secret.yaml",
        "/boot/secret.yaml",
        "/boot/vmlinuz/",
        "/boot/vmlinuz%00",
        "/boot//vmlinuz",
        "/../../../../etc/passwd",
        "/{token}/",
        "/{token}/m1",
        "/{token}/m1/",
        "/{token}/m1/../m1/user-data",
        "/{token}/m1/user%2ddata",
        "/{token}/m1/user-data/",
        "/{token}/w1/user-data",
        "/{token}//user-data",
        "/boot.ipxe/",
    ],
)
def test_other_paths_are_not_found(serving, tmp_path, path):
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinuz").write_bytes(b"kernel")
    (tmp_path / "secret.yaml").write_bytes(b"secret")
    server = serving(boot={"vmlinuz": tmp_path / "boot/vmlinuz"})
    assert server.get(path.format(token=server.token("m1"))) == (404, b"not found\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"])
def test_other_methods_are_not_found(serving, method):
    server = serving()
    assert server.seed("m1", "user-data", method=method)[0] in (400, 404)
    assert server.get("/boot.ipxe", method=method)[0] in (400, 404)
    assert not server.registry.entries["m1"].is_served


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\0\1\2\3\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost kgen\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: kgen\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: kgen\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 100_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /x/m1/first-boot HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS client
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_malformed_requests_end_and_disturb_nobody(serving, capfd, request_bytes):
    server = serving(limits=Limits(request_seconds=1))
    with server.connect() as client:
        try:
            client.sendall(request_bytes)
            answer = received(client)
        except (ConnectionResetError, BrokenPipeError):
            answer = b""
    assert answer == b"" or int(answer.split()[1]) in (400, 404, 431), answer[:100]
    assert server.seed("m1", "meta-data")[0] == 200
    assert "".join(capfd.readouterr()) == ""


def test_a_large_body_is_not_read(serving):
    server = serving()
    with server.connect() as client:
        path = f"/{server.token('m1')}/m1/first-boot"
        head = f"POST {path} HTTP/1.1\r\nHost: k\r\nContent-Length: 100000000000\r\n\r\n".encode()
        client.sendall(head + b" " * 20_000)
        assert parsed(client.recv(65536))[0] == 400


def test_200_clients_at_once_are_all_served(serving):
    machines = [Target(f"w{number}") for number in range(200)]
    server = serving(*machines)
    with ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(lambda each: server.seed(each.name, "user-data"), machines))
    assert {status for status, _ in answers} == {200}
    assert {body for _, body in answers} == {USER_DATA}
    assert all(entry.is_served for entry in server.registry.entries.values())


def test_200_clients_with_one_token_get_it_once(serving):
    server = serving()

    def take(_: int) -> bool:
        try:
            return server.seed("m1", "user-data") == (200, USER_DATA)
        except (OSError, ValueError, IndexError):  # the server has reset the connection
            return False

    with ThreadPoolExecutor(200) as pool:
        assert sum(pool.map(take, range(200))) == 1


def test_slow_requests_end_in_time_and_others_are_served_meanwhile(serving):
    server = serving(limits=Limits(request_seconds=3))
    with ExitStack() as clients:
        slow = [clients.enter_context(server.connect()) for _ in range(200)]
        for client in slow:
            client.sendall(b"GET /boot.ipxe HTTP/1.1\r\nX: ")
        began = time.monotonic()
        assert server.seed("m1", "user-data") == (200, USER_DATA)
        assert time.monotonic() - began < 3
        ended = 0
        while time.monotonic() - began < 30 and slow:
            for client in list(slow):
                try:
                    client.sendall(b"a")  # a byte now and then does not help
                except OSError:
                    slow.remove(client)
                    ended += 1
            time.sleep(0.1)
        assert ended == 200


def test_a_slow_reader_ends_in_time(serving):
    server = serving(limits=Limits(document_seconds=1))
    with slow_reader(server) as client:
        client.sendall(f"GET /{server.token('m1')}/m1/user-data HTTP/1.1\r\nHost: kgen\r\n\r\n".encode())
        assert eventually(lambda: "broke off" in str(server.texts()))
        assert len(rest_of(client)) < len(USER_DATA)


def test_one_address_cannot_take_all_connections(serving):
    server = serving(limits=Limits(of_one_address=5, request_seconds=3))
    with ExitStack() as clients:
        for _ in range(5):
            clients.enter_context(server.connect())
        time.sleep(0.2)
        with pytest.raises((ConnectionResetError, IndexError)):
            server.get("/boot.ipxe")
    assert eventually(lambda: _answers(server))


def test_when_all_connections_are_in_use_others_wait(serving):
    server = serving(limits=Limits(connections=5, request_seconds=1))
    with ExitStack() as clients:
        for _ in range(5):
            clients.enter_context(server.connect())
        began = time.monotonic()
        assert server.get("/boot.ipxe")[0] == 200
        assert time.monotonic() - began > 0.5


def _answers(server) -> bool:
    try:
        return server.get("/boot.ipxe")[0] == 200
    except (OSError, IndexError):
        return False


def test_a_failure_inside_is_reported_without_its_text(serving, capfd):
    def fail(name: str):
        raise RuntimeError("the token is s3cret")

    server = serving(documents=fail)
    assert server.seed("m1", "user-data") == (500, b"kgen serve: internal error\n")
    assert server.texts() == ["a request failed inside of kgen: RuntimeError"]
    assert "".join(capfd.readouterr()) == ""


def test_boot_files_are_given_to_anybody_in_ranges_too(serving, tmp_path):
    (tmp_path / "vmlinuz").write_bytes(b"0123456789")
    server = serving(boot={"vmlinuz": tmp_path / "vmlinuz"})
    assert server.get("/boot/vmlinuz") == (200, b"0123456789")
    assert server.get("/boot/vmlinuz", method="HEAD") == (200, b"")
    answer = server.raw(b"GET /boot/vmlinuz HTTP/1.1\r\nHost: kgen\r\nRange: bytes=2-4\r\n\r\n")
    assert parsed(answer) == (206, b"234")


def test_a_boot_file_that_is_not_given_is_named_in_the_log(serving, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "vmlinuz").write_bytes(b"kernel")
    server = serving(boot={"vmlinuz": tmp_path / "vmlinuz"})
    (tmp_path / "vmlinuz").unlink()
    assert server.get("/boot/vmlinuz") == (404, b"not found\n")
    (tmp_path / "vmlinuz").symlink_to("secret")
    assert server.get("/boot/vmlinuz") == (404, b"not found\n")
    assert server.get("/boot/root.tar%0a") == (404, b"not found\n")
    gone, link, other = server.texts()
    assert gone == "asked for the boot file vmlinuz, which cannot be read: no such file or directory"
    assert link.startswith("asked for the boot file vmlinuz, which cannot be read: ")
    assert other == "asked for the boot file root.tar%0a, which is not served"


def test_ipxe_gets_the_script_of_its_machine(serving, tmp_path):
    (tmp_path / "vmlinuz").touch()
    machines = Target("m1", (HOME,), mac="52:54:00:00:00:01"), Target("w1", uuid="4c4c4544-0051-3010-8054-b7c04f4d3432")
    server = serving(*machines, boot={"vmlinuz": tmp_path / "vmlinuz"}, append="root=live:{boot}/r.squashfs quiet")
    base = f"http://127.0.0.1:{server.port}"
    status, asked = server.get("/boot.ipxe")
    assert (status, asked.splitlines()[0]) == (200, b"#!ipxe")
    assert f"chain --replace {base}/boot.ipxe?mac=${{net0/mac}}&".encode() in asked
    query = "mac=52:54:00:00:00:01&mac=&serial=Not%20Specified&uuid="
    for _ in range(2):  # a loader that repeats its request gets the same
        script = server.get(f"/boot.ipxe?{query}")[1].decode()
        assert (
            f"\nkernel {base}/boot/vmlinuz initrd=initrd.img root=live:{base}/boot/r.squashfs quiet "
            f"ds=nocloud;dsmode=net;i=prod-m1;s={base}/{server.token('m1')}/m1/\ninitrd {base}/boot/initrd.img\nboot\n"
        ) in script
    assert server.token("w1") in server.get(f"/boot.ipxe?uuid={machines[1].uuid}")[1].decode()
    assert server.registry.entries["m1"].stage == "loader"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("mac=52:54:00:00:00:99", "add one of them to the entry of this machine in the cluster file"),
        ("serial=A", "this machine is far, whose address is 10.0.0.11"),
        ("serial=B", "the user-data of done was taken already"),
    ],
)
def test_ipxe_says_on_the_console_why_it_does_not_start(serving, tmp_path, query, said):
    (tmp_path / "vmlinuz").touch()
    machines = Target("far", (ip_address("10.0.0.11"),), serial="A"), Target("done", serial="B")
    server = serving(*machines, boot={"vmlinuz": tmp_path / "vmlinuz"})
    server.seed("done", "user-data")
    script = server.get(f"/boot.ipxe?{query}")[1].decode()
    assert script.startswith("#!ipxe\n")
    assert said in script
    assert "kernel" not in script
    assert not any(server.token(name) in script for name in ("far", "done"))
    assert server.events[-1].is_refusal


def test_a_stranger_cannot_write_to_the_terminal(serving):
    server = serving()
    server.get("/boot.ipxe?serial=%1b%5b31m%0aforged&mac=" + "a" * 5000)
    (event,) = server.events
    assert event.text.isprintable()
    assert len(event.text) < 300


def test_nothing_that_is_reported_has_a_token(serving):
    server = serving()
    for document in ("meta-data", "user-data", "user-data", "vendor-data"):
        server.seed("m1", document)
    server.get(f"/boot.ipxe?mac={server.token('w1')}")
    server.get(f"/{server.token('w1')}/m1/user-data")
    own = json.dumps([event.text for event in server.events])
    assert server.token("m1") not in own


@pytest.fixture
def certificate(tmp_path):
    pair = tmp_path / "tls.crt", tmp_path / "tls.key"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=kgen -addext"
    done = subprocess.run(
        ["openssl", *words.split(), "subjectAltName=IP:127.0.0.1", "-out", pair[0], "-keyout", pair[1]],
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    return pair


def test_tls(serving, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = serving(tls=context, limits=Limits(request_seconds=1))
    trusting = ssl.create_default_context(cafile=certificate[0])

    def take() -> tuple[int, bytes]:
        with trusting.wrap_socket(server.connect(), server_hostname="127.0.0.1") as client:
            client.sendall(f"GET /{server.token('m1')}/m1/user-data HTTP/1.1\r\nHost: kgen\r\n\r\n".encode())
            return parsed(received(client))

    with server.connect() as silent, server.connect() as plain:  # no handshake
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert take() == (200, USER_DATA)
        assert take()[0] == 410
        silent.settimeout(5)
        assert silent.recv(1) == b""
