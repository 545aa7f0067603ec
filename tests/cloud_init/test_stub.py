"""Stubs in the hands of the real cloud-init: it takes them, and their program makes the files of the whole document.

The program is unchanged. It finds a metadata service at 169.254.169.254 and a bucket, in the machine's own network.
"""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from tests.components import cloudinit

from kgen.config.load import load
from kgen.emitters.stub import OBJECTS
from kgen.output.artifacts import Artifact
from kgen.pipeline import Pipeline
from kgen.secrets_bundle.populate import populate
from kgen.user_data.stub import Store

pytestmark = pytest.mark.real

CLUSTER = """\
apiVersion: kgen/v1
name: stubs
kubernetesVersion: v1.37.2
ntp: {enabled: true, servers: [10.0.0.1]}
users:
  - default
  - {name: ops, groups: [sudo], shell: /bin/bash, lock_passwd: false, plain_text_passwd: test-only}
machines:
  - {name: m1, role: master, address: 10.0.0.11}
pools:
  - name: workers
    role: node
    cloudInit: {packages: [jq], runcmd: ["echo e"], write_files: [{path: /etc/written, content: "x"}]}
"""
SERVER = """\
import http.server, json, socketserver

class Answer(http.server.BaseHTTPRequestHandler):
    def do_PUT(self):
        self.send(b"the-token")

    def do_GET(self):
        roles = "/latest/meta-data/iam/security-credentials/"
        if self.path == roles:
            self.send(b"machines")
        elif self.path.startswith(roles):
            self.send(json.dumps({"AccessKeyId": "A", "SecretAccessKey": "s", "Token": "t"}).encode())
        else:
            assert "Signature=" in self.headers["authorization"]
            self.send(open("/srv" + self.path, "rb").read())

    def send(self, content):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

socketserver.ThreadingMixIn.daemon_threads = True
http.server.ThreadingHTTPServer(("0.0.0.0", 80), Answer).serve_forever()
"""
BOOT = """\
ip link set lo up && ip address add 169.254.169.254/32 dev lo || exit 9
python3 /srv/server.py 2>/dev/null &
sleep 1
python3 -I /usr/local/lib/kgen/fetch.py
kill $!
"""


@pytest.fixture(scope="module", params=cloudinit.SUITES)
def machine(request, tmp_path_factory) -> Iterator[cloudinit.Machine]:
    machine = cloudinit.Machine(request.param, tmp_path_factory.mktemp("machine") / "root")
    yield machine
    shutil.rmtree(machine.root)


@pytest.fixture(scope="module", params=["embedded", "baked"])
def made(request, tmp_path_factory) -> dict[str, bytes]:
    """Every file of a render and of what is published, by path."""
    path: Path = tmp_path_factory.mktemp("cluster") / "cluster.yaml"
    path.write_text(CLUSTER + f"image: {{runner: {request.param}}}\n", encoding="utf-8")
    cluster = load(path).cluster
    pipeline = Pipeline(cluster, populate(None, cluster, datetime.now(UTC)).bundle)
    published = pipeline.published(Store("http://127.0.0.1/bucket", "eu-central-1"))
    items = [*pipeline.artifacts(review_all=True), *published]
    return {str(item.path): item.content for item in items if isinstance(item, Artifact)}


@pytest.mark.parametrize("name", ["m1", "workers"])
def test_a_stub_is_valid_for_cloud_init(machine, made, name):
    done = machine.schema(made[f"publish/user-data/{name}.yaml"])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["m1", "workers"])
def test_a_stub_makes_the_files_of_the_whole_document(machine, made, name):
    instance = f"i-{name}-{len(made['user-data/m1.yaml'])}"
    log = machine.boot(made[f"publish/user-data/{name}.yaml.gz"], instance_id=instance)
    assert not [line for line in log.splitlines() if "[WARNING]" in line or "[ERROR]" in line]
    (machine.root / "srv").mkdir(exist_ok=True)
    machine.put("srv/server.py", SERVER.encode())
    for path, content in made.items():
        if path.startswith(f"{OBJECTS}/"):
            at = machine.root / "srv/bucket" / Path(path).relative_to(OBJECTS)
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_bytes(content)
    whole = yaml.safe_load(made[f"user-data/{name}.yaml"])
    for entry in whole["write_files"]:
        (machine.root / entry["path"].lstrip("/")).unlink(missing_ok=True)
    done = machine.run("sh", "-c", BOOT)
    for entry in whole["write_files"]:
        file = machine.root / entry["path"].lstrip("/")
        if entry["path"] == "/etc/written":  # the user's own file is in the stub
            assert not file.exists()
            continue
        assert file.read_bytes() == entry["content"].encode(), done.stdout + done.stderr
        assert file.stat().st_mode & 0o7777 == int(entry.get("permissions", "0644"), 8)
    script = (machine.instance(instance) / "scripts/runcmd").read_text(encoding="utf-8")
    assert script.strip().endswith("'python3' '-Iu' '/usr/local/lib/kgen/fetch.py'")
