"""The tables of docs/reference/hardening.md, from the table of checks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kgen.facts.hardening import CHECKS, MORE, Check

SECTIONS = (
    ("1.1", "Files of masters"),
    ("1.2", "kube-apiserver"),
    ("1.3", "kube-controller-manager"),
    ("1.4", "kube-scheduler"),
    ("2", "etcd"),
    ("3", "Authentication and audit"),
    ("4.1", "Files of all machines"),
    ("4.2", "kubelet"),
    ("4.3", "kube-proxy"),
)
WHO = {
    "kubeadm": "as in every cluster",
    "kgen": "**yes**",
    "image": "**yes**, in the image of `kgen bake`",
    "otherwise": "**in another way**",
    "no": "**no**",
    "you": "you",
}


def rows() -> Iterator[str]:
    """Yield the lines of the tables, one table for each section."""
    for number, title in SECTIONS:
        yield f"### {number} {title}"
        yield ""
        yield from _table([check for check in CHECKS if check.number.startswith(f"{number}.")])
    yield "### Beside the benchmark's checks"
    yield ""
    yield from _table(MORE)


def _table(checks: Sequence[Check]) -> Iterator[str]:
    yield "| check | what it wants | kgen does it | value | note |"
    yield "| --- | --- | --- | --- | --- |"
    for check in checks:
        values = ", ".join(dict.fromkeys(map(str, check.settings)))
        yield f"| {check.number} | {check.title} | {WHO[check.by]} | {values} | {check.note} |"
    yield ""
