import os
import subprocess
import sys

import pytest

# Runs as root of a user namespace with a mount namespace of its own: permission bits do not stop root, mounts do.
SCRIPT = """
set -eu
kgen() { "$PYTHON" -m kgen "$@" 2>&1; }
expect() { wanted=$1; shift; code=0; kgen "$@" > /tmp/said || code=$?; cat /tmp/said; [ $code = $wanted ]; }
state() { find . -type f -exec sha256sum {} + -exec stat -c '%n %a %Y' {} + | sort; }
mount -t tmpfs tmpfs /tmp

mkdir /tmp/small; mount -t tmpfs -o size=160k tmpfs /tmp/small; cd /tmp/small
cp "$CLUSTER" prod.yaml
expect 1 render prod.yaml
grep -q 'the disk is full' /tmp/said
[ "$(ls -A)" = prod.yaml ]

mount -o remount,size=4M /tmp/small
expect 0 render prod.yaml
state > /tmp/before
for size in 1 40 80; do
    dd if=/dev/zero of=filler bs=1k status=none 2>/dev/null || true
    truncate -s -${size}k filler
    sed 's/w1/w2/' "$CLUSTER" > prod.yaml
    echo 'apiServer: {certSANs: [api.example.com]}' >> prod.yaml
    expect 1 render prod.yaml
    grep -Eq 'the disk is full|No space left' /tmp/said
    rm filler; cp "$CLUSTER" prod.yaml
    state | grep -v ./prod.yaml > /tmp/after; grep -v ./prod.yaml /tmp/before | diff - /tmp/after
    expect 0 render prod.yaml --check
done

mount -o remount,ro /tmp/small
state > /tmp/before
expect 0 render prod.yaml --check
expect 0 certs prod.yaml
expect 1 render prod.yaml
grep -q 'the file system is read-only' /tmp/said
expect 1 certs renew prod.yaml
grep -q 'Read-only file system' /tmp/said
expect 1 init other
grep -q 'the file system is read-only' /tmp/said
expect 0 render prod.yaml --output /tmp/elsewhere
state | diff /tmp/before -
"""


@pytest.mark.real
def test_full_and_read_only_disks_lose_nothing(here):
    environment = {**os.environ, "PYTHON": sys.executable, "CLUSTER": str(here / "prod.yaml")}
    command = ["unshare", "-Urm", "bash", "-c", SCRIPT.replace("/tmp", str(here / "mnt"))]
    (here / "mnt").mkdir()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
