"""One command: every measurement, with kubeadm measured in the same run, in turn with kgen."""

from __future__ import annotations

import argparse
import compileall
import sys
from pathlib import Path

import kgen

from .cases import CASES
from .report import as_json, table


def main() -> int:
    """Measure, print, and return 1 when a budget is broken."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; default: all")
    parser.add_argument("-n", "--runs", type=int, default=10, help="samples of each contestant (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    if unknown := sorted(set(options.cases) - set(CASES)):
        parser.error(f"no such case: {', '.join(unknown)}")
    # As an installation has it: with bytecode, whatever PYTHONDONTWRITEBYTECODE says here.
    compileall.compile_dir(Path(kgen.__file__).parent, quiet=1)
    rows = []
    for name in options.cases or CASES:
        print(f"bench: {name} …", file=sys.stderr, flush=True)
        rows += CASES[name](options.runs)
    print(as_json(rows, options.runs) if options.json else table(rows))
    return int(any(row.within is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
