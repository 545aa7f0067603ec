"""A mirror inside an air-gapped site: containerd pulls by the hosts.toml of docs/how-to/air-gapped.md."""

import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from tests import pages
from tests.certificates import issue_certificate
from tests.components import containers, registry
from tests.components.machine_image import FORKY
from tests.unit.runner.test_preflight import containerd


def hosts_toml():
    """Return the page's hosts.toml for docker.io."""
    files = yaml.safe_load(pages.cluster_file(pages.page("air-gapped.md")))["files"]
    (found,) = (file["content"] for file in files if file["path"] == "/etc/containerd/certs.d/docker.io/hosts.toml")
    return found


@pytest.fixture
def root():
    """Give a directory whose name is short enough for sockets, whatever the test and pytest's run are called."""
    with tempfile.TemporaryDirectory(prefix="kgen-") as directory:
        yield Path(directory)


@pytest.mark.parametrize("suite", ["bookworm", "forky"])
def test_containerd_asks_the_mirror_for_what_has_the_name_of_another_registry(root, suite):
    archives = containers.archives(FORKY.kubernetes, FORKY.etcd, FORKY.coredns, FORKY.pause)
    (pause,) = archives.glob("*_pause_*.tar")
    chain = issue_certificate(root)
    directory = root / "certs.d/docker.io"
    directory.mkdir(parents=True)

    def put(name, content):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    machine = SimpleNamespace(root=root, put=put)
    with registry.Registry(root / "registry", "127.0.0.1", certificate=chain) as served:
        served.push(pause, "library/nginx:1.29")
        text = hosts_toml().replace("registry.site.example", served.name)
        (directory / "hosts.toml").write_text(text.replace("/etc/containerd/site-ca.crt", str(chain[0])))
        with containerd(machine, suite) as ctr:
            ended = ctr("images", "pull", "--hosts-dir", str(root / "certs.d"), "docker.io/library/nginx:1.29")
            assert ended.returncode == 0, ended.stderr
            assert "docker.io/library/nginx:1.29" in ctr("images", "list", "-q").stdout
            (directory / "hosts.toml").write_text(text)  # with a CA that is not there
            ended = ctr("images", "pull", "--hosts-dir", str(root / "certs.d"), "docker.io/library/nginx:1.29")
            assert ended.returncode != 0
