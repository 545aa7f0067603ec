"""What starting kgen imports: a slow library that a verb does not use costs every user of every verb."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.real

SLOW = {"aiohttp", "boto3", "botocore", "kubernetes", "passlib", "rich", "jsonschema"}


def test_starting_kgen_imports_no_slow_library():
    code = "import sys, kgen.cli.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not SLOW & set(done.stdout.split())


def test_importing_kgen_imports_nothing():
    code = "import sys; before = set(sys.modules); import kgen; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["kgen"]
