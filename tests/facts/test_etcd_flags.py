"""The table of etcd's flags is what the programs take."""

import re
import subprocess

import pytest

from kgen.facts import etcd_flags
from tests.components import golang
from tests.components.__main__ import ETCD_VERSION

ASKED = [ETCD_VERSION, *(pytest.param(version, marks=pytest.mark.soak) for version in ("3.5.24", "3.6.8"))]


@pytest.mark.real
@pytest.mark.parametrize("version", ASKED)
def test_the_table_is_what_etcd_takes(version):
    program = golang.etcd(version, ("etcd",)) / "etcd"
    flags = etcd_flags.by_minor()[version.rpartition(".")[0]]
    told = set(re.findall(r"^ +--([a-z0-9-]+) '", _said(program, "--help"), re.MULTILINE))
    for name in told - flags.keys():  # the help of etcd 3.7 has flags that are gone
        assert f"not defined: -{name}" in _said(program, f"--{name}=zz")
    for name, kind in flags.items():
        refusal = _said(program, f"--{name}=zz", "--no-such-flag=1")
        assert f"not defined: -{name}" not in refusal
        assert kind == "value" or (f"-{name}: parse error" in refusal) == (kind != "string"), refusal


def _said(program, *arguments):
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=30)
    return done.stdout + done.stderr
