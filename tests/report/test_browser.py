"""The page of ``kgen report`` in a real browser: it is drawn, and nothing is asked for from anywhere."""

import re
import subprocess
import zlib
from pathlib import Path

import pytest
from tests.installed import kgen

pytestmark = pytest.mark.real

CLUSTER = """\
apiVersion: kgen/v1
name: prod
kubernetesVersion: v1.37.2
controlPlaneEndpoint: api.prod.example.com:6443
networking: {podSubnet: 10.244.0.0/16}
machines:
  - {name: m1, role: master, address: 10.0.0.11}
  - {name: m2, role: master, address: 10.0.0.12}
  - {name: m3, role: master, address: 10.0.0.13}
  - {name: w1, role: node, address: 10.0.0.21, labels: {rack: r7}}
pools:
  - {name: workers, role: node}
"""
CHROMIUM = ("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("cluster")
    (directory / "prod.yaml").write_text(CLUSTER, encoding="utf-8")
    for verb in ("render", "report"):
        kgen(verb, "prod.yaml", directory=directory)
    return directory / "outputs/prod/report.html"


def chromium(directory: Path, *words: str) -> str:
    """Run the browser with a profile of its own, and return what it prints."""
    done = subprocess.run(
        [*CHROMIUM, f"--user-data-dir={directory / 'profile'}", *words], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def pixels(png: bytes) -> bytes:
    """Return the compressed rows of a PNG image, unpacked."""
    data, place = b"", 8
    while place < len(png):
        size = int.from_bytes(png[place : place + 4], "big")
        if png[place + 4 : place + 8] == b"IDAT":
            data += png[place + 8 : place + 8 + size]
        place += size + 12
    return zlib.decompress(data)


def test_it_is_drawn(page, tmp_path):
    image = tmp_path / "page.png"
    chromium(
        tmp_path,
        "--window-size=1100,2400",
        f"--screenshot={image}",
        page.as_uri(),
    )
    assert "default-src 'none'" in page.read_text(encoding="utf-8")  # the browser runs no script of such a page
    png = image.read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(set(zlib.compress(pixels(png), 1)[:20000])) > 200
    assert len(png) > 100_000  # an empty page of this size has 10 kB


LONG = """\
apiVersion: kgen/v1
name: prod
kubernetesVersion: v1.37.2
controlPlaneEndpoint: control-plane.of-the-third-site.kubernetes.prod.internal.example.com:6443
networking:
  podSubnet: 10.244.0.0/16,fd00:10:244::/56
  serviceSubnet: 10.96.0.0/16,fd00:10:96::/112
  dnsDomain: a-long-domain-of-the-services.of-the-third-site.kubernetes.prod.internal.example.com
machines:
  - {name: control-plane-site-three-0001, role: master, address: [10.100.100.101, "fd00:1234:5678:9abc::1"]}
  - {name: control-plane-site-three-0002, role: master, address: [10.100.100.102, "fd00:1234:5678:9abc::2"]}
  - {name: control-plane-site-three-0003, role: master, address: [10.100.100.103, "fd00:1234:5678:9abc::3"]}
pools:
  - {name: workers-of-the-third-site-with-gpu, role: node}
"""
MEASURE = """
<script>
const svg = document.querySelector("#picture svg");
const all = (name) => [...svg.querySelectorAll(name)].map((it) => [it, it.getBoundingClientRect()]);
const boxes = all("rect");
const out = all("text").filter(([, text]) => !boxes.some(([, box]) => box.left <= text.left && text.right <= box.right
  && box.top <= text.top && text.bottom <= box.bottom));
document.body.append("out of their boxes: " + JSON.stringify(out.map(([it]) => it.textContent)));
</script>
</body>"""


def test_long_names_stay_in_their_boxes(tmp_path):
    (tmp_path / "prod.yaml").write_text(LONG, encoding="utf-8")
    for verb in ("render", "report"):
        kgen(verb, "prod.yaml", directory=tmp_path)
    text = (tmp_path / "outputs/prod/report.html").read_text(encoding="utf-8")
    assert "-0001<" in (picture := text.partition("</svg>")[0])  # the ends, in which names differ
    assert ".com:6443" in picture
    text = re.sub(r"<meta http-equiv.*", "", text).replace("</body>", MEASURE)  # the page itself forbids scripts
    (tmp_path / "measured.html").write_text(text, encoding="utf-8")
    dom = chromium(tmp_path, "--dump-dom", (tmp_path / "measured.html").as_uri())
    assert dom.rpartition("out of their boxes: ")[2].startswith("[]")


def asked_for(page: Path, directory: Path) -> set[str]:
    """Return the URLs that the browser asks a network for when it shows the page; its own updates are left out."""
    log = directory / "net.json"
    dom = chromium(directory, f"--log-net-log={log}", "--dump-dom", page.as_uri())
    assert "kube-apiserver.yaml" in dom
    found = set(re.findall(r'"url":"(https?:[^"]*)"', log.read_text(encoding="utf-8")))
    return {url for url in found if "google" not in url and "gvt1" not in url}


def test_the_browser_asks_for_nothing(page, tmp_path):
    assert asked_for(page, tmp_path) == set()


def test_a_request_would_be_seen(page, tmp_path):
    wrong = tmp_path / "wrong.html"
    text = re.sub(r"<meta http-equiv.*", "", page.read_text(encoding="utf-8"))
    wrong.write_text(text.replace("</main>", '<img src="http://127.0.0.1:9/a.png"></main>'), encoding="utf-8")
    assert asked_for(wrong, tmp_path) == {"http://127.0.0.1:9/a.png"}
