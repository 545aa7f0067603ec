"""``python -m kgen``."""

from kgen.cli.main import entry

entry()
