"""A mirror inside an air-gapped site: containerd pulls by the hosts.toml of docs/how-to/air-gapped.md."""

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


@pytest.mark.parametrize("suite", ["bookworm", "forky"])
def test_containerd_asks_the_mirror_for_what_has_the_name_of_another_registry(tmp_path, suite):
    archives = containers.archives(FORKY.kubernetes, FORKY.etcd, FORKY.coredns, FORKY.pause)
    (pause,) = archives.glob("*_pause_*.tar")
    chain = issue_certificate(tmp_path)
    directory = tmp_path / "certs.d/docker.io"
    directory.mkdir(parents=True)

    def put(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    machine = SimpleNamespace(root=tmp_path, put=put)
    with registry.Registry(tmp_path / "registry", "127.0.0.1", certificate=chain) as served:
        served.push(pause, "library/nginx:1.29")
        text = hosts_toml().replace("registry.site.example", served.name)
        (directory / "hosts.toml").write_text(text.replace("/etc/containerd/site-ca.crt", str(chain[0])))
        with containerd(machine, suite) as ctr:
            ended = ctr("images", "pull", "--hosts-dir", str(tmp_path / "certs.d"), "docker.io/library/nginx:1.29")
            assert ended.returncode == 0, ended.stderr
            assert "docker.io/library/nginx:1.29" in ctr("images", "list", "-q").stdout
            (directory / "hosts.toml").write_text(text)  # with a CA that is not there
            ended = ctr("images", "pull", "--hosts-dir", str(tmp_path / "certs.d"), "docker.io/library/nginx:1.29")
            assert ended.returncode != 0
