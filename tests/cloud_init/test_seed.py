"""Seeds of ``kgen seed`` in the hands of the real cloud-init and of other programs."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.components import cloudinit
from tests.installed import kgen

pytestmark = pytest.mark.real

NETWORK = """\
version: 2
ethernets:
  lan0:
    match: {macaddress: "52:54:00:12:34:56"}
    set-name: lan0
    addresses: [10.0.0.11/24, "fd00::11/64"]
    routes: [{to: 0.0.0.0/0, via: 10.0.0.1, metric: 50}]
    nameservers: {addresses: [10.0.0.1], search: [example.com]}
  lan1: {match: {macaddress: "52:54:00:12:34:57"}, set-name: lan1}
  lan2: {match: {macaddress: "52:54:00:12:34:58"}, set-name: lan2}
bonds:
  bond0: {interfaces: [lan1, lan2], parameters: {mode: active-backup, mii-monitor-interval: "100"}}
vlans:
  storage: {id: 20, link: bond0, addresses: [10.20.0.11/24]}
"""


@pytest.fixture(scope="module")
def seeds(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("cluster")
    cluster = {
        "apiVersion": "kgen/v1",
        "name": "seeds",
        "kubernetesVersion": "v1.37.2",
        "machines": [
            {"name": "m1", "role": "master", "address": "10.0.0.11", "network": yaml.safe_load(NETWORK)},
            {"name": "w1", "role": "node", "address": "10.0.0.21"},
        ],
        "pools": [{"name": "workers", "role": "node"}],
    }
    (directory / "cluster.yaml").write_text(json.dumps(cluster), encoding="utf-8")
    kgen("render", "cluster.yaml", directory=directory)
    kgen("seed", "--pool", "workers", "--name", "w7", "cluster.yaml", directory=directory)
    return directory / "outputs/seeds/seed"


@pytest.fixture(scope="module", params=cloudinit.SUITES)
def machine(request, tmp_path_factory):
    machine = cloudinit.Machine(request.param, tmp_path_factory.mktemp("machine") / "root")
    yield machine
    shutil.rmtree(machine.root)


@pytest.mark.parametrize("name", ["m1", "w1", "workers", "w7"])
def test_nocloud_takes_the_directory(machine, seeds, name):
    log = machine.boot_seed(seeds / name)
    assert not [line for line in log.splitlines() if "[WARNING]" in line or "[ERROR]" in line]
    assert "DataSourceNoCloud [seed=/var/lib/cloud/seed/nocloud]" in log
    instance = machine.instance(f"seeds-{name}")
    assert (instance / "user-data.txt").read_bytes() == (seeds / name / "user-data").read_bytes()
    payload = json.loads((machine.root / "etc/kgen/payload.json").read_text(encoding="utf-8"))
    assert payload["body"]["role"] == ("master" if name == "m1" else "node")
    data = json.loads((machine.root / "run/cloud-init/instance-data.json").read_text(encoding="utf-8"))
    assert data["v1"]["instance_id"] == f"seeds-{name}"
    if name != "workers":
        assert data["v1"]["local_hostname"] == name


def test_cloud_init_makes_the_network_of_it(machine, seeds):
    machine.put("tmp/network-config", (seeds / "m1/network-config").read_bytes())
    if machine.version() >= "23.4":  # the schema command learnt this type then
        done = machine.run(
            "cloud-init", "schema", "--schema-type", "network-config", "--config-file", "/tmp/network-config"
        )
        assert done.returncode == 0, done.stdout + done.stderr
    words = "cloud-init devel net-convert --network-data /tmp/network-config --kind yaml --distro debian"
    done = machine.run(*words.split(), "--directory", "/tmp/net", "--output-kind", "eni")
    assert done.returncode == 0, done.stdout + done.stderr
    made = "".join(
        path.read_text(encoding="utf-8") for path in (machine.root / "tmp/net/etc/network").rglob("*") if path.is_file()
    )
    for line in (
        "address 10.0.0.11/24",
        "address fd00::11/64",
        "bond-mode active-backup",
        "bond-master bond0",
        "vlan-raw-device bond0",
        "address 10.20.0.11/24",
    ):
        assert line in made
    assert re.search(r"default (gw|via) 10\.0\.0\.1\b", made)


def test_the_schema_of_kgen_is_that_of_cloud_init(seeds, machine):
    if machine.version() < "23.4":
        return
    wrong = (
        (seeds / "m1/network-config")
        .read_bytes()
        .replace(b"mii-monitor-interval: ", b"mode2: ")
        .replace(b"active-backup", b"fast")
    )
    machine.put("tmp/wrong", wrong)
    done = machine.run("cloud-init", "schema", "--schema-type", "network-config", "--config-file", "/tmp/wrong")
    assert done.returncode == 1
    assert "parameters.mode" in done.stdout + done.stderr


def test_other_programs_read_the_image(seeds):
    image = seeds / "m1.iso"
    label = subprocess.run(["blkid", "-p", "-s", "LABEL", "-s", "TYPE", "-o", "export", image], capture_output=True)
    assert {b"LABEL=cidata", b"TYPE=iso9660"} <= set(label.stdout.splitlines())
    for tables in ("-R", "-J"):
        for file in ("user-data", "meta-data", "network-config", "vendor-data"):
            done = subprocess.run(["isoinfo", tables, "-i", image, "-x", f"/{file}"], capture_output=True, check=True)
            assert done.stdout == (seeds / "m1" / file).read_bytes()
