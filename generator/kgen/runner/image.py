"""What the image holds of the payload: texts, of which the payload only says what is different."""

import json
import os
from typing import Any

from .base import Stop, read
from .payload import RESTORED, digest


def edited(whole: Any, edits: Any) -> None:
    """Make the edits: another value, no value, or another part of a text or list."""
    for path, *new in edits:
        place = whole
        for key in path[:-1]:
            place = place[key]
        key = path[-1]
        if not new:
            del place[key]
        elif new[1:]:
            place[key] = place[key][: new[0]] + new[2] + place[key][new[1] :]
        else:
            place[key] = new[0]


def texts(body: Any) -> None:
    """Put the image's texts into the body, edited; the payload's checksum, taken afterwards, proves the whole."""
    held = read(os.path.realpath(__file__)[:-2] + "json")
    if digest(held) != body.pop("texts"):
        error = f"KgenImage: the image has another first-boot program than the payload, for {body['kubernetesVersion']}"
        raise Stop(2, error, "start this machine from an image of this kgen bake, or bake and render again")
    whole = json.loads(held)["body"]
    edited(whole, body.pop("edits"))
    body.update(whole)


RESTORED.append(texts)
