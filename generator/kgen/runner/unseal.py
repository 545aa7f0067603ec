"""A sealed payload: payload.json has it as CMS AuthEnvelopedData (RFC 5083), which the image's openssl opens.

The key comes by another way than the user-data: as a file, or as a credential that the hypervisor gives to systemd
(SMBIOS or fw_cfg). It is in no argument: openssl reads the file.
"""

import base64
import hashlib
import json
import lzma
import os
import re
import subprocess
from typing import Any

from .base import PAYLOAD_UNUSABLE, PERSON_MUST_ACT, Pending, Run, Stop, read, wait
from .payload import PAYLOAD, RENDER_AGAIN, fetch, take

SEALED = 4
KEY_SECONDS = 600
KEYS = ("/etc/kgen/seal.key", "/run/credentials/@system/kgen.seal-key")


def open_with(key: str, envelope: bytes) -> bytes:
    """Return the content of ``envelope``, empty if the key does not open it."""
    command = ["openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-inkey", key]
    try:
        done = subprocess.run(command, input=envelope, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if done.returncode == 0:
            return done.stdout
        version = subprocess.run(["openssl", "version"], stdout=subprocess.PIPE).stdout.decode()
    except FileNotFoundError:
        version = "no openssl"
    if not re.match("OpenSSL ([3-9]|[1-9][0-9])", version):
        error = f"a sealed payload needs OpenSSL 3 or newer, and this machine has {version.strip()}"
        raise Stop(PERSON_MUST_ACT, error, "install it: apt-get install openssl")
    return b""


def envelope_of(document: Any) -> bytes:
    """Return the CMS of a sealed payload.json. With its checksum, damage is told apart from a wrong key."""
    try:
        envelope = base64.b64decode(document["sealed"]["cms"])
        if hashlib.sha256(envelope).hexdigest() == document["sealed"]["sha256"]:
            return envelope
    except (ValueError, KeyError, TypeError):
        pass
    raise Stop(PAYLOAD_UNUSABLE, "the sealed payload is damaged", RENDER_AGAIN)


def keys_there(run: Run) -> list[str]:
    """Return which of KEYS there are. A file may be empty while somebody writes it."""
    there = [path for path in KEYS if os.path.exists(run.root + path) and os.path.getsize(run.root + path)]
    if not there:
        raise Pending(f"neither {' nor '.join(KEYS)} is there")
    return there


def unsealed(run: Run, document: Any) -> str:
    """Return the payload.json inside a sealed one. Wait until its key is there."""
    envelope = envelope_of(document)
    name = f"the key {document.get('key')} of kgen's output"
    hint = f"copy {name} to {KEYS[0]}, with mode 0600"
    run.body = {"waitFactor": 1}
    there = wait(run, name, lambda: keys_there(run), KEY_SECONDS, hint)
    for path in there:
        content = open_with(run.root + path, envelope)
        if content:
            return lzma.decompress(content).decode()
    error = f"{' and '.join(there)} does not open this machine's payload: it is the key of another machine, or damaged"
    raise Stop(PERSON_MUST_ACT, error, hint)


def unseal(run: Run) -> None:
    """Read the payload that cloud-init delivered; open it if it is sealed."""
    try:
        document = json.loads(read(run.root + PAYLOAD))
        is_sealed = document["format"] == SEALED
    except (OSError, ValueError, KeyError, TypeError):
        is_sealed = False
    if not is_sealed:
        fetch(run)
        return
    take(run, unsealed(run, document))
    if run.sha256 != document.get("sha256"):
        raise Stop(PAYLOAD_UNUSABLE, "the sealed payload is not the one that its checksum names", RENDER_AGAIN)
