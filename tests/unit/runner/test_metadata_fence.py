"""The check of ``metadataFence``: nft is there."""

import pytest

from kgen.runner.base import Run
from kgen.runner.metadata_fence import metadata_fence

FENCED = ["/etc/kgen/metadata-fence.nft", "0644", "files", ["table inet x {}"]]


@pytest.fixture
def run(tmp_path):
    made = Run(str(tmp_path), "true")
    made.body = {"files": [["/etc/sysctl.d/kgen.conf", "0644", "files", [""]], FENCED]}
    return made


def test_a_machine_without_nft_is_found(run):
    (finding,) = metadata_fence(run, "")
    assert finding.name == "FileExisting-nft"
    assert not finding.is_warning
    assert not finding.may_pass


def test_nft_in_path_is_enough(run, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/sbin")
    nft = tmp_path / "usr/sbin/nft"
    nft.parent.mkdir(parents=True)
    nft.touch(0o755)
    assert list(metadata_fence(run, "")) == []


def test_a_machine_without_the_fence_needs_no_nft(run):
    run.body["files"].remove(FENCED)
    assert list(metadata_fence(run, "")) == []
