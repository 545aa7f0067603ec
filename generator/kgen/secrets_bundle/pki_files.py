"""Reads PEM files that people bring, named as in kubeadm's PKI directory. Imports cryptography: import it late."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from kgen.errors import Problem
from kgen.output import disk
from kgen.pki import keys
from kgen.pki.checks import flaws_of_authority, flaws_of_key, misplaced
from kgen.pki.inspect import Decoded, OtherKeyError, decode_all, is_signed_by
from kgen.pki.issue import certificate_pem
from kgen.pki.plan import Request
from kgen.secrets_bundle.model import Entry, ServiceAccount

_LARGEST_BYTES = 2**20
_KINDS = "use RSA with 2048 bits or more, or ECDSA on P-256, P-384 or P-521"
_CA = "have its issuer make another certificate, or bring another CA"
_ORDER = "put the CA first in the file, then its issuer, then the issuer's issuer"
PAIR = "bring the other half: `openssl pkey -in KEY -pubout` and `openssl x509 -in CERTIFICATE -noout -pubkey` agree"
_DECRYPT = "`openssl pkey -in FILE -out NEW_FILE` asks for the password and writes the key without one"


def _pem_hint(file: str) -> str:
    what, command = ("key", "pkey") if file.endswith(".key") else ("certificate", "x509")
    return f"a {what} is PEM text: openssl {command} -inform DER -in FILE -out NEW_FILE"


@dataclass(frozen=True, slots=True)
class PkiFiles:
    """The files of a directory. What is wrong with them is collected in ``problems``, and holds nothing of a key."""

    directory: Path
    hint: str
    problems: list[Problem] = field(default_factory=list)

    def report(self, file: str, messages: Iterable[str], hint: str = "") -> bool:
        """Report problems of a file, and return whether there are any."""
        found = [
            Problem(str(self.directory / file), 0, 0, "", "B105", message, hint or self.hint) for message in messages
        ]
        self.problems.extend(found)
        return bool(found)

    def text(self, file: str) -> str | None:
        """Return the text of a file; None after a problem was reported."""
        try:
            return disk.read_plain_file(self.directory / file, _LARGEST_BYTES).decode("utf-8-sig")
        except OSError as error:
            self.report(file, [f"cannot be read: {(error.strerror or str(error)).lower()}"])
        except ValueError:
            self.report(file, ["cannot be read: not PEM text"], _pem_hint(file))
        return None

    def key(self, file: str) -> keys.PrivateKey | None:
        """Return the private key in a file; None after a problem was reported."""
        text = self.text(file)
        if text is None:
            return None
        try:
            return keys.load_private(text)
        except ValueError as error:
            hints = {keys.ENCRYPTED: _DECRYPT, keys.OTHER_KIND: _KINDS}
            self.report(file, [str(error)], hints.get(str(error), _pem_hint(file)))
            return None

    def chain(self, file: str) -> tuple[Decoded, ...]:
        """Return the certificates in a file; none after a problem was reported."""
        text = self.text(file)
        if text is None:
            return ()
        try:
            return decode_all(text)
        except ValueError as error:
            self.report(file, [str(error)], _KINDS if isinstance(error, OtherKeyError) else _pem_hint(file))
            return ()

    def authority(
        self, file: str, key: keys.PrivateKey | None, leaves: Sequence[Request], now: datetime
    ) -> Entry | None:
        """Return the CA in a file, which is to sign ``leaves``, with its chain; None after a problem was reported."""
        chain = self.chain(file)
        if not chain:
            return None
        is_flawed = self.report(file, flaws_of_authority(chain, leaves, now), _CA)
        is_flawed |= self.report(file, misplaced(chain), _ORDER)
        if key is not None and not fits(key, chain[0]):
            is_flawed = self.report(f"{file.rpartition('.')[0]}.key", [f"is not the key of {Path(file).name}"], PAIR)
        return None if is_flawed else entry_of(chain, key, is_intermediate=not is_signed_by(chain[0], chain[0]))

    def entry(self, name: str, *, has_key: bool) -> Entry | None:
        """Return the certificate ``name``, unchecked except for its key; None after a problem was reported."""
        chain, key = self.chain(f"{name}.crt"), self.key(f"{name}.key") if has_key else None
        if not chain or (has_key and key is None):
            return None
        if key is not None and not fits(key, chain[0]):
            self.report(f"{name}.key", [f"is not the key of {Path(name).name}.crt"], PAIR)
            return None
        return entry_of(chain, key)

    def service_account(self, file: str) -> ServiceAccount | None:
        """Return the service account's pair from the private key in a file; None after a problem was reported."""
        key = self.key(file)
        if key is None or self.report(file, flaws_of_key(key), _KINDS):
            return None
        return ServiceAccount(keys.private_pem(key), keys.public_pem(key), keys.algorithm_of(key))


def fits(key: keys.PrivateKey, certificate: Decoded) -> bool:
    """Return whether the certificate is for this key."""
    return keys.spki(key.public_key()) == keys.spki(certificate.public_key)


def entry_of(
    chain: Sequence[Decoded],
    key: keys.PrivateKey | None,
    *,
    is_accepted: bool = False,
    is_intermediate: bool = False,
) -> Entry:
    """Return the entry of the first certificate of ``chain``, with the others behind it."""
    first = chain[0]
    return Entry(
        certificate="".join(certificate_pem(each.certificate) for each in chain),
        key=keys.private_pem(key) if key is not None else None,
        algorithm=first.algorithm,
        not_before=first.not_before,
        not_after=first.not_after,
        is_accepted=is_accepted,
        is_intermediate=is_intermediate,
    )
