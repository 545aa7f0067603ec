"""Reading a bundle that SOPS (https://getsops.io) has encrypted, with the installed ``sops``."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from kgen.errors import InputError

_METADATA = re.compile(rb"^sops:\s*$", re.MULTILINE)


def is_encrypted(content: bytes) -> bool:
    """Return whether the content is a YAML file with SOPS' metadata."""
    return _METADATA.search(content) is not None


def decrypt(path: Path) -> bytes:
    """Return the text of the file, from ``sops``, which finds its keys by its own rules.

    Raises:
        InputError: there is no ``sops``, or it does not decrypt the file.
    """
    import subprocess  # slow to import, and few bundles need it

    try:
        command = ["sops", "--decrypt", "--input-type", "yaml", "--output-type", "yaml", str(path)]
        done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        hint = "install it from https://getsops.io, or restore the plain file from a backup"
        raise InputError(f"{path} is encrypted with SOPS, and there is no program `sops` here", hint) from None
    except OSError as error:
        raise InputError(f"`sops`, which {path} needs, cannot be started: {error.strerror}") from None
    if done.returncode:
        said = next((line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()), "no reason")
        hint = f"`sops decrypt {shlex.quote(str(path))} > /dev/null` says more"
        raise InputError(f"sops cannot decrypt {path}: {said.strip()}", hint)
    return done.stdout
