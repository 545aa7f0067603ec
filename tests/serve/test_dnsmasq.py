"""The real dnsmasq takes the configuration that `kgen serve --dhcp` prints."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.installed import KGEN, kgen

pytestmark = pytest.mark.real


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
    kgen("render", "cluster.yaml", directory=directory)
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


HERE = Path(__file__).parent
NETWORK = """\
set -e
ip link set lo up
ip link add server type veth peer name client
ip addr add 10.0.0.2/24 dev server
ip link set server up
ip link set client up
ip neighbour add 10.0.0.11 lladdr 52:54:00:00:00:11 dev server nud permanent
dnsmasq --no-daemon --user=root --conf-file="$1" --dhcp-leasefile="$2" --pid-file= >"$2.log" 2>&1 &
trap 'kill %1' EXIT
while ! grep -q TFTP.root "$2.log"; do kill -0 %1; sleep 0.1; done
shift 2
for asked; do echo "$("$PYTHON" "$FIRMWARE" $asked)"; done
"""
M1, STRANGER = "52:54:00:00:00:11", "52:54:00:00:00:99"
CLIENTS = {
    "BIOS": "0 PXEClient:Arch:00000:UNDI:002001",
    "UEFI": "7 PXEClient:Arch:00007:UNDI:003001",
    "UEFI as Intel numbered it": "9 PXEClient:Arch:00009:UNDI:003001",
    "UEFI by HTTP": "16 HTTPClient:Arch:00016:UNDI:003001",
    "iPXE in a BIOS": "0 PXEClient:Arch:00000:UNDI:002001 ipxe",
    "iPXE in UEFI": "7 PXEClient:Arch:00007:UNDI:003010 ipxe",
}
SCRIPT = "http://10.0.0.2:8080/boot.ipxe"


def answers(directory, tmp_path, mode: str, macs=(M1,)) -> dict[tuple[str, str], dict]:
    """Return what dnsmasq answers to each kind of client with each MAC address."""
    (tmp_path / "conf").write_text(printed(directory, "--listen", "10.0.0.2:8080", "--dhcp", mode), encoding="utf-8")
    asked = {(name, mac): f"{mac} {words}" for name, words in CLIENTS.items() for mac in macs}
    done = subprocess.run(
        [
            "unshare",
            "--user",
            "--map-root-user",
            "--net",
            "bash",
            "-c",
            NETWORK,
            "bash",
            "conf",
            "leases",
            *asked.values(),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHON": sys.executable,
            "FIRMWARE": str(HERE / "firmware.py"),
        },
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line or "{}") for line in done.stdout.splitlines()]
    return dict(zip(asked, found, strict=True))


def test_full_gives_each_firmware_its_loader(directory, tmp_path):
    found = answers(directory, tmp_path, "full", (M1, STRANGER))
    assert {mac for (_, mac), answer in found.items() if answer} == {M1}
    assert {answer["address"] for answer in found.values() if answer} == {"10.0.0.11"}
    assert {name: found[name, M1]["file"] for name in CLIENTS} == {
        "BIOS": "undionly.kpxe",
        "UEFI": "ipxe.efi",
        "UEFI as Intel numbered it": "ipxe.efi",
        "UEFI by HTTP": "http://10.0.0.2:8080/boot/ipxe.efi",
        "iPXE in a BIOS": SCRIPT,
        "iPXE in UEFI": SCRIPT,
    }
    assert found["UEFI by HTTP", M1]["class"] == "HTTPClient"


def test_proxy_gives_no_address_and_tells_ipxe_the_script(directory, tmp_path):
    found = answers(directory, tmp_path, "proxy")
    assert {answer["address"] for answer in found.values() if answer} == {"0.0.0.0"}
    for name in ("iPXE in a BIOS", "iPXE in UEFI"):
        assert (found[name, M1]["file"], found[name, M1]["next"]) == (SCRIPT, "10.0.0.2")
    assert found["UEFI", M1]["file"] == found["UEFI as Intel numbered it", M1]["file"] == "ipxe.efi"
    assert b"iPXE" in bytes.fromhex(found["BIOS", M1]["menu"])  # PXE's menu, whose one entry the firmware asks for
