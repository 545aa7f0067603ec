"""Trust in a CA that another CA signed: the program of a cluster with such a CA has this module."""

import ssl
from typing import Any

# VERIFY_X509_PARTIAL_CHAIN, which Python 3.9 does not name. Go trusts such a CA without being told.
PARTIAL = 0x80000
load_cas = ssl.SSLContext.load_verify_locations


def trust(context: Any, **words: Any) -> None:
    """Load CAs as OpenSSL does, and trust each of them, also without the CA that signed it."""
    context.verify_flags |= PARTIAL
    load_cas(context, **words)


ssl.SSLContext.load_verify_locations = trust  # type: ignore[method-assign,assignment]
