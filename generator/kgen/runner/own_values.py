"""Values that only this machine knows: from cloud-init's instance data, or addresses of its own.

The payload has them as {"metadata": path}, {"label": path}, {"network": network, "not": networks} and
{"interface": name, "family": 4 or 6}, beside the strings of a file's content.
"""

import ipaddress
import json
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from .base import PERSON_MUST_ACT, Pending, Run, Stop, load, wait
from .payload import RENDER_AGAIN

INSTANCE_DATA = "/run/cloud-init/instance-data.json"
# What may stand in an argument without quotes, and what the value of a label is made of.
IN_ARGUMENT = "[A-Za-z0-9._:/@+=-]+"
IN_LABEL = "[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"


def from_metadata(run: Run, path: str, pattern: str) -> str:
    """Return a value of cloud-init's instance data. A name may have - or _, as in cloud-init's templates."""
    place: Any = load(run.root + INSTANCE_DATA)
    if not place:
        raise ValueError(f"{INSTANCE_DATA} is not there")
    above = INSTANCE_DATA
    for name in path.split("."):
        keys = dict(enumerate(place)) if isinstance(place, list) else place if isinstance(place, dict) else {}
        found = [key for key in keys if str(key).replace("-", "_") == name.replace("-", "_")]
        if not found:
            there = ", ".join(sorted({str(key).replace("-", "_") for key in keys}))
            raise ValueError(f"{path} is not in {INSTANCE_DATA}; below {above} there is: {there or 'nothing'}")
        place = keys[found[0]]
        above = name
    if isinstance(place, (dict, list)):
        raise ValueError(f"{path} is no single value; below it there is: {', '.join(map(str, place))}")
    if place is None or not re.fullmatch(pattern, str(place)):
        what = "the value of a label" if pattern == IN_LABEL else "an argument of the kubelet"
        raise ValueError(f"{path} is {str(place)[:80]!r}, which cannot be in {what}")
    return str(place)


def addresses() -> Iterator[Any]:
    """Yield each interface's name and address that others may reach, as the kernel lists them."""
    command = ["ip", "-json", "address"]
    done = subprocess.run(command, stdout=subprocess.PIPE)
    if done.returncode:
        raise Pending(f"{' '.join(command)} failed")
    for link in json.loads(done.stdout):
        for each in link["addr_info"]:
            passing = {"tentative", "dadfailed", "deprecated", "temporary"} & each.keys()
            if each["scope"] == "global" and not passing:
                yield link["ifname"], ipaddress.ip_address(each["local"])


def own_address(piece: Any) -> str:
    """Return this machine's address in the network or on the interface that the piece names."""
    there = list(addresses())
    for name, address in there:
        if "interface" in piece:
            is_right = name == piece["interface"] and address.version == piece["family"]
        else:
            is_other = any(address in ipaddress.ip_network(other) for other in piece["not"])
            is_right = address in ipaddress.ip_network(piece["network"]) and not is_other
        if is_right:
            return str(address)
    where = f"interface {piece['interface']}" if "interface" in piece else f"network {piece['network']}"
    listed = ", ".join(f"{address} on {name}" for name, address in there)
    raise Pending(f"KgenAddress: this machine has no address of the {where}; it has {listed or 'none'}")


def own_values(run: Run) -> None:
    """Fill in this machine's own values. Metadata is there from the start; an address may still come."""
    places = [
        (content, number, piece)
        for _, _, _, content in run.body["files"]
        for number, piece in enumerate(content)
        if isinstance(piece, dict) and not {"pem", "b64"} & piece.keys()
    ]
    errors = []
    for content, number, piece in places:
        try:
            if "label" in piece:
                content[number] = from_metadata(run, piece["label"], IN_LABEL)
            elif "metadata" in piece:
                content[number] = from_metadata(run, piece["metadata"], IN_ARGUMENT)
        except ValueError as error:
            errors.append(f"KgenMetadata: {error}")
    if errors:
        hint = f"write paths that `cloud-init query --all` shows into the cluster file; {RENDER_AGAIN}"
        raise Stop(PERSON_MUST_ACT, "; ".join(errors), hint)
    seconds = 120 * run.body["waitFactor"]
    end = time.monotonic() + seconds
    hint = f"see ip address; if node-ip of the cluster file is wrong, {RENDER_AGAIN}"

    def probe() -> None:
        for content, number, piece in places:
            if isinstance(content[number], dict):
                try:
                    content[number] = own_address(piece)
                except OSError as problem:
                    if time.monotonic() < end:
                        raise
                    raise Stop(PERSON_MUST_ACT, str(problem), hint)

    if any(isinstance(content[number], dict) for content, number, _ in places):
        wait(run, f"this machine's address, at most {seconds:g} s", probe, hint=hint)
