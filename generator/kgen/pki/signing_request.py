"""Certificate signing requests (PKCS #10, RFC 2986). Imports cryptography: import this module late."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from kgen.pki import keys
from kgen.pki.issue import leaf_extensions, subject
from kgen.pki.plan import Request


def signing_request(request: Request, key: keys.PrivateKey) -> str:
    """Return a request for the certificate, as PEM text. It asks for every extension that kgen would write."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject(request))
    for extension, is_critical in leaf_extensions(request):
        builder = builder.add_extension(extension, critical=is_critical)
    return builder.sign(key, keys.signature_hash(key)).public_bytes(Encoding.PEM).decode()
