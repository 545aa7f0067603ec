"""A node's questions: HTTP/1.0 over TLS, and whatever a server, or what stands before it, may say."""

import contextlib
import ipaddress
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kgen.runner import answers, base, once

ANSWER = b'HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{"name":"\xc3\xa9"}'


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A file with a key and the certificate that it has signed, for loopback."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), 1, now - timedelta(hours=1), now + timedelta(days=1)
    )
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(it)) for it in ("127.0.0.1", "::1")]), False
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    path = tmp_path_factory.mktemp("pair") / "pair.pem"
    path.write_bytes(
        builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return path


@pytest.fixture
def serve(pair):
    """Return a function that starts a server of one answer and returns its URL and what it was asked."""
    with contextlib.ExitStack() as stack:

        def started(answer, *, host="127.0.0.1", is_cut=False):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = stack.enter_context(socket.create_server((host, 0), family=family))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pair)
            asked = []

            def once_only():
                with contextlib.suppress(OSError):
                    raw, _ = listener.accept()
                    with context.wrap_socket(raw, server_side=True) as link:
                        asked.append(link.recv(9999))
                        link.sendall(answer)
                        if not is_cut:  # else the connection ends, and TLS does not say so
                            link.unwrap()

            threading.Thread(target=once_only, daemon=True).start()
            return f"https://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}", asked

        yield started


@pytest.fixture
def context(pair):
    return answers.trust(pair.read_text().partition("-----BEGIN PRIVATE")[0])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_question_is_whole_and_so_is_its_answer(serve, context, host):
    url, asked = serve(ANSWER, host=host)
    assert once.ask(url, context, "PATCH", "/api/v1/nodes/w1", "Content-Type: a/b\r\n", '{"a":1}') == (
        200,
        '{"name":"é"}',
    )
    assert asked == [b'PATCH /api/v1/nodes/w1 HTTP/1.0\r\nContent-Type: a/b\r\nContent-Length: 7\r\n\r\n{"a":1}']


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        (b"HTTP/1.0 401 Unauthorized\r\n\r\n{}", 401, "{}"),
        (b"HTTP/1.1 503\r\nA: b\r\n\r\n", 503, ""),
        (b"HTTP/1.0 200 OK\r\n\r\n" + b"a\n\nb" * 9999, 200, "a\n\nb" * 9999),
    ],
)
def test_status_and_text_are_told(serve, context, answer, status, text):
    assert once.ask(serve(answer)[0], context, "GET", "/readyz") == (status, text)


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH_10.0\r\n"])
def test_no_http_is_waited_for(serve, context, answer):
    with pytest.raises(base.Pending, match=r"^no HTTP but "):
        once.ask(serve(answer)[0], context, "GET", "/readyz")


def test_an_answer_cut_short_is_no_answer(serve, context):
    with pytest.raises(ssl.SSLEOFError):
        once.ask(serve(ANSWER, is_cut=True)[0], context, "GET", "/readyz")


def test_a_server_of_another_ca_is_told_apart(serve):
    context = answers.trust()
    context.check_hostname = True
    context.verify_mode = ssl.CERT_REQUIRED
    with pytest.raises(ssl.SSLCertVerificationError):
        once.ask(serve(ANSWER)[0], context, "GET", "/readyz")
