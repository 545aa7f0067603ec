"""Rendered documents in the hands of the real cloud-init, the oldest and the newest of interest."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.components import cloudinit
from tests.installed import kgen

from kgen.facts import names
from kgen.firstboot import program as runner_source
from kgen.runner import own_values
from kgen.runner.base import Run, Stop

pytestmark = pytest.mark.real

CLUSTER = """\
apiVersion: kgen/v1
name: seeds
kubernetesVersion: v1.37.2
controlPlaneEndpoint: api.seeds.example.com:6443
ntp: {enabled: true, servers: [10.0.0.1]}
users:
  - default
  - {name: ops, groups: [sudo], shell: /bin/bash, lock_passwd: false, plain_text_passwd: test-only}
machines:
  - {name: m1, role: master, address: 10.0.0.11}
  - {name: m2, role: master, address: 10.0.0.12}
  - {name: m3, role: master, address: 10.0.0.13}
  - {name: w1, role: node, address: 10.0.0.21, labels: {rack: r7}}
pools:
  - {name: workers, role: node, labels: {tier: "null"}}
  - name: disks
    role: node
    files: [{path: /etc/example.conf, content: "a ${b} {{ c }}\\n"}]
    cloudInit:
      package_update: yes
      packages: [nfs-common, [jq, "1.7"]]
      disk_setup: {/dev/vdb: {table_type: gpt, layout: true, overwrite: false}}
      fs_setup: [{device: /dev/vdb1, filesystem: ext4}]
      mounts: [[/dev/vdb1, /var/lib/containerd]]
      growpart: {mode: auto, devices: [/]}
      timezone: Etc/UTC
      ca_certs: {trusted: ["-----BEGIN CERTIFICATE-----\\nMA==\\n-----END CERTIFICATE-----\\n"]}
      manage_etc_hosts: localhost
      ssh_pwauth: false
      bootcmd: [["true"]]
      runcmd: [[echo, 'a "b" $c {{ d }}'], "echo e"]
      runcmd_after: [echo done]
      write_files: [{path: /etc/written, content: "x: \\u2028y", permissions: "0640"}]
      power_state: {mode: reboot, delay: now}
  - name: own
    role: node
    labels: {family: {metadata: v1.distro}}
    nodeRegistration:
      kubeletExtraArgs:
        - {name: provider-id, value: "example:///{metadata: v1.instance_id}/{metadata: ds.meta_data.instance_id}"}
