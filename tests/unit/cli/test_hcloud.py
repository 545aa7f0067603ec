"""``kgen attach`` for Hetzner Cloud: Debian's hcloud runs what it prints, against a stand-in for the API."""

import base64
import json
import os
import re
import shlex
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from tests import pages
from tests.components import hetzner

ACTION = {"id": 1, "command": "create_server", "status": "success", "progress": 100, "resources": []}
THING = {"id": 7, "architecture": "x86", "type": "snapshot", "status": "available", "ip_range": "10.0.0.0/16"}


class Api(BaseHTTPRequestHandler):
    """Every name exists once, with the number 7; ``asked`` keeps the requests that change something."""

    asked: list

    def do_GET(self):
        url = urlsplit(self.path)
        kind = url.path.split("/")[1]
        if kind == "actions":
            self.reply({"action": ACTION, "actions": [ACTION]})
        else:
            (name,) = parse_qs(url.query).get("name", [""])
            self.reply({kind: [{**THING, "name": name}], kind.removesuffix("s"): {**THING, "name": name}})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        self.asked.append((self.path, json.loads(body or "{}")))
        self.reply({"server": {**THING, "name": "w1"}, "action": ACTION, "next_actions": [], "root_password": None})

    def reply(self, content):
        data = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Print nothing."""


@pytest.fixture
def hcloud(here):
    """Return a function that runs a shell text with hcloud, and returns how it ended and what it asked the API for."""
    handler = type("Handler", (Api,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (here / "bin").mkdir()
    program = here / "bin/hcloud"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(hetzner.hcloud())} "$@"\n')
    program.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{here / 'bin'}:{os.environ['PATH']}",
        "HCLOUD_TOKEN": "x" * 64,
        "HCLOUD_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
    }

    def run(text, directory):
        handler.asked.clear()
        ended = subprocess.run(
            ["sh", "-c", text], cwd=directory, env=environment, capture_output=True, text=True, check=False
        )
        return ended, handler.asked

    yield run
    server.shutdown()
    server.server_close()


@pytest.mark.real
@pytest.mark.parametrize("output", ["outputs", "out put"])
def test_hcloud_creates_the_server_switched_off_and_gives_it_its_address(kgen, here, hcloud, output):
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + "provider: hetzner\n")
    assert kgen("render", "prod.yaml", "--output", output).code == 0
    ended, asked = hcloud(kgen("attach", "prod.yaml", "m1", "--output", output).out, here)
    assert ended.returncode == 0, ended.stderr
    (_, created), (attach_path, attached), (power_path, _) = asked
    document = (here / output / "prod/user-data/m1.yaml.gz").read_bytes()
    assert base64.b64decode(created["user_data"]) == document
    assert (created["name"], created["start_after_create"], created.get("networks")) == ("m1", False, None)
    assert attach_path == "/servers/7/actions/attach_to_network"
    assert attached == {"network": 7, "ip": "10.0.0.11"}
    assert power_path == "/servers/7/actions/poweron"


@pytest.mark.real
def test_hcloud_gives_a_node_of_a_pool_the_network_and_nothing_without_the_file(kgen, here, hcloud):
    (here / "prod.yaml").write_text((here / "prod.yaml").read_text() + "provider: hetzner\n")
    assert kgen("render", "prod.yaml").code == 0
    text = re.sub(r"\bNAME\b", "node-1", kgen("attach", "prod.yaml", "workers").out)
    ended, asked = hcloud(text, here)
    assert ended.returncode == 0, ended.stderr
    (_, created), (power_path, _) = asked
    assert (created["name"], created["networks"]) == ("node-1", [7])
    assert power_path == "/servers/7/actions/poweron"
    ended, asked = hcloud(text, here / "bin")
    assert (ended.returncode != 0, asked) == (True, [])


@pytest.mark.real
def test_hcloud_has_every_command_and_option_of_the_page():
    lines = [words for block in pages.blocks(pages.page("hetzner.md")) for words in pages.commands(block)]
    found = [" ".join(words).split("hcloud ", 1)[1].removesuffix(" &&") for words in lines if "hcloud" in words]
    assert len(found) > 10
    for line in [*found, "server create --no-such-option"]:
        ended = subprocess.run(
            [*hetzner.hcloud(), *line.split(), "--help"], capture_output=True, text=True, check=False
        )
        assert (ended.returncode == 0) == ("no-such" not in line), (line, ended.stderr)
        usage = " ".join(word for word in line.split()[:2])
        assert f"hcloud {usage} " in ended.stdout or "no-such" in line
