"""A node's questions: HTTP/1.0 over TLS, and whatever a server, or what stands before it, may say."""

import contextlib
import socket
import ssl
import threading

import pytest
from tests.certificates import LOOPBACK, issue_certificate

from kgen.runner import answers, base, once

ANSWER = b'HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{"name":"\xc3\xa9"}'


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The certificate of a server on loopback, which is its own authority, and its key."""
    return issue_certificate(tmp_path_factory.mktemp("pair"))


@pytest.fixture
def serve(pair):
    """Return a function that starts a server of one answer and returns its URL and what it was asked."""
    with contextlib.ExitStack() as stack:

        def started(answer, *, host="127.0.0.1", is_cut=False):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = stack.enter_context(socket.create_server((host, 0), family=family))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*pair)
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
    return answers.trust(pair[0].read_text())


@pytest.mark.parametrize("host", LOOPBACK)
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
    with pytest.raises(ssl.SSLCertVerificationError):
        once.ask(serve(ANSWER)[0], answers.trust(""), "GET", "/readyz")
