"""An HTTPS server in the place of kube-apiserver: its certificate is a bundle's, its answers are the test's."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from kgen.secrets_bundle.model import Bundle

VERSION = {"gitVersion": "v1.37.2"}


def node(name: str, status: str = "True", message: str = "", **labels: str) -> dict[str, Any]:
    """Return a Node as the API gives it; ``status`` empty: its kubelet has not reported yet."""
    condition = {"type": "Ready", "status": status, "message": message}
    return {
        "metadata": {"name": name, "labels": labels, "creationTimestamp": "2026-03-01T12:00:00Z"},
        "status": {
            "conditions": [condition] if status else [],
            "addresses": [{"type": "InternalIP", "address": "10.0.0.11"}, {"type": "Hostname", "address": name}],
            "nodeInfo": {"kubeletVersion": "v1.37.2", "containerRuntimeVersion": "containerd://2.1.9"},
        },
    }


@contextmanager
def serving(bundle: Bundle, answers: Mapping[str, tuple[int, Any]], directory: Path) -> Iterator[int]:
    """Serve ``answers`` (path → status and JSON) with m1's serving certificate on 127.0.0.1; yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get(self.path.partition("?")[0], (404, {"message": "not found"}))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *words: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that hangs up because of our certificate is what the test wants

    entry = bundle.entries["m1/apiserver"]
    pair = directory / "serving.pem"
    pair.write_text(entry.certificate + (entry.key or ""))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=bundle.authorities["ca"].certificate)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_cert_chain(pair)
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
