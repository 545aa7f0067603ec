"""A stand-in for kubelet, systemd and containerd: ``python kubelet --root DIR [--images DIR] start|restart|stop``.

The real kubelet does not run where these tests run (it refuses cgroup v1, and needs cgroups of its own). This one reads
the same rendered files (config.yaml, kubeadm-flags.env, kubelet.conf or bootstrap-kubelet.conf, the static pods'
manifests) and does for the control plane what the real one does: starts the static pods' containers with their own
command lines, environment and mounts, and no others; keeps them running; answers its health port; obtains and rotates
its client certificate through CSRs; registers the Node, renews its Lease, and creates the mirror pods; serves health
and logs at its own port, with the certificate that the configuration says. Containers
survive a restart of the kubelet. Probes, cgroups and pods from the API are not implemented.

``start`` and ``restart`` return at once, as ``systemctl`` does; ``start`` leaves a running one alone.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import configuration
import node
import pods
import serving

STATE = "run/kubelet-standin"
LOGS = "var/log/pods"


def running(root: Path) -> int | None:
    """Return the pid of the running daemon of this root."""
    try:
        pid = int((root / STATE / "pid").read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if str(root).encode() in words and b"daemon" in words else None


def start(root: Path, images: Path, version: str) -> None:
    if running(root):
        return
    state, logs = root / STATE, root / LOGS
    state.mkdir(parents=True, exist_ok=True)
    logs.mkdir(parents=True, exist_ok=True)
    program = [sys.executable, str(Path(__file__).parent)]
    command = [*program, "--root", str(root), "--images", str(images), "--version", version, "daemon"]
    with (logs / "kubelet.log").open("a") as log:
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    (state / "pid").write_text(str(daemon.pid))
    daemon.returncode = 0  # it outlives this process on purpose


def stop(root: Path) -> None:
    pid = running(root)
    while pid and running(root) == pid:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        time.sleep(0.02)


class Healthz(BaseHTTPRequestHandler):
    """``/healthz`` says ok, as the kubelet's does once it runs."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *words: object) -> None:
        pass


def daemon(root: Path, images: Path, version: str) -> None:
    """Do a kubelet's work until SIGTERM. A missing or unreadable configuration ends it; then it is started again."""
    while True:
        try:
            settings = configuration.load(root)
            break
        except (OSError, ValueError, KeyError) as error:  # systemd starts a failed kubelet again and again
            logging.error("cannot start: %s", error)
            time.sleep(0.5)
    health = ThreadingHTTPServer((settings.healthz_address, settings.healthz_port), Healthz)
    threading.Thread(target=health.serve_forever, daemon=True).start()
    keeper = pods.Keeper(root, settings.static_pod_path, images, root / STATE / "pods", root / LOGS)
    agent = node.Agent(root, settings, version, keeper)
    threading.Thread(target=serving.serve, args=(settings, root / LOGS, agent.request_serving), daemon=True).start()
    threading.Thread(target=agent.run, daemon=True).start()
    while True:
        keeper.step()
        time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--images", type=Path, default=Path("/run/images"), help="preloaded images: NAME:TAG/<files>")
    parser.add_argument("--version", default="v1.37.2", help="what the Node reports as its kubelet's version")
    parser.add_argument("verb", choices=("enable", "start", "restart", "stop", "daemon", "daemon-reload"))
    parser.add_argument("units", nargs="*", help="of all but the kubelet there is none here")
    parser.add_argument("--now", action="store_true", help="with enable: start, too")
    parser.add_argument("--no-reload", action="store_true", help="no word to systemd: there is none here")
    args = parser.parse_intermixed_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if args.units and "kubelet" not in args.units:
        return
    if args.verb == "daemon":
        daemon(args.root, args.images, args.version)
        return
    if args.verb in ("stop", "restart"):
        stop(args.root)
    if args.verb in ("start", "restart") or args.now:
        start(args.root, args.images, args.version)


main()
