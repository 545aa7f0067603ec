import json

from hypothesis import given
from hypothesis import strategies as st

from kgen.firstboot import payload_json
from kgen.payload import FORMAT

TEXTS = st.text(st.sampled_from('a "\\[]{},:\n\r é'), max_size=9)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_the_layout_changes_no_value(body):
    found = json.loads(payload_json.text_of(body))
    assert found == {"format": FORMAT, "sha256": payload_json.checksum(body), "body": body}


def test_values_have_lines_of_their_own_and_short_ones_share_one():
    body = {"files": [["/etc/a", "0644", "files", ["first line of some text\n", "second line\n", "third " * 9 + "\n"]]]}
    lines = [line.strip() for line in payload_json.text_of({**body, "ports": [["", 1], ["", 2]]}).splitlines()]
    assert '["", 1],' in lines
    assert '"first line of some text\\n",' in lines
    assert '"second line\\n",' in lines
