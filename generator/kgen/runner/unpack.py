"""The program that a stub fetches: it writes the files that a whole document would bring, and starts what it starts.

The call of ``unpack`` is below this module, with the path, mode and text of each file.
"""

import os


def unpack(files: list[list[str]], start: str) -> None:
    """Write each file in one piece, then become the shell that starts the first boot."""
    for path, mode, text in files:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        new = path + ".kgen-new"
        with open(new, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            os.fchmod(file.fileno(), int(mode, 8))
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(new, path)
    os.execv("/bin/sh", ["sh", "-c", start])
