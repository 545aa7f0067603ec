"""A CA that another CA signed, as the first-boot program of its cluster trusts it."""

from __future__ import annotations

import http.server
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests import clusters, corporate

from kgen.firstboot.program import program
from kgen.output.artifacts import Artifact
from kgen.pipeline import Pipeline
from kgen.secrets_bundle.accept import accept
from kgen.secrets_bundle.blobs import machine_blobs
from kgen.secrets_bundle.model import Bundle
from kgen.secrets_bundle.populate import populate

CLUSTER = replace(clusters.one_master(), machines=(clusters.master("m1", "127.0.0.1"), clusters.node("w1")))
ASK = """
import sys
source, url, ca = sys.argv[1:]
exec(compile(open(source).read().rpartition('sys.exit(main(')[0], source, "exec"))
print(get(connect(url, open(ca).read()), "/"))
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Bundle:
    directory = tmp_path_factory.mktemp("own")
    corporate.three_levels().write(directory, "ca")
    now = datetime.now(UTC)
    return populate(accept(directory, CLUSTER, None, now).bundle, CLUSTER, now).bundle


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as an API server that is ready."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def url(bundle, tmp_path) -> Iterator[str]:
    found = machine_blobs(bundle, CLUSTER, CLUSTER.masters[0])
    pair = tmp_path / "pair.pem"
    pair.write_text(found["apiserver.crt"].pem + found["apiserver.key"].pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def asked(bundle: Bundle, url: str, directory: Path, *, extras: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    source, ca = directory / "firstboot.py", directory / "ca.crt"
    source.write_text(program("node", with_comments=False, extras=extras))
    ca.write_text(machine_blobs(bundle, CLUSTER, CLUSTER.machines[1])["ca.crt"].pem)
    command = [sys.executable, "-I", "-S", "-c", ASK, source, url, ca]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_node_trusts_an_intermediate_alone(bundle, url, tmp_path):
    done = asked(bundle, url, tmp_path, extras=("trust",))
    assert done.stdout == "ok\n", done.stderr


def test_without_the_module_openssl_wants_the_root(bundle, url, tmp_path):
    assert "unable to get issuer certificate" in asked(bundle, url, tmp_path, extras=()).stderr


def test_only_documents_of_clusters_with_an_intermediate_have_the_module(bundle):
    own = populate(None, CLUSTER, datetime.now(UTC)).bundle
    for each, has in ((own, False), (bundle, True)):
        texts = [
            made.content.decode()
            for made in Pipeline(CLUSTER, each).artifacts(review_all=True)
            if isinstance(made, Artifact) and made.path.name in ("m1.yaml", "w1.yaml")
        ]
        assert [("PARTIAL" in text) for text in texts] == [has, has]
