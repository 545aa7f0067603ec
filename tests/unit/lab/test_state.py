import stat

import pytest

from kgen.errors import InputError, KgenError
from kgen.lab import state


def test_state_reads_back_as_it_was_written(lab):
    state.save(lab)
    assert state.load(lab.directory) == lab
    assert stat.S_IMODE((lab.directory / "lab.json").stat().st_mode) == 0o600


def test_no_state_is_no_lab(tmp_path):
    assert state.load(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 2}', '{"format": 1}'])
def test_damaged_state_is_a_sentence(tmp_path, text):
    (tmp_path / "lab.json").write_text(text)
    with pytest.raises(KgenError, match="is damaged, or another version of kgen wrote it"):
        state.load(tmp_path)


def test_unknown_machine_is_refused_with_the_names(lab):
    with pytest.raises(InputError) as failure:
        lab.machine("m9")
    assert failure.value.hint == "the machines are m1, w1"


def lab_of(output, name):
    directory = output / name / "lab"
    directory.mkdir(parents=True)
    (directory / "lab.json").write_text("{}")
    return directory


def test_only_lab_is_found(tmp_path):
    lab_of(tmp_path, "prod")
    assert state.find(tmp_path) == tmp_path / "prod" / "lab"


def test_several_labs_need_a_name(tmp_path):
    for name in ("prod", "test"):
        lab_of(tmp_path, name)
    with pytest.raises(InputError, match=r"several labs in .*: prod, test"):
        state.find(tmp_path)
    assert state.find(tmp_path, "test") == tmp_path / "test" / "lab"


def test_no_lab_is_a_sentence(tmp_path):
    with pytest.raises(InputError, match="there is no lab in"):
        state.find(tmp_path)
