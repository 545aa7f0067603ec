from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from kgen.cli.main import run

CLUSTER = """\
apiVersion: kgen/v1
name: prod
kubernetesVersion: v1.37.2
machines:
  - {name: m1, role: master, address: 10.0.0.11}
  - {name: w1, role: node, address: 10.0.0.21}
pools:
  - {name: workers, role: node}
"""


@dataclass(frozen=True)
class Ended:
    """How a run of kgen ended, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A directory of its own to work in, outside any git work tree, with ``prod.yaml`` in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    (tmp_path / "prod.yaml").write_text(CLUSTER)
    return tmp_path


@pytest.fixture
def kgen(here, capsys) -> Callable[..., Ended]:
    """Run kgen in this process."""

    def call(*arguments: str) -> Ended:
        code = run(arguments)
        captured = capsys.readouterr()
        return Ended(int(code), captured.out, captured.err)

    return call


@pytest.fixture
def rendered(kgen, here) -> Path:
    """The output of a render of ``prod.yaml``."""
    assert kgen("render", "prod.yaml").code == 0
    return here / "outputs" / "prod"
