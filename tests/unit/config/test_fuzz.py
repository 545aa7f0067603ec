"""Whatever the file holds: a cluster, or problems with a place. Never anything else."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.config.broken_cases import cases
from tests.unit.config.examples import EXAMPLES

from kgen.config.load import load_text
from kgen.errors import Problem, ProblemsError

EXAMPLE_TEXTS = [path.read_text(encoding="utf-8") for path in EXAMPLES]
TEXTS = EXAMPLE_TEXTS + [case.text for case in cases()]
STRUCTURE = (
    "",
    "\n",
    "  ",
    "\t",
    ":",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "#",
    "|",
    ">",
    "'",
    '"',
    "? ",
    "---\n",
    "...\n",
)
MEANING = ("&a ", "*a", "!!str ", "!x ", "<<", "%YAML 1.1\n", "\x00", "\x85", "\u2028", "\ufeff", "\U0001f600", "\\")
SCALARS = ("~", "null", "no", "0755", "1.30", "-1", "1e999", ".nan", "0x1", "9" * 30, "\u0663", "a" * 300)
PLACES = ("10.0.0.0/0", "::/0", "fe80::1%x", "/..", "127.0.0.1")
PIECES = STRUCTURE + MEANING + SCALARS + PLACES


def problems(text: str) -> tuple[Problem, ...]:
    try:
        load_text(text, "cluster.yaml")
    except ProblemsError as error:
        return error.problems
    return ()


def check(text: str) -> None:
    lines = len(re.split("\r\n|[\n\r\x85\u2028\u2029]", text))
    for problem in problems(text):
        assert 1 <= problem.line <= lines
        assert problem.column >= 1
        assert problem.message


@settings(max_examples=150)
@given(st.data())
def test_mutated_files(data):
    text = data.draw(st.sampled_from(TEXTS))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.sampled_from((0, 1, 2, 5, 20, 80))))
        text = text[:start] + data.draw(st.sampled_from(PIECES)) + text[end:]
    check(text)


@settings(max_examples=120)
@given(st.data())
def test_swapped_values(data):
    """Values of one key end up behind another: every kind meets every other kind's values."""
    lines = data.draw(st.sampled_from(EXAMPLE_TEXTS)).splitlines()
    first, second = (data.draw(st.sampled_from([n for n, line in enumerate(lines) if ": " in line])) for _ in "ab")
    key, value = lines[first].split(": ", 1)[0], lines[second].split(": ", 1)[1]
    lines[first] = f"{key}: {value}"
    check("\n".join(lines) + "\n")


@settings(max_examples=120)
@given(st.text(max_size=200))
def test_any_text(text):
    check(text)


@settings(max_examples=100)
@given(st.text(max_size=30))
def test_any_text_as_value(text):
    quoted = '"' + "".join(f"\\U{ord(character):08x}" for character in text) + '"'
    for key in ("name", "clusterName", "kubernetesVersion", "controlPlaneEndpoint", "imageRepository"):
        check(f"{key}: {quoted}\n")
    check(f"machines: [{{name: {quoted}, address: {quoted}, labels: {{{quoted}: {quoted}}}}}]\n")
    check(f"networking: {{podSubnet: {quoted}, dnsDomain: {quoted}}}\ncertificateValidityPeriod: {quoted}\n")
    check(f"users: [{{name: {quoted}, passwd: {quoted}}}]\nhttpProxy: {{httpProxy: {quoted}, noProxy: {quoted}}}\n")
