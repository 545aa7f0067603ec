"""What is published of a cluster, as the lock file and this disk say: nothing is asked of AWS or of a server."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kgen.api import launching
from kgen.api.bundle import current_bundle
from kgen.emitters.contract import DocumentInfo
from kgen.emitters.stub import OBJECTS, STUBS, object_key
from kgen.errors import InputError, command
from kgen.facts.providers import PROVIDERS, may_have_role
from kgen.model import Cluster
from kgen.output import lock
from kgen.output.artifacts import Artifact
from kgen.output.disk import disk_errors
from kgen.pipeline import Pipeline
from kgen.publishing.places import PLACES
from kgen.secrets_bundle.model import Bundle
from kgen.user_data.stub import Store

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
        texts += [facts[name] for name in ("url", "pin") if facts["to"] == "serve"] + [facts.get("endpoint", "")]
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


@dataclass(frozen=True, slots=True)
class Current:
    """What is published of a machine, and is what the cluster file says now: the object's key, the stub's text."""

    key: str
    stub: bytes = field(repr=False)


def current(cluster: Cluster, bundle: Bundle, root: Path, wanted: Collection[str]) -> dict[str, Current]:
    """Return what is current of ``wanted`` machines and pools. The files of the stubs are not looked at.

    Raises:
        KgenError: the lock file is damaged, or the disk refuses.
    """
    recorded, digests = recorded_bucket(root), _stubs(root)
    found: dict[str, Current] = {}
    for each in bundle.rendered_as if recorded else ():
        left = {*wanted} - found.keys()
        made = Pipeline(cluster, each).published(_store(recorded, each), kept=lambda path, text: text, only=left)
        for name, one in _by_machine(made):
            if (root / OBJECTS / one.key).exists() and hashlib.sha256(one.stub).hexdigest() == digests.get(name):
                found[name] = one
    return found


def _by_machine(made: Iterable[Artifact | DocumentInfo]) -> Iterator[tuple[str, Current]]:
    key, text = "", b""
    for item in made:
        if isinstance(item, DocumentInfo):  # it follows the files
            yield item.machine, Current(key, text)
        else:
            key = object_key(item.path) or key
            text = item.digest_of or text


def _store(recorded: Mapping[str, Any], bundle: Bundle) -> Store:
    """Return where the stubs of what is recorded fetch from."""
    if recorded["to"] == "serve":
        secret = bundle.service_account.key
        return Store(recorded["url"], service="serve", pin=recorded["pin"], secret=secret)
    return Store(recorded.get("endpoint", ""), recorded["region"], recorded["to"])


def stubs(cluster_file: Path, cluster: Cluster, output: Path, wanted: Sequence[str]) -> dict[str, bytes]:
    """Return the text of the stub of each ``wanted`` machine, which is what the cluster file says now.

    Raises:
        InputError: a machine is not published, or not as the cluster file says; or its stub is damaged.
        KgenError: the lock file is damaged, or the disk refuses.
    """
    bundle = current_bundle(cluster_file, cluster, output)
    root = output / cluster.name
    hint = f"run `{publish_command(cluster_file, root, cluster.provider)}`"
    there = machines(root)
    if missing := [name for name in wanted if name not in there]:
        raise InputError(f"{missing[0]} is not published from {root}", hint)
    found = current(cluster, bundle, root, wanted)
    if changed := [name for name in wanted if name not in found]:
        raise InputError(f"what {cluster_file} says now of {changed[0]} is not what is published", hint)
    for name in wanted:
        path = root / STUBS / f"{name}.yaml.gz"
        if not _text(path) == _plain(path.with_suffix("")) == found[name].stub:
            raise InputError(f"{path} is not the stub that was published", hint)
    return {name: found[name].stub for name in wanted}


def _plain(path: Path) -> bytes:
    """Return the content of a file; empty: it is missing."""
    with disk_errors(path):
        return path.read_bytes() if path.exists() else b""


def _text(path: Path) -> bytes:
    """Return the text of a stub; empty: it is missing or damaged."""
    try:
        return zlib.decompress(_plain(path), wbits=31)
    except zlib.error:
        return b""


def no_role(provider: str) -> str:
    """Return why machines at a provider cannot fetch what is published at AWS."""
    return f"userData.secrets is byReference, and machines at {PROVIDERS[provider].title} have no role at AWS"


def serve_hint(cluster_file: Path, output: Path) -> str:
    """Return the advice for machines that cannot fetch from AWS."""
    return f"`{to_serve(cluster_file, output)}` writes stubs that ask kgen serve"


def publish_command(cluster_file: Path, root: Path, provider: str) -> str:
    """Return the command that publishes: to where ``root`` is published, else to where machines there can ask."""
    recorded, output = recorded_bucket(root), root.parent
    if recorded.get("to") == "serve":
        return to_serve(cluster_file, output, recorded["url"])
    if not recorded and not may_have_role(provider):
        return to_serve(cluster_file, output)
    words = ["--bucket", recorded.get("bucket", "BUCKET")]
    if recorded.get("to") == "secretsmanager":
        words = ["--to", "secretsmanager", "--region", recorded["region"]]
    for option, fact in (("--kms-key", "kmsKey"), ("--bucket-owner", "owner")):
        if value := recorded.get(fact):
            words += [option, value]
    return command("publish", cluster_file, *words, output=output)


def section(root: Path, name: str) -> lock.Section:
    """Return a section of the lock file in ``root``.

    Raises:
        KgenError: the lock file is damaged, or the disk refuses.
    """
    with disk_errors(root):
        return lock.read(root).section(name)
