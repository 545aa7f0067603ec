"""Two documents → the changes between them, by meaning. Secrets appear only as fingerprints."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from kgen.comparing.document import MODE_OF, Told, Value
from kgen.payload import Blob

Kind = Literal["added", "removed", "changed"]
Fingerprint = Callable[[bytes], str]


@dataclass(frozen=True, slots=True)
class Difference:
    """One change: of what, from what, to what. ``before`` and ``after`` are fingerprints where ``shown`` is false."""

    kind: Kind
    subject: str
    before: str = ""
    after: str = ""
    shown: bool = True


def fingerprints(key: bytes) -> Fingerprint:
    """Return a function that tells secrets apart, but from whose result nobody can guess them without ``key``."""
    return lambda content: hmac.new(key, content, hashlib.sha256).hexdigest()[:12]


def of_machine(before: Told, after: Told, fingerprint: Fingerprint) -> tuple[Difference, ...]:
    """Return the changes for one machine, without those of the cluster's objects."""
    return (*_keys(before.blobs, after.blobs, fingerprint), *_values(before.machine, after.machine, fingerprint))


def of_objects(before: Told, after: Told, fingerprint: Fingerprint) -> tuple[Difference, ...]:
    """Return the changes of what the masters publish."""
    return tuple(_values(before.objects, after.objects, fingerprint))


def _values(before: Mapping[str, Value], after: Mapping[str, Value], fingerprint: Fingerprint) -> Iterator[Difference]:
    for subject in dict.fromkeys((*before, *after)):
        old, new = before.get(subject), after.get(subject)
        if old == new or (subject.startswith(MODE_OF) and None in (old, new)):  # a file that came or went says enough
            continue
        shown = all(value is None or value.shown for value in (old, new))
        before_text, after_text = (_text(value, shown, fingerprint) for value in (old, new))
        yield Difference(_kind(old, new), subject, before_text, after_text, shown)


def _text(value: Value | None, shown: bool, fingerprint: Fingerprint) -> str:
    if value is None:
        return ""
    return value.text if shown else fingerprint(value.text.encode())


def _kind(old: object, new: object) -> Kind:
    return "added" if old is None else "removed" if new is None else "changed"


def _keys(before: Mapping[str, Blob], after: Mapping[str, Blob], fingerprint: Fingerprint) -> Iterator[Difference]:
    """Yield a change for each certificate, and for each key that is not a certificate's."""
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if name.endswith(".crt"):
            yield from _certificate(name.removesuffix(".crt"), old, new)
        elif (both := f"{name.rpartition('.')[0]}.crt") not in {**before, **after} or before.get(both) == after.get(
            both
        ):
            was, now = ("" if blob is None else fingerprint(b"".join(blob.der)) for blob in (old, new))
            yield Difference(_kind(old, new), f"key {name}", was, now, shown=False)


def _certificate(name: str, old: Blob | None, new: Blob | None) -> Iterator[Difference]:
    from kgen.pki.inspect import decode  # imports cryptography, which is slow; most comparisons find no new certificate

    subject = f"certificate {name}"
    before, after = (None if blob is None else decode(blob.pem) for blob in (old, new))
    was, now = ("" if it is None else f"expires {it.not_after:%Y-%m-%d}" for it in (before, after))
    if before is None or after is None:
        yield Difference(_kind(old, new), subject, was, now)
        return
    yield Difference("changed", f"{subject} issued again", was, now)
    texts = {
        "subject": tuple(
            f"{', '.join([*(f'O={group}' for group in it.groups), f'CN={it.cn}'])}" for it in (before, after)
        ),
        "key": (before.algorithm, after.algorithm),
    }
    for what, (was, now) in texts.items():
        if was != now:
            yield Difference("changed", f"{subject} {what}", was, now)
    sans = [{*it.dns, *it.ips} for it in (before, after)]
    for san in sorted(sans[1] - sans[0]):
        yield Difference("added", f"{subject} SAN", after=san)
    for san in sorted(sans[0] - sans[1]):
        yield Difference("removed", f"{subject} SAN", before=san)
