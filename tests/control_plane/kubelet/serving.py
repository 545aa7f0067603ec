"""The kubelet's own port: health and logs over TLS, for clients with a certificate of the cluster's CA."""

from __future__ import annotations

import datetime
import logging
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from configuration import Settings
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class _Server(ThreadingHTTPServer):
    """Serves both address families. The handshake is done in the thread of its connection."""

    address_family = socket.AF_INET6
    daemon_threads = True
    context: ssl.SSLContext
    logs: Path

    def finish_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        try:
            with self.context.wrap_socket(request, server_side=True) as link:
                super().finish_request(link, client_address)
        except OSError as error:
            logging.info("TLS: %s", error)


class _Handler(BaseHTTPRequestHandler):
    """``/healthz``, and ``/containerLogs/<namespace>/<pod>/<container>`` of the static pods."""

    server: _Server

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].split("/")
        content = b"ok" if path == ["", "healthz"] else None
        if path[1] == "containerLogs":
            content = (self.server.logs / f"{path[4]}.log").read_bytes()
        self.send_response(404 if content is None else 200)
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *words: object) -> None:
        pass


def serve(settings: Settings, logs: Path, request: Callable[[], str]) -> None:
    """Serve until the process ends. ``request`` returns a certificate with its key that the cluster has signed."""
    server = _Server(("::", settings.port), _Handler)
    server.logs = logs
    server.context = context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(settings.client_ca)
    if settings.certificate and settings.key:
        context.load_cert_chain(settings.certificate, settings.key)
    elif settings.requests_certificate:
        # The real kubelet answers every handshake like this until it has a certificate.
        context.sni_callback = lambda link, name, own: ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
    else:
        _load(context, self_signed(settings.node_name))
    if settings.requests_certificate and not settings.certificate:
        threading.Thread(target=_fill, args=(context, request), daemon=True).start()
    server.serve_forever()


def _fill(context: ssl.SSLContext, request: Callable[[], str]) -> None:
    while True:
        try:
            _load(context, request())
        except Exception as error:  # the API server is not there yet, or nobody has approved the request
            logging.info("no serving certificate yet: %s", error)
            time.sleep(0.5)
        else:
            context.sni_callback = None
            return


def _load(context: ssl.SSLContext, pair: str) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(pair)
        file.flush()
        context.load_cert_chain(file.name)


def self_signed(name: str) -> str:
    """Return a certificate that is its own authority, and its key, in one PEM: nobody trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{name}@{time.time():.0f}")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), now - day)
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    certificate = builder.not_valid_after(now + 365 * day).add_extension(names, critical=False)
    pem = certificate.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return (pem + private).decode()
