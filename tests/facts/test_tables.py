"""The tables say what the programs of the newest release take."""

import pytest

from tests.facts import tables
from tests.oracle.kubeadm import NEWEST, VERSIONS

ASKED = [NEWEST, *(pytest.param(version, marks=pytest.mark.soak) for version in VERSIONS if version != NEWEST)]


@pytest.mark.real
@pytest.mark.parametrize("version", ASKED)
def test_the_table_is_what_the_programs_say(version):
    kept = (tables.TABLES / f"{version.rpartition('.')[0]}.json").read_text(encoding="utf-8")
    assert kept == tables.text(version), "run `make facts` and review the difference"