"""
DOCUMENTS = ("m1", "m2", "w1", "workers", "disks", "own")


@pytest.fixture(scope="module")
def user_data(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("cluster")
    (directory / "cluster.yaml").write_text(CLUSTER, encoding="utf-8")
    kgen("render", "cluster.yaml", directory=directory)
    return directory / "outputs/seeds/user-data"


@pytest.fixture(scope="module", params=cloudinit.SUITES)
def machine(request, tmp_path_factory) -> Iterator[cloudinit.Machine]:
    machine = cloudinit.Machine(request.param, tmp_path_factory.mktemp("machine") / "root")
    assert machine.version().startswith(request.param)
    yield machine
    shutil.rmtree(machine.root)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_document_is_valid_for_cloud_init(machine, user_data, name):
    done = machine.schema((user_data / f"{name}.yaml").read_bytes())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "deprecat" not in (done.stdout + done.stderr).lower()


def test_the_schema_check_sees_a_wrong_key(machine, user_data):
    document = (user_data / "w1.yaml").read_bytes()
    assert machine.schema(document.replace(b"permissions", b"permisions")).returncode == 1


@pytest.mark.parametrize(("name", "role"), [("m1", "master"), ("workers", "node"), ("disks", "node")])
def test_cloud_init_unpacks_the_document_byte_for_byte(machine, user_data, name, role):
    log = machine.boot((user_data / f"{name}.yaml.gz").read_bytes(), instance_id=f"i-{name}")
    assert not [line for line in log.splitlines() if "[WARNING]" in line or "[ERROR]" in line]

    document = yaml.safe_load((user_data / f"{name}.yaml").read_text(encoding="utf-8"))
    for entry in document["write_files"]:
        file = machine.root / entry["path"].lstrip("/")
        assert file.read_bytes() == entry["content"].encode()
        assert file.stat().st_mode & 0o7777 == int(entry.get("permissions", "0644"), 8)

    runner = _on(machine, names.RUNNER_PATH).read_text(encoding="utf-8")
    assert runner == runner_source.program(role, with_comments=False, extras=())
    payload = json.loads(_on(machine, names.PAYLOAD_PATH).read_text(encoding="utf-8"))
    body = json.dumps(payload["body"], sort_keys=True).encode()
    assert payload["sha256"] == hashlib.sha256(body).hexdigest()
    assert payload["body"]["role"] == role


def test_the_machine_finds_its_own_values_in_cloud_inits_instance_data(machine, user_data):
    machine.boot((user_data / "own.yaml.gz").read_bytes(), instance_id="i-own")
    run = Run(str(machine.root), "true")
    run.body = json.loads(_on(machine, names.PAYLOAD_PATH).read_text(encoding="utf-8"))["body"]
    own_values.own_values(run)
    (content,) = (content for path, _, _, content in run.body["files"] if path == str(names.KUBELET_FLAGS_ENV))
    assert "".join(content) == (
        'KUBELET_KUBEADM_ARGS="--node-labels=family=debian --provider-id=example:///i-own/i-own"\n'
    )
    content[0] = {"metadata": "v1.zone"}
    with pytest.raises(Stop, match=r"v1.zone is not in .*; below v1 there is: .*availability_zone, .*instance_id, .*"):
        own_values.own_values(run)


def test_the_script_of_runcmd_is_the_documents(machine, user_data):
    machine.boot((user_data / "w1.yaml.gz").read_bytes(), instance_id="i-runcmd")
    script = machine.instance("i-runcmd") / "scripts/runcmd"
    document = yaml.safe_load((user_data / "w1.yaml").read_text(encoding="utf-8"))
    assert script.read_text(encoding="utf-8").strip().endswith(document["runcmd"][0].strip())
    assert machine.run("sh", "-n", f"/{script.relative_to(machine.root)}").returncode == 0


def test_delivery_is_repeated_at_every_boot_until_the_runner_is_done(machine, user_data):
    document = (user_data / "w1.yaml.gz").read_bytes()
    machine.boot(document, instance_id="i-cut")
    payload = _on(machine, names.PAYLOAD_PATH)
    script = machine.instance("i-cut") / "scripts/runcmd"
    whole = payload.read_bytes(), script.read_bytes()

    payload.write_bytes(b"")  # what a power cut leaves of a file that was never synced
    script.write_bytes(b"")
    machine.boot(document, instance_id="i-cut")
    assert (payload.read_bytes(), script.read_bytes()) == whole

    done = _on(machine, names.DONE_PATH)
    done.parent.mkdir(parents=True, exist_ok=True)
    done.touch()
    payload.unlink()
    machine.boot(document, instance_id="i-cut")
    assert not payload.exists()
    done.unlink()


def test_empty_network_files_after_a_power_cut_are_written_again(machine, user_data):
    document = (user_data / "w1.yaml.gz").read_bytes()
    machine.boot(document, instance_id="i-network")
    folder = machine.root / "etc/netplan"
    folder.mkdir(exist_ok=True)
    lost, mine, whole = (folder / name for name in ("50-cloud-init.yaml", "90-mine.yaml", "10-cloud-init.yaml"))
    lost.touch()
    mine.touch()
    others = machine.root / "etc/nginx/blocked-ips.conf"
    others.parent.mkdir(exist_ok=True)
    others.touch()
    whole.write_text("network: {}\n", encoding="utf-8")
    log = machine.boot(document, instance_id="i-network")
    assert sorted(path.name for path in folder.iterdir()) == [whole.name, mine.name]
    assert others.exists()
    # It has forgotten that it knows this instance: to a new one it gives its network.
    assert "new=True" in log.partition("running 'init' at")[2]
    assert _on(machine, names.PAYLOAD_PATH).read_bytes()


def _on(machine: cloudinit.Machine, path) -> Path:
    return machine.root / str(path).lstrip("/")
