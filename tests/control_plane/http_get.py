"""GET without verification, made on a machine."""

from __future__ import annotations

import sys

from tests.control_plane.machines import Machine

GET = """
import os, ssl, sys, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[1])
token = os.environ.get("TOKEN")
if token:
    request.add_header("Authorization", "Bearer " + token)
try:
    print(urllib.request.urlopen(request, context=ssl._create_unverified_context()).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


def http_status(machine: Machine, url: str, *, token: str = "") -> str:
    """Return the status of a GET, made on the machine, without credentials or with a bearer token."""
    return machine.check([sys.executable, "-c", GET, url], env={"TOKEN": token}).strip()
