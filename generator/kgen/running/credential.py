"""The administrator's credential, from the bundle: the content of admin.conf without any outputs."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from kgen.errors import InputError
from kgen.secrets_bundle.model import Bundle

ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Credential:
    """The cluster's CA, and the administrator's certificate with its key, as PEM text."""

    authority: str
    certificate: str = field(repr=False)
    key: str = field(repr=False)

    def context(self) -> ssl.SSLContext:
        """Return a TLS context that trusts this cluster's CA only and shows the administrator's certificate.

        The TLS library only takes a key from a file. So the key is in a file for a moment, in a
        directory that only this user can read.
        """
        context = trusting(self.authority)
        with TemporaryDirectory(prefix="kgen-") as directory:  # made with mode 0700
            pair = Path(directory, "client.pem")
            pair.write_text(self.certificate + self.key, encoding="ascii")
            context.load_cert_chain(pair)
        return context


def trusting(authority: str) -> ssl.SSLContext:
    """Return a TLS context for clients that trusts this CA only. It may be an intermediate, as for Go."""
    context = ssl.create_default_context(cadata=authority)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def credential(bundle: Bundle, now: datetime) -> Credential:
    """Return the administrator's credential.

    Raises:
        InputError: its certificate has expired, or is not valid yet.
    """
    entry = bundle.entries[ADMIN]
    if now >= entry.not_after:
        expired = f"the administrator's certificate in {bundle.file} expired on {entry.not_after:%Y-%m-%d %H:%M} UTC"
        raise InputError(expired, f"run `kgen certs renew CLUSTER_FILE {ADMIN}`; the machines do not need it")
    if now < entry.not_before:
        begins = (
            f"the administrator's certificate in {bundle.file} is valid only from {entry.not_before:%Y-%m-%d %H:%M} UTC"
        )
        raise InputError(begins, "check this computer's clock, which may be behind")
    return Credential(bundle.authorities["ca"].alone, entry.certificate, entry.key or "")
