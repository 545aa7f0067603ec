"""The kubelet's serving certificate, in images: made here, the kubelet need not make two RSA keys before it starts.

Self-signed as the kubelet's own would be (client-go, ``GenerateSelfSignedCertKey``): its name, a year, for servers. On
P-256 (SEC 1, RFC 5480; ECDSA with SHA-256, RFC 5758), where a key costs two products of the base point.
"""

import hashlib
import os
import re
import time
from typing import Any

from .base import Run, read, write
from .curve import doubles, multiple
from .files import MADE, armored

# FIPS 186-4, D.1.2.3: the group's order, the prime, the base point.
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
BASE = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
# In hexadecimal DER: ecdsa-with-SHA256; the object identifiers and the head of a key on P-256, up to its point.
SIGNED = "300a06082a8648ce3d040302"
PUBLIC = "301306072a8648ce3d020106082a8648ce3d030107"
OWN = "/var/lib/kubelet/pki/kubelet."


def secret() -> int:
    """Return a random number from 1 to one less than the order; with 64 bits to spare no value is likelier."""
    return int.from_bytes(os.urandom(40), "big") % (ORDER - 1) + 1


def der(tag: str, *parts: str) -> str:
    """Return an element of DER; all of it is hexadecimal (X.690, 8.1 and 10.1)."""
    content = "".join(parts)
    size = len(content) // 2
    return tag + ("%02x" if size < 128 else "81%02x" if size < 256 else "82%04x") % size + content


def integer(number: int) -> str:
    """Return a number from 0 as DER: its first bit is that of the sign."""
    return der("02", "%0*x" % (number.bit_length() // 8 * 2 + 2, number))


def signed(name: str, now: float) -> Any:
    """Return a certificate for a server of this name, from an hour ago for a year, and its key, both DER."""
    key = secret()
    powers = doubles(PRIME, *BASE)
    point = "%064x%064x" % multiple(key, PRIME, powers)
    text = name.encode().hex()
    # 64 characters at most (RFC 5280, A.1); clients look at the other place.
    common_name = der("30", der("31", der("30", "0603550403", der("0c", text[:128]))))
    begin, end = (
        der("17", time.strftime("%y%m%d%H%M%SZ", time.gmtime(when)).encode().hex())
        for when in (now - 3600, now + 31536000)
    )
    for_servers = der("30", "0603551d25", der("04", der("30", "06082b06010505070301")))
    names = der("30", "0603551d11", der("04", der("30", der("82", text))))
    content = der(
        "30",
        "a003020102",
        integer(secret() >> 128),
        SIGNED,
        common_name,
        der("30", begin, end),
        common_name,
        der("30", PUBLIC, der("03", "0004", point)),
        der("a3", der("30", for_servers, names)),
    )
    nonce = secret()
    first = multiple(nonce, PRIME, powers)[0] % ORDER
    number = int(hashlib.sha256(bytes.fromhex(content)).hexdigest(), 16)
    second = pow(nonce, -1, ORDER) * (number + first * key) % ORDER
    certificate = der("30", content, SIGNED, der("03", "00", der("30", integer(first), integer(second))))
    return certificate, "30770201010420%064xa00a06082a8648ce3d030107a14403420004%s" % (key, point)


def serving(run: Run) -> None:
    """Make the certificate and its key, unless they are there, or the kubelet is told to take or ask for others.

    The certificate comes last: what a power cut leaves without it is made again.
    """
    config = read(run.root + "/var/lib/kubelet/config.yaml")
    path = run.root + OWN
    if not os.path.exists(path + "crt") and not re.search("serverTLSBootstrap: true|tlsCertFile", config):
        certificate, key = signed(run.body["name"], time.time())
        write(path + "key", armored("EC PRIVATE KEY", key), 0o600)
        write(path + "crt", armored("CERTIFICATE", certificate))


MADE.append(serving)
