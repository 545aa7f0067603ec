"""The check of an external etcd: each member answers, and is new enough. tests/control_plane asks a real one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kgen.facts import preflight_rows
from kgen.facts.versions import Version
from kgen.runner.base import Run
from kgen.runner.external_etcd import external_etcd


class Member(BaseHTTPRequestHandler):
    answer = b""

    def do_GET(self) -> None:
        is_version = self.path == "/version"
        self.send_response(200 if is_version else 404)
        self.send_header("Content-Length", str(len(self.answer)))
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Member)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def findings(*endpoints: str, oldest: tuple[int, ...] = (3, 5, 24)) -> list[tuple[str, str, bool, bool]]:
    run = Run("", "true")
    run.body = {"etcd": {"endpoints": list(endpoints), "oldest": list(oldest)} if endpoints else {}, "blobs": {}}
    return [tuple(finding) for finding in external_etcd(run, "")]


def test_a_master_with_its_own_etcd_checks_nothing():
    assert findings() == []


@pytest.mark.parametrize("version", ["3.5.24", "3.5.30", "3.6.0", "3.10.1", "4.0.0", "3.6.0-rc.1"])
def test_a_new_enough_member_passes(url, version):
    Member.answer = json.dumps({"etcdserver": version, "etcdcluster": "3.5.0"}).encode()
    assert findings(url) == []


@pytest.mark.parametrize("version", ["3.5.9", "3.4.99", "2.9.99"])
def test_an_old_member_is_final(url, version):
    Member.answer = json.dumps({"etcdserver": version}).encode()
    text = f"{url} runs etcd {version}: 3.5.24 or newer is needed"
    assert findings(url) == [("ExternalEtcdVersion", text, False, False)]


@pytest.mark.parametrize("answer", [b"hello", b"{}", b"[]", b'{"etcdserver": "new"}', b'{"etcdserver": 3}'])
def test_what_is_no_etcd_is_final(url, answer):
    Member.answer = answer
    ((name, text, is_warning, may_pass),) = findings(url)
    assert (name, is_warning, may_pass) == ("ExternalEtcdVersion", False, False)
    assert text.startswith(f"{url} does not answer as etcd does: ")


def test_every_member_is_asked_and_a_silent_one_may_come(url):
    Member.answer = json.dumps({"etcdserver": "3.7.0"}).encode()
    ((name, text, is_warning, may_pass),) = findings("http://127.0.0.1:1", url)
    assert (name, is_warning, may_pass) == ("ExternalEtcdVersion", False, True)
    assert "http://127.0.0.1:1: " in text
    assert "refused" in text


def test_the_oldest_version_is_kubeadms():
    """kubeadm v1.37.2 says so itself: "only supports external etcd version >= 3.5.24-0"."""
    oldest = {minor: preflight_rows.row_of(Version(1, minor, 2)).oldest_etcd for minor in range(33, 38)}
    assert oldest == {33: (3, 5, 11), 34: (3, 5, 21), 35: (3, 5, 24), 36: (3, 5, 24), 37: (3, 5, 24)}
