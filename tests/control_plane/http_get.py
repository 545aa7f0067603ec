"""GET without credentials and without verification, made on a machine."""

from __future__ import annotations

import sys

from tests.control_plane.machines import Machine

GET = """
import ssl, sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], context=ssl._create_unverified_context()).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


def http_status(machine: Machine, url: str) -> str:
    """Return the status of a GET without credentials, made on the machine."""
    return machine.check([sys.executable, "-c", GET, url]).strip()
