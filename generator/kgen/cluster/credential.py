"""The administrator's credential, from the bundle: what is in admin.conf, without needing any outputs."""

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

        The TLS library takes a key from files only: for that moment they stand in a directory that only we may enter.
        """
        context = ssl.create_default_context(cadata=self.authority)
        with TemporaryDirectory(prefix="kgen-") as directory:  # made with mode 0700
            pair = Path(directory, "client.pem")
            pair.write_text(self.certificate + self.key, encoding="ascii")
            context.load_cert_chain(pair)
        return context


def credential(bundle: Bundle, now: datetime) -> Credential:
    """Return the administrator's credential.

    Raises:
        InputError: its certificate has ended, or holds only in the future.
    """
    entry = bundle.entries[ADMIN]
    if now >= entry.not_after:
        ended = f"the administrator's certificate in {bundle.file} ended on {entry.not_after:%Y-%m-%d %H:%M} UTC"
        raise InputError(ended, f"`kgen certs renew CLUSTER_FILE {ADMIN}` issues it again; no machine needs to know")
    if now < entry.not_before:
        begins = f"the administrator's certificate in {bundle.file} holds from {entry.not_before:%Y-%m-%d %H:%M} UTC on"
        raise InputError(begins, "is this computer's clock behind?")
    return Credential(bundle.authorities["ca"].certificate, entry.certificate, entry.key or "")
