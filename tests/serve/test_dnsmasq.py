"""The real dnsmasq takes the configuration that `kgen serve --dhcp` prints."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

KGEN = Path(sys.executable).with_name("kgen")


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("cluster")
    machines = [
        {"name": "m1", "role": "master", "address": ["10.0.0.11", "fd00::11"], "mac": "52:54:00:00:00:11"},
        {"name": "w1", "role": "node", "address": "10.0.0.21", "serial": "ABC"},
        {"name": "w2", "role": "node", "mac": "52:54:00:00:00:22"},
    ]
    cluster = {
        "apiVersion": "kgen/v1",
        "name": "metal",
        "kubernetesVersion": "v1.37.2",
        "networking": {"serviceSubnet": "10.96.0.0/12,fd01::/112"},
        "machines": machines,
    }
    (directory / "cluster.yaml").write_text(json.dumps(cluster), encoding="utf-8")
    done = subprocess.run([KGEN, "render", "cluster.yaml"], cwd=directory, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return directory


def printed(directory, *words: str) -> str:
    done = subprocess.run([KGEN, "serve", "cluster.yaml", *words], cwd=directory, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("mode", [["--dhcp"], ["--dhcp", "proxy"], ["--dhcp", "full"]])
def test_dnsmasq_takes_it(directory, tmp_path, mode):
    text = printed(directory, "--listen", "10.0.0.2:8080", *mode)
    (tmp_path / "dnsmasq.conf").write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["dnsmasq", "--test", f"--conf-file={tmp_path / 'dnsmasq.conf'}"],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    # A proxy's offer to iPXE needs the address of a server, or iPXE ignores the URL.
    assert "dhcp-boot=tag:ipxe,http://10.0.0.2:8080/boot.ipxe,,10.0.0.2\n" in text


def test_full_gives_the_machines_their_addresses_and_no_other_machine_one(directory):
    lines = printed(directory, "--listen", "10.0.0.2:8080", "--dhcp", "full").splitlines()
    assert [line for line in lines if line.startswith("dhcp-host=")] == ["dhcp-host=52:54:00:00:00:11,10.0.0.11,m1"]
    assert "# w1 gets no address: the cluster file gives no mac of it" in lines
    assert "# w2 gets no address: the cluster file gives no address of it" in lines
    assert "dhcp-range=10.0.0.2,static" in lines


def test_it_needs_an_ipv4_address(directory):
    for words, said in (
        ((), "--dhcp needs the address that machines reach"),
        (("--listen", "[fd00::2]:8080"), "PXE needs an IPv4 address of this computer"),
    ):
        done = subprocess.run(
            [KGEN, "serve", "cluster.yaml", "--dhcp", *words], cwd=directory, capture_output=True, text=True
        )
        assert done.returncode == 2
        assert said in done.stderr
