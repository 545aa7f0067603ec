"""A search of every byte of files for the secrets of a bundle."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping

from kgen.secrets_bundle.model import Bundle


def layers(content: bytes) -> Iterator[bytes]:
    """Yield a content and everything that is compressed inside it, also under base64."""
    yield content
    for start in [match.start() for match in re.finditer(rb"\x1f\x8b\x08", content)]:
        try:
            yield from layers(zlib.decompressobj(wbits=31).decompress(content[start:]))
        except zlib.error:
            continue
    for match in re.finditer(rb"H4sI[A-Za-z0-9+/=]{100,}", content):
        yield from layers(base64.b64decode(match[0]))


def needles(bundle: Bundle) -> dict[str, list[bytes]]:
    """Return by name the forms in which each secret can be found, in a content without white space."""
    keys = {f"{name}.key": entry.key for name, entry in bundle.entries.items()} | {"sa.key": bundle.service_account.key}
    keys |= {f"seal key of {name}": key.key for name, key in bundle.seal_keys.items()}
    keys |= {f"requested {name}.key": key for name, key in bundle.requests.items()}
    found: dict[str, list[bytes]] = {}
    for name, pem in keys.items():
        if pem is None:  # the key of a CA that is kept outside
            continue
        der = base64.b64decode("".join(pem.splitlines()[1:-1]))
        secret_part = base64.b64encode(der)[40:-40]  # whatever stands around it, and however PEM breaks its lines
        found[name] = [der, der.hex().encode(), secret_part, base64.b64encode(pem.encode())]
    for token in (*bundle.tokens, *bundle.pool_tokens.values()):
        token_id, _, text = token.partition(".")
        found[f"bootstrap token {token_id}"] = [text.encode(), base64.b64encode(text.encode())]
    for key in bundle.encryption_keys:
        if key.secret:
            found[f"encryption key {key.name}"] = [key.secret.encode(), base64.b64decode(key.secret)]
    for user, text in bundle.password_hashes.items():
        found[f"password hash of {user}"] = [text.encode()]
    return found


def search(
    files: Mapping[str, bytes], bundle: Bundle, more: Mapping[str, Iterable[bytes]] | None = None
) -> set[tuple[str, str]]:
    """Return name of each secret of ``bundle``, or of ``more``, and path of each file that has it, in any form."""
    wanted = {**needles(bundle), **(more or {})}
    hits = set()
    for path, content in files.items():
        for layer in layers(content):
            dense = re.sub(rb"\s|\\n", b"", layer)
            hits |= {
                (name, path) for name, forms in wanted.items() if any(form in layer or form in dense for form in forms)
            }
    return hits
