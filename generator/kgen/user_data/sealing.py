"""A payload that only one machine, or the machines of one pool, can open: payload.json in the format ``FORMAT_SEALED``.

The machine opens it with the openssl of its image (kgen/runner/unseal.py). docs/adr/0018 says why it is made this way.
"""

from __future__ import annotations

import base64
import hashlib
import json
import lzma
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from kgen.errors import InputError
from kgen.firstboot import payload_json
from kgen.model import Cluster
from kgen.payload import FORMAT_SEALED, Payload
from kgen.secrets_bundle.format import RESTORE
from kgen.secrets_bundle.model import SealKey

KEYS = PurePosixPath("sealed")
"""The directory of the keys in the output."""
# Encrypted text does not compress, so it is compressed before. Of lzma there is one implementation, whose results
# hardly ever change. 1 MiB of dictionary is what the machine needs as memory.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 1 << 20}]


def key_file(machine: str) -> PurePosixPath:
    """Return the path in the output of a machine's key."""
    return KEYS / f"{machine}.key"


def payload_text(cluster: Cluster, payload: Payload, keys: Mapping[str, SealKey]) -> str:
    """Return payload.json as the machine gets it: sealed for its key of ``keys`` if the cluster seals.

    Raises:
        InputError: the key in the bundle is damaged.
    """
    text = payload_json.text(payload)
    return sealed(text, payload.name, keys[payload.name]) if cluster.seals else text


def sealed(text: str, machine: str, key: SealKey) -> str:
    """Return the payload.json ``text`` sealed for the ``key`` of ``machine``. Equal payloads give equal texts.

    Raises:
        InputError: the key in the bundle is damaged.
    """
    from kgen.pki import cms  # late: cryptography is slow to import

    content = lzma.compress(text.encode(), lzma.FORMAT_XZ, lzma.CHECK_NONE, filters=_FILTERS)
    try:
        envelope = cms.sealed(content, key.key, base64.b64decode(key.recipient))
    except ValueError as error:
        raise InputError(f"sealKeys.{machine} of the secrets bundle is damaged: {error}", RESTORE) from None
    document = {
        "format": FORMAT_SEALED,
        "sha256": json.loads(text)["sha256"],
        "key": str(key_file(machine)),
        "sealed": {"sha256": hashlib.sha256(envelope).hexdigest(), "cms": base64.b64encode(envelope).decode()},
    }
    return json.dumps(document, indent=0) + "\n"


def opened(document: Mapping[str, Any], keys: Mapping[str, SealKey]) -> Any:
    """Return the payload.json in ``document``, an object of its own; ``document`` itself if it is not sealed.

    Raises:
        ValueError: it is damaged, or none of ``keys`` opens it.
    """
    if document["format"] != FORMAT_SEALED:
        return document
    from kgen.pki import cms  # late: as above

    key = keys.get(PurePosixPath(document["key"]).stem)
    if key is None:
        raise ValueError("is sealed for a key that is not in the bundle")
    return json.loads(lzma.decompress(cms.opened(base64.b64decode(document["sealed"]["cms"]), key.key)))
