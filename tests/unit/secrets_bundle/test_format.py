import base64
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests import clusters

from kgen.errors import ProblemsError
from kgen.secrets_bundle import format as document
from kgen.secrets_bundle.model import EncryptionKey
from kgen.secrets_bundle.populate import populate

from .conftest import NOW


@pytest.fixture(scope="session")
def text(bundle):
    return document.dump(bundle)


def problems(text):
    with pytest.raises(ProblemsError) as caught:
        document.parse(text, "x.secrets.yaml")
    return caught.value.problems


def swap(text, before, after, times=1):
    assert before in text
    return text.replace(before, after, times)


def test_what_is_written_is_read_back_and_written_the_same(bundle, text):
    again = document.parse(text, "x.secrets.yaml")
    assert again == bundle
    assert document.dump(again) == text
    assert again.file == "x.secrets.yaml"


def test_an_absent_ca_key_and_a_chain_are_read_back(bundle):
    ca = replace(bundle.authorities["ca"], key=None)
    chain = replace(bundle.certificates["admin"], certificate=bundle.certificates["admin"].certificate + ca.certificate)
    altered = replace(
        bundle,
        authorities={**bundle.authorities, "ca": ca},
        certificates={**bundle.certificates, "admin": chain},
        password_hashes={"yes": "$6$x", "0755": "$6$y"},
    )
    assert document.parse(document.dump(altered), "") == altered


def test_the_time_at_which_the_cluster_was_seen_is_kept_by_later_renders(bundle):
    seen = replace(bundle, seen_running=datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC))
    again = document.parse(document.dump(seen), "")
    assert again == seen
    assert populate(again, clusters.three_masters(), datetime(2026, 6, 1, tzinfo=UTC)).bundle == again


def test_entries_know_their_line(text):
    again = document.parse(text, "")
    lines = text.splitlines()
    assert "m1/apiserver" in again.entries
    for name, entry in again.entries.items():
        assert lines[entry.line - 1] == f"  {name}:"


def test_a_bundle_file_is_readable_by_people(text):
    plain = yaml.safe_load(text)
    assert list(plain) == [
        "apiVersion",
        "kind",
        "checksums",
        "masters",
        "authorities",
        "certificates",
        "serviceAccount",
        "bootstrapTokens",
        "passwordHashes",
        "verified",
    ]
    assert plain["certificates"]["admin"]["notAfter"] == "2027-03-01T12:00:00Z"
    assert plain["masters"][0] == {"name": "m1", "address": "10.0.0.11"}
    assert text.startswith("#")


@pytest.fixture(scope="session")
def full(bundle):
    """The text of a bundle that also has what no verification of keys and certificates can check."""
    return document.dump(
        replace(
            bundle,
            pool_tokens={"gpu": "abcdef.0123456789abcdef", "web": "fedcba.0123456789abcdef"},
            encryption_keys=(EncryptionKey("secretbox", "key1", base64.b64encode(bytes(32)).decode()),),
            password_hashes={"ops": "$6$salt$hash"},
            pod_ranges={"m1": "10.244.0.0/24", "m2": "10.244.1.0/24"},
            seen_running=NOW,
        )
    )


def test_no_changed_byte_gives_another_bundle(full):
    """Every 5th byte of what only checksums protect, and some of the rest."""
    content, whole = full.encode(), document.parse(full, "")
    start = full.index("bootstrapTokens:")
    places = [*range(0, start, 1009), *range(start, full.index("verified:"), 5)]
    outcomes, found = Counter(), []
    for place in places:
        for byte in (content[place] ^ 1, ord("#")):
            damaged = (content[:place] + bytes([byte]) + content[place + 1 :]).decode()
            try:
                read = document.parse(damaged, "")
            except ProblemsError as error:
                outcomes[error.problems[0].code] += 1
                found += error.problems
            else:
                outcomes["same"] += 1
                assert replace(read, verified=whole.verified) == whole
    assert all(problem.line and problem.hint for problem in found)
    assert outcomes["B107"] > 20
    assert outcomes["same"] < 10  # the comments at the top


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ("  gpu: abcdef", "  gpv: abcdef", "poolTokens.gpv"),
        ("abcdef.0", "abcdef.1", "poolTokens.gpu"),
        ("  web: fedcba", "# web: fedcba", "checksums"),
        ("m2: 10.244.1.0/24", "m2: 10.244.2.0/24", "podCIDRs.m2"),
        ("$6$salt$hash", "$6$salt$hasi", "passwordHashes.ops"),
    ],
)
def test_a_change_is_named_with_its_line(full, before, after, field):
    changed = swap(full, before, after)
    problem = problems(changed)[0]
    lines = changed.splitlines()
    assert (problem.code, problem.field) == ("B107", field)
    assert lines[problem.line - 1].strip().startswith(field.rpartition(".")[2])
    assert "remove its key `checksums`" in problem.hint
    assert document.parse(clusters.without_checksums(changed), "")


def test_a_torn_file_is_an_error_wherever_it_ends(full):
    lines = full.splitlines(keepends=True)
    for count in range(1, len(lines) - 1, 5):  # without the last line, `verified`, it is whole
        assert problems("".join(lines[:count]))
    assert problems("".join(lines[:-2]))


