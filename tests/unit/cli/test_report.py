"""``kgen report``: a page that is whole in itself, and holds no secret and no markup of the user's."""

import json
import re
import stat
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from tests.unit.cli.test_exposure import CLUSTER, MORE, search

from kgen.secrets_bundle import store

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """The elements of a page; fails on one that is not closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def report(kgen, here):
    """Return a function that renders a cluster file and returns the text of its page."""

    def make(text: str) -> str:
        (here / "prod.yaml").write_text(text)
        for verb in ("render", "report"):
            ended = kgen(verb, "prod.yaml")
            assert ended.code == 0, ended.err
        return (here / "outputs/prod/report.html").read_text(encoding="utf-8")

    return make


def test_the_page_says_what_there_is(report):
    page = Page(report(CLUSTER + MORE))
    words = " ".join(" ".join(page.words).split())
    for text in (
        "api.example.com:6443",
        "10.0.0.12",
        "Services 10.96.0.0/12",
        "etcd/server (3)",
        "/etc/kubernetes/manifests/kube-apiserver.yaml",
        "a static pod of the control plane",
        "Amazon EC2",
        "pool: any number",
    ):
        assert text in words
    assert [tag for tag, _ in page.elements].count("details") == 6  # a machine or pool each


def test_it_needs_nothing_from_anywhere_and_no_script(report):
    page = Page(report(CLUSTER + MORE))
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
    links = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in ("href", "src", "action")
    ]
    assert len(links) == 5
    assert all(link.startswith("#") for link in links)
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    policy = next(it["content"] for tag, it in page.elements if tag == "meta" and "http-equiv" in it)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_it_holds_no_secret(report, here):
    text = report(CLUSTER + MORE)
    assert search({"report": text.encode()}, store.read(here / "prod.secrets.yaml")) == set()
    assert "p$\\y" not in text


def test_texts_of_the_user_are_no_markup(report):
    text = report(
        CLUSTER.replace("address: 10.0.0.21", "address: 10.0.0.21, serial: '<script>alert(1)</script>'")
        + "files: [{path: '/etc/<b>&\"x', content: a}]\n"
    )
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "/etc/&lt;b&gt;&amp;&#34;x" in text
    Page(text)


def test_pictures_are_whole_and_inside_their_frames(report):
    for text in (
        CLUSTER,
        CLUSTER.replace("pools:", "".join(f"  - {{name: n{n}, role: node}}\n" for n in range(130)) + "pools:"),
    ):
        svgs = re.findall(r"<svg.*?</svg>", report(text), re.S)
        assert len(svgs) == 3
        for svg in svgs:
            root = ET.fromstring(svg)
            _, _, width, height = map(float, root.attrib["viewBox"].split())
            for rect in root.iter("rect"):
                x, y, w, h = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
                assert 0 <= x <= x + w <= width
                assert 0 <= y <= y + h <= height


def test_a_large_cluster_makes_a_page_that_can_be_read(report):
    nodes = "".join(f"  - {{name: n{number}, role: node}}\n" for number in range(130))
    text = report(CLUSTER.replace("pools:", nodes + "pools:"))
    assert len(text) < 200_000
    assert "130 more nodes are like one of these" in text
    assert "and 116 more" in text


def test_a_document_over_its_limit_is_shown(kgen, here, report):
    report(CLUSTER)
    (here / "prod.yaml").write_text(CLUSTER + "provider: ec2\n")
    assert kgen("report", "prod.yaml").code == 0
    text = (here / "outputs/prod/report.html").read_text()
    assert 'class="over"' in text
    assert "beside the limit of Amazon EC2" in text


def test_the_file_can_be_shown_to_others_and_stays_the_same(kgen, here, report):
    text = report(CLUSTER)
    path = here / "outputs/prod/report.html"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    told = json.loads(kgen("report", "prod.yaml", "--json").out)
    assert told == {"path": "outputs/prod/report.html", "bytes": len(text.encode()), "changed": False, "warnings": []}


def test_it_needs_a_bundle_that_is_up_to_date(kgen, here):
    assert kgen("report", "prod.yaml").code == 2
    assert kgen("render", "prod.yaml").code == 0
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + "apiServer: {certSANs: [a.example.com]}\n")
    ended = kgen("report", "prod.yaml")
    assert (ended.code, "run `kgen render prod.yaml`" in ended.err) == (2, True)
