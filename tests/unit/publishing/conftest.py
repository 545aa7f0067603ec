"""An S3 over real HTTP (moto's server), and a metadata service as EC2 has it (IMDSv2)."""

import http.client
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from moto.server import ThreadedMotoServer
from tests.unit.cli.conftest import here, kgen, rendered  # noqa: F401 the fixtures of the command line

BUCKET = "clusters"
REGION = "eu-central-1"


@pytest.fixture(scope="session")
def moto():
    """The URL of moto's server, which knows no AMIs but those that a test registers."""
    patch = pytest.MonkeyPatch()
    patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
    patch.undo()


@pytest.fixture
def aws(moto, monkeypatch, here):  # noqa: F811
    """An S3 with one bucket, and credentials in the environment."""
    import urllib.request

    urllib.request.urlopen(urllib.request.Request(f"{moto}/moto-api/reset", method="POST")).read()
    for name, value in {
        "AWS_ENDPOINT_URL": moto,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": str(here / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(here / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return client


class Front(BaseHTTPRequestHandler):
    """What a request meets on its way to moto: the answer of ``server.answer``, if it has one for this request."""

    def answer(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.server.asked += 1
        operation = self.headers["X-Amz-Target"] or f"{self.command} {self.path}"
        found = self.server.answer(operation)
        if found is None:
            connection = http.client.HTTPConnection(self.server.behind, timeout=30)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            found = answer.status, dict(answer.getheaders()), answer.read()
            connection.close()
        status, headers, content = self.server.change(*found)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            if name != "Transfer-Encoding":
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *arguments):
        pass


for _method in ("GET", "PUT", "POST", "DELETE", "HEAD"):
    setattr(Front, f"do_{_method}", Front.answer)


@pytest.fixture
def front(aws, moto, monkeypatch):
    """A server in front of moto. ``answer`` takes an operation and returns status, headers and body, or None for moto.

    ``change`` changes an answer, ``asked`` counts requests.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
    server.behind = moto.removeprefix("http://")
    server.answer, server.change, server.asked = lambda operation: None, lambda *answer: answer, 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr("kgen.publishing.aws.ATTEMPTS", 1)
    yield server
    server.shutdown()
    server.server_close()


ABOUT_THE_PLACE = {
    "/latest/meta-data/placement/availability-zone/": f"{REGION}a",
    "/latest/meta-data/placement/region": REGION,
    "/latest/meta-data/services/domain": "amazonaws.com",
}


class Metadata(BaseHTTPRequestHandler):
    """IMDSv2: a token by PUT, then the role's credentials with it."""

    def do_PUT(self):
        is_right = self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        self.answer(200 if is_right else 400, "the-token")

    def do_GET(self):
        roles = "/latest/meta-data/iam/security-credentials/"
        if self.headers["X-aws-ec2-metadata-token"] != "the-token":
            self.answer(401, "")
        elif self.path in ABOUT_THE_PLACE:
            self.answer(200, ABOUT_THE_PLACE[self.path])
        elif self.server.role is None or not self.path.startswith(roles):
            self.answer(404, "")
        else:
            name, keys = self.server.role
            self.answer(200, json.dumps(keys) if self.path == roles + name else name)

    def answer(self, code, text):
        self.send_response(code)
        is_cut = self.server.cuts > 0
        self.server.cuts -= is_cut
        self.send_header("Content-Length", str(len(text) + is_cut))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments):
        pass


class ByIPv6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


def serve(make, address, host):
    server = make((address, 0), Metadata)
    server.role = ("machines", {"AccessKeyId": "ASIA", "SecretAccessKey": "key", "Token": "session"})
    server.cuts = 0
    server.url = f"http://{host}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def metadata():
    """A metadata service.

    ``role`` is the name of the instance's role and its credentials, None: it has none. The next ``cuts`` answers are
    cut off.
    """
    yield from serve(ThreadingHTTPServer, "127.0.0.1", "127.0.0.1")


@pytest.fixture
def metadata_by_ipv6():
    """A metadata service at an IPv6 address."""
    yield from serve(ByIPv6, "::1", "[::1]")
