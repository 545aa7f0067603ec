"""The real cloud-init takes its seed over HTTP from the real `kgen serve`."""

import ast
import json
import shutil
import socket
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.components import cloudinit
from tests.installed import KGEN, kgen

pytestmark = pytest.mark.real

NETWORK = {"version": 2, "ethernets": {"eth0": {"addresses": ["10.0.0.21/24"]}}}
FINAL_MODULES = "cloud_final_modules: [scripts-vendor]\n"
STATUS = {"phase": "done", "step": "", "seconds": 9, "error": "", "hint": "", "exit_code": 0}
FINAL = """\
import contextlib, pathlib, subprocess, time
subprocess.run(["cloud-init", "modules", "--mode=final"], check=True)
end = time.monotonic() + 120
def is_reporting():
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if b"scripts/" b"vendor" in path.read_bytes():
                return True
while is_reporting() and time.monotonic() < end:
    time.sleep(0.1)
"""
"""The last stage of cloud-init, and then the end of what its script has left running."""


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("cluster")
    cluster = {
        "apiVersion": "kgen/v1",
        "name": "metal",
        "kubernetesVersion": "v1.37.2",
        "machines": [
            {"name": "m1", "role": "master", "address": "10.0.0.11"},
            {"name": "w1", "role": "node", "address": "10.0.0.21", "network": NETWORK},
        ],
    }
    (directory / "cluster.yaml").write_text(json.dumps(cluster), encoding="utf-8")
    kgen("render", "cluster.yaml", directory=directory)
    return directory


@pytest.fixture(scope="module", params=cloudinit.SUITES)
def machine(request, tmp_path_factory):
    machine = cloudinit.Machine(request.param, tmp_path_factory.mktemp("machine") / "root")
    machine.has_network = True
    machine.put("etc/cloud/cloud.cfg.d/99-zz.cfg", FINAL_MODULES.encode())
    yield machine
    shutil.rmtree(machine.root)


class Serving:
    """A running `kgen serve`: the kernel's arguments of the machines, and the events so far."""

    def __init__(self, directory: Path, process: subprocess.Popen) -> None:
        self.process = process
        self.port = int(json.loads(process.stdout.readline())["url"].rpartition(":")[2])
        lines = (directory / "urls").read_text(encoding="utf-8").splitlines()
        self.arguments = dict(line.split(" ", 1) for line in lines)

    def end(self) -> list[tuple[str, str]]:
        self.process.terminate()
        *events, last = [json.loads(line) for line in self.process.communicate()[0].splitlines()]
        assert last["error"]["message"] == "terminated"
        return [(event["machine"], event["text"].partition(" (")[0]) for event in events]


@contextmanager
def serving(directory: Path):
    words = ["--listen", "127.0.0.1:0", "--any-address", "--urls", "urls", "--json"]
    process = subprocess.Popen(
        [KGEN, "serve", "cluster.yaml", *words],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Serving(directory, process)
    finally:
        process.kill()
        process.communicate()


class Cutting:
    """A network in which the first transfer of user-data breaks off after a thousand bytes."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cuts = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            client, _ = self.listener.accept()
            with client, socket.socket() as server:
                server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # nothing is acknowledged unread
                server.connect(("127.0.0.1", self.port))
                request = client.recv(65536)
                server.sendall(request)
                is_cut = b"/user-data " in request and not self.cuts
                self.cuts += is_cut
                while part := server.recv(1000):
                    client.sendall(part)
                    if is_cut:
                        break


def test_nocloud_takes_the_seed_once_and_reports_its_end(machine, directory):
    with serving(directory) as server:
        log = machine.boot_command_line(f"BOOT_IMAGE=/vmlinuz ro {server.arguments['m1']} quiet")
        assert "DataSourceNoCloudNet" in log
        assert not [line for line in log.splitlines() if "[ERROR]" in line]
        document = (directory / "outputs/metal/user-data/m1.yaml").read_bytes()
        assert (machine.instance("metal-m1") / "user-data.txt").read_bytes() == document
        payload = json.loads((machine.root / "etc/kgen/payload.json").read_text(encoding="utf-8"))
        assert payload["body"]["role"] == "master"
        data = json.loads((machine.root / "run/cloud-init/instance-data.json").read_text(encoding="utf-8"))
        assert data["v1"]["local_hostname"] == "m1"
        (machine.root / "run/kgen").mkdir(exist_ok=True)
        machine.put("run/kgen/status.json", json.dumps(STATUS).encode())
        home = machine.run("python3", "-c", FINAL)
        assert home.returncode == 0, home.stdout + home.stderr
        done = server.end()
    assert set(done) == {("m1", f"took {document}") for document in documents_of(machine)} | {("m1", "done")}
    log = machine.reboot()  # with the same command line, and without a server
    assert "restored from" in log
    assert "open 'http" not in log


def test_a_transfer_that_breaks_off_is_repeated(machine, directory):
    with serving(directory) as server:
        network = Cutting(server.port)
        through = server.arguments["w1"].replace(f":{server.port}/", f":{network.listener.getsockname()[1]}/")
        machine.boot_command_line(through)
        assert network.cuts == 1
        texts = [text for _, text in server.end()]
    assert "broke off while it took user-data; it may take it again" in texts
    assert texts.count("took user-data") == 1
    instance = machine.instance("metal-w1")
    assert (instance / "user-data.txt").read_bytes() == (directory / "outputs/metal/user-data/w1.yaml").read_bytes()
    code = "import pickle; print(pickle.load(open('/var/lib/cloud/instance/obj.pkl', 'rb')).network_config)"
    found = machine.run("python3", "-c", code)
    assert found.returncode == 0, found.stderr
    assert ast.literal_eval(found.stdout) == (NETWORK if "network-config" in documents_of(machine) else None)


def documents_of(machine) -> list[str]:
    """Return what this cloud-init reads over HTTP. Older ones read no network-config."""
    return ["meta-data", "user-data", "vendor-data", *(["network-config"] * (machine.version() >= "24"))]
