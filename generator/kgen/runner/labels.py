"""Labels that a kubelet may not set: a timer on the masters sets them, until each listed Node has its own.

It runs on masters whose API server serves, with /etc/kgen/labels.json and the administrator's kubeconfig.
"""

import base64
import json
import os
import re

from .api import MERGE, ask, connect, expect
from .base import FAILED, read, write


def set_missing(root: str) -> None:
    """Set every label that a Node lacks, never one that it has. When no Node is missing, disable the timer."""
    values = re.findall(r'client-.*-data: "?([\w+/=]+)', read(root + "/etc/kubernetes/admin.conf"))
    path = root + "/run/kgen/admin.pem"
    write(path, "".join(base64.b64decode(value).decode() for value in values), 0o600)
    wanted = json.loads(read(root + "/etc/kgen/labels.json"))
    link = connect(wanted["server"], read(root + "/etc/kubernetes/pki/ca.crt"), path)
    os.remove(path)
    missing = []
    for name, labels in wanted["nodes"].items():
        path = "/api/v1/nodes/" + name
        status, text = ask(link, "GET", path)
        if status == 404:
            missing.append(name)
            continue
        there = json.loads(expect(status, text))["metadata"]["labels"]
        lacking = {key: value for key, value in labels.items() if key not in there}
        if lacking:
            expect(*ask(link, "PATCH", path, {"metadata": {"labels": lacking}}, MERGE))
            print("kgen: labelled", name, *lacking)
    if missing:
        print("kgen: not registered yet:", *missing)
    else:
        os.system("systemctl disable --now kgen-labels.timer")


def label(root: str) -> int:
    """Set the labels; print on one line why that is not possible now."""
    try:
        set_missing(root)
    except OSError as problem:
        print("kgen: labels:", problem)
        return FAILED
    return 0
