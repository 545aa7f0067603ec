"""What is published of a cluster, as the lock file and this disk say: nothing is asked of AWS or of a server."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from kgen.api import launching
from kgen.api.bundle import current_bundle
from kgen.emitters.stub import OBJECTS, STUBS
from kgen.errors import InputError, command
from kgen.model import Cluster
from kgen.output import lock
from kgen.output.disk import disk_errors
from kgen.pipeline import Pipeline
from kgen.publishing.places import PLACES
from kgen.secrets_bundle.model import Bundle
from kgen.user_data.stub import key as object_of
from kgen.user_data.stub import object_text

SECTION = "publish"
"""The section of the lock file with the stubs."""
BUCKET_SECTION = "bucket"
"""The section of the lock file with what may be at AWS; it is written before the first object is put."""
SEALED = "sealed"
"""The fact of that section that lists the keys of objects whose payload is sealed."""
SLASHES = 4
"""The slashes in the key of an object."""


def recorded_bucket(root: Path) -> dict[str, Any]:
    """Return what the lock file in ``root`` says of what is at AWS: place, region, key, objects; empty: nothing.

    Raises:
        KgenError: the lock file is damaged.
    """
    facts = dict(section(root, BUCKET_SECTION).facts)
    if not facts:
        return {}
    facts = {"to": "s3", **facts}
    try:
        templates = facts.get(launching.FACT, {"region": "", "names": []})
        texts = [facts[name] for name in ("bucket", "region", "kmsKey", "owner")]
        texts += [templates["region"], *templates["names"], *facts.get(SEALED, [])]
        texts += [facts[name] for name in ("url", "pin") if facts["to"] == "serve"]
        is_sound = (
            facts["to"] in PLACES
            and isinstance(facts["objects"], dict)
            and all(key.count("/") == SLASHES for key in facts["objects"])
            and all(isinstance(text, str) for text in texts)
        )
    except lock.MALFORMED as error:
        raise lock.damaged(root / lock.FILE_NAME, root) from error
    if not is_sound:
        raise lock.damaged(root / lock.FILE_NAME, root)
    return facts


def url_of(recorded: Mapping[str, Any]) -> str:
    """Return how the names of what is recorded begin, for people."""
    if recorded["to"] == "serve":
        return str(recorded["url"])
    return f"s3://{recorded['bucket']}" if recorded["to"] == "s3" else f"secretsmanager://{recorded['region']}"


def machines(root: Path) -> frozenset[str]:
    """Return the machines and pools that have a stub in ``root``.

    Raises:
        KgenError: the lock file is damaged.
    """
    return frozenset(_stubs(root))


def stub_digests(root: Path) -> frozenset[str]:
    """Return the sha256 of the text of each stub in ``root``.

    Raises:
        KgenError: the lock file is damaged.
    """
    return frozenset(_stubs(root).values())


def _stubs(root: Path) -> dict[str, str]:
    """Return the sha256 of the text of each stub in ``root``, by machine."""
    try:
        return {name: str(facts["sha256"]) for name, facts in section(root, SECTION).facts.get("machines", {}).items()}
    except lock.MALFORMED as error:
        raise lock.damaged(root / lock.FILE_NAME, root) from error


def files(root: Path) -> frozenset[str]:
    """Return the paths of the files that the last `kgen publish` wrote in ``root``."""
    return frozenset(section(root, SECTION).files)


NO_STUB_HINT = "list its machines below `machines`, or use `userData: {secrets: sealed}`"


def no_stub(pool: str) -> str:
    """Return why a pool has no stub that asks `kgen serve`."""
    return f"kgen serve gives a payload once, to one machine, so the pool {pool} has no stub"


def to_serve(cluster_file: Path, output: Path, url: str = "https://ADDRESS:PORT", certificate: str = "FILE") -> str:
    """Return the command that publishes to `kgen serve`."""
    words = ("--to", "serve", "--url", url, "--certificate", certificate)
    return command("publish", cluster_file, *words, output=output)


def keys(cluster: Cluster, bundle: Bundle, root: Path, wanted: Collection[str]) -> dict[str, str]:
    """Return the key of each ``wanted`` machine's object, if it is published and is what the cluster file says now."""
    found: dict[str, str] = {}
    for each in bundle.rendered_as:
        pipeline = Pipeline(cluster, each)
        for machine in pipeline.cluster.documents:
            if machine.name in wanted and machine.name not in found:
                payload = pipeline.payload(machine)
                key = object_of(pipeline.cluster, payload, object_text(pipeline.cluster, payload, each.seal_keys))
                if (root / OBJECTS / key).exists():
                    found[machine.name] = key
    return found


def stubs(cluster_file: Path, cluster: Cluster, output: Path, wanted: Sequence[str]) -> dict[str, bytes]:
    """Return the text of the stub of each ``wanted`` machine, whose object is what the cluster file says now.

    Raises:
        InputError: a machine is not published, or not as the cluster file says; or its stub is damaged.
        KgenError: the lock file is damaged, or the disk refuses.
    """
    bundle = current_bundle(cluster_file, cluster, output)
    root = output / cluster.name
    hint = f"run `{publish_command(cluster_file, root, cluster.provider)}`"
    digests = _stubs(root)
    if missing := [name for name in wanted if name not in digests]:
        raise InputError(f"{missing[0]} is not published from {root}", hint)
    published = keys(cluster, bundle, root, wanted)
    if changed := [name for name in wanted if name not in published]:
        raise InputError(f"what {cluster_file} says now of {changed[0]} is not what is published", hint)
    found = {name: _text(root / STUBS / f"{name}.yaml.gz") for name in wanted}
    for name, text in found.items():
        if hashlib.sha256(text).hexdigest() != digests[name]:
            raise InputError(f"{root / STUBS / name}.yaml.gz is not the stub that was published", hint)
    return found


def _text(path: Path) -> bytes:
    """Return the text of a stub; empty: it is missing or damaged."""
    with disk_errors(path):
        content = path.read_bytes() if path.exists() else b""
    try:
        return zlib.decompress(content, wbits=31)
    except zlib.error:
        return b""


def publish_command(cluster_file: Path, root: Path, provider: str) -> str:
    """Return the command that publishes: to where ``root`` is published, else to where machines there can ask."""
    recorded, output = recorded_bucket(root), root.parent
    if recorded.get("to") == "serve":
        return to_serve(cluster_file, output, recorded["url"])
    if not recorded and provider not in ("ec2", ""):
        return to_serve(cluster_file, output)
    to_s3 = recorded.get("to", "s3") == "s3"
    where = ("--bucket", recorded.get("bucket", "BUCKET")) if to_s3 else ("--to", recorded["to"])
    return command("publish", cluster_file, *where, output=output)


def section(root: Path, name: str) -> lock.Section:
    """Return a section of the lock file in ``root``.

    Raises:
        KgenError: the lock file is damaged, or the disk refuses.
    """
    with disk_errors(root):
        return lock.read(root).section(name)
