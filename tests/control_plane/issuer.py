"""A small OpenID provider: discovery and keys over HTTPS, with a certificate of a company's CA, and its tokens.

Facts: OpenID Connect Discovery 1.0, section 4; RFC 7515 (JWS), RFC 7517 (JWK).
"""

from __future__ import annotations

import base64
import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests import corporate
from tests.control_plane.deployment import write
from tests.control_plane.machines import Machine, until

HOST, PORT = "issuer.example", 8443
URL = f"https://{HOST}:{PORT}"
AUDIENCE = "kubernetes"
DIRECTORY = "tmp/issuer"
_SERVE = """
import functools, http.server, ssl, sys
directory, port = sys.argv[1:]
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=directory + "/public")
server = http.server.ThreadingHTTPServer(("", int(port)), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(directory + "/server.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
_CONNECT = f"import socket; socket.create_connection(('127.0.0.1', {PORT}))"


@dataclass(frozen=True)
class Issuer:
    """The provider: the key of its tokens, and the CA of its web server, which clients know by its root alone."""

    key: rsa.RSAPrivateKey = field(default_factory=corporate.rsa_key)
    web: corporate.Authority = field(default_factory=lambda: corporate.three_levels("Example Web CA"))

    @property
    def root(self) -> str:
        """Return the root of the CA, which API servers are given."""
        return corporate.pem(self.web.above[-1])

    def serve(self, machine: Machine) -> None:
        """Serve on a machine until it is switched off."""
        directory = machine.root / DIRECTORY
        discovery = {
            "issuer": URL,
            "jwks_uri": f"{URL}/keys",
            "authorization_endpoint": f"{URL}/authorize",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
        numbers = self.key.public_key().public_numbers()
        key = {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": "one",
            "n": _number(numbers.n),
            "e": _number(numbers.e),
        }
        write(directory / "public/.well-known/openid-configuration", json.dumps(discovery))
        write(directory / "public/keys", json.dumps({"keys": [key]}))
        write(directory / "server.pem", self._server_pair(), 0o600)
        machine.start([sys.executable, "-c", _SERVE, directory, str(PORT)], stdout=None)
        until("issuer", lambda: machine.run([sys.executable, "-c", _CONNECT])[0] == 0)

    def _server_pair(self) -> str:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = x509.CertificateSigningRequestBuilder(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)]))
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        request = builder.sign(key, hashes.SHA256()).public_bytes(corporate.Encoding.PEM).decode()
        return self.web.sign(request) + self.web.chain() + corporate.key_pem(key).decode()

    def token(self, key: rsa.RSAPrivateKey | None = None, **claims: Any) -> str:
        """Return an ID token of jane, of the groups ops and dev; ``claims`` replace its own, ``key`` signs it."""
        now = int(time.time())
        own = {
            "iss": URL,
            "aud": AUDIENCE,
            "sub": "7f3a",
            "preferred_username": "jane",
            "groups": ["ops", "dev"],
            "iat": now - 7200,
            "exp": now + 3600,
        }
        signed = ".".join(_base64(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "one"}, own | claims))
        signature = (key or self.key).sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64(signature)}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(value: int) -> str:
    return _base64(value.to_bytes((value.bit_length() + 7) // 8, "big"))