def test_line_ends_and_layout_are_no_change(full):
    bundle = document.parse(full, "")
    assert document.parse(full.replace("\n", "\r\n"), "") == bundle
    assert document.parse(yaml.safe_dump(yaml.safe_load(full), default_style='"', indent=4), "") == bundle


@pytest.mark.parametrize("content", ["", "# nothing\n", "[]\n", "text\n"])
def test_another_file_is_refused_as_a_bundle(content):
    (problem,) = problems(content)
    assert (problem.code, problem.line, problem.column) == ("B101", 1, 1)


def test_another_version_is_refused_at_once(text):
    (problem,) = problems(swap(text, "apiVersion: kgen/v1", "apiVersion: kgen/v9"))
    assert (problem.code, problem.line, problem.column, problem.field) == ("B102", 3, 13, "apiVersion")


def test_every_problem_is_found_with_its_place(text):
    broken = swap(text, "notAfter: '2027-03-01T12:00:00Z'", "notAfter: tomorrow")
    broken = swap(broken, "  address: 10.0.0.13\n", "")
    broken = swap(broken, "bootstrapTokens:\n- ", "bootstrapTokens:\n- NOT")
    broken = swap(broken, "serviceAccount:\n", "serviceAccount:\n  surplus: 1\n")
    found = problems(broken)
    lines = broken.splitlines()
    assert [problem.field for problem in found] == [
        "masters[2]",
        "certificates['m1/apiserver'].notAfter",
        "serviceAccount",
        "bootstrapTokens[0]",
    ]
    assert [lines[problem.line - 1].strip() for problem in found][1:3] == ["notAfter: tomorrow", "surplus: 1"]
    assert {problem.code for problem in found} == {"B103"}
    assert all(problem.hint for problem in found)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("masters:\n", "masters: 1\nx:\n"),
        ("authorities:\n", "authorities:\nx:\n"),
        ("certificates:\n", "certificates: ~\nx:\n"),
        ("- name: m1\n", "- name: [m1]\n"),
        ("  admin:\n", "  admin: {}\n  admin2:\n"),
        ("  m2/kubelet:\n", "  m1/kubelet:\n"),
        ("-----BEGIN CERTIFICATE-----", "-----BEGIN CHAOS-----"),
        ("-----BEGIN EC PRIVATE KEY-----", "-----BEGIN CERTIFICATE-----"),
        ("passwordHashes: {}", "passwordHashes: {[a]: b}"),
        ("notBefore: '2026-03-01T11:00:00Z'", "notBefore: '2026-02-31T11:00:00Z'"),
        ("apiVersion: kgen/v1\n", ""),
        ("verified:", "verified: {}\nverified:"),
        ("- name: m1", "\t- name: m1"),
        ("- name: m1", "- name: *m1"),
        ("- name: m1", "- name: !!python/object:os.system m1 x: y"),
        ("- name: m1", "---\n- name: m1"),
        ("- name: m1", "- name: \x00m1"),
    ],
)
def test_damage_is_a_problem_with_a_line(text, before, after):
    found = problems(swap(text, before, after))
    assert all(problem.line and problem.column and problem.hint for problem in found)
    assert all(problem.code.startswith("B") and not problem.is_quotable for problem in found)


@pytest.mark.parametrize(
    "place",
    [
        "verified: &{} x\nx: *{}x",
        "verified: !{} x",
        "{}: x\nverified:",
        "{0}: x\n{0}: y\nverified:",
        "passwordHashes: [{}]\nx:",
        "passwordHashes: {{a: [{}]}}\nx:",
        "<<: {}\nverified:",
        "verified: [{}]\nx:",
    ],
)
def test_no_text_of_the_file_is_in_a_message(text, place):
    for problem in problems(swap(text, "verified:", place.format("s3cr3t", "s3cr3t"))):
        assert "s3cr3t" not in str(problem)


@given(share=st.integers(0, 10**5))
def test_a_file_cut_short_is_never_a_bundle_nor_a_traceback(bundle, share):
    full = document.dump(bundle)
    end = full.index("bootstrapTokens:")
    with pytest.raises(ProblemsError):
        document.parse(full[: share * end // 10**5], "")


@given(share=st.integers(0, 10**5), byte=st.sampled_from("\x00\t:-'\"[{&*!%@`\n x9é"))
def test_a_changed_byte_never_shows_a_secret(bundle, share, byte):
    full = document.dump(bundle)
    place = share * (len(full) - 1) // 10**5
    broken = full[:place] + byte + full[place + 1 :]
    try:
        document.parse(broken, "f")
    except ProblemsError as error:
        shown = str(error)
        lines = {line.strip() for line in full.splitlines()}
        for entry in bundle.entries.values():
            for line in str(entry.key).splitlines()[1:-1]:
                assert line in lines
                assert line not in shown
        assert bundle.tokens[0].partition(".")[2] not in shown


def test_nothing_secret_is_in_a_repr(bundle):
    shown = repr(bundle)
    assert "PRIVATE KEY" not in shown
    assert bundle.tokens[0] not in shown
