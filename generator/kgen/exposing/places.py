"""Where each secret lies: in the files of a render, of the seeds and of a lab, in the bundle, and on the machines.

It is computed from what the files are made of, not by looking for bytes in them; a test does that.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from kgen.content import kubeconfig
from kgen.content.files import environment_quoted
from kgen.emitters import cluster_files, review_tree, seed, stub, user_data
from kgen.exposing import powers
from kgen.exposing.kinds import PlaceKind
from kgen.exposing.powers import Reach
from kgen.facts import names
from kgen.model import Cluster, Machine
from kgen.payload import ApiObject, Content, Payload, Pem, PemBase64, StoredToken
from kgen.pipeline import Pipeline
from kgen.pki.table import SERVICE_ACCOUNT_FILES, certificates
from kgen.secrets_bundle import blobs
from kgen.secrets_bundle.model import Bundle
from kgen.user_data import sealing, size
from kgen.user_data.document import directory


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret. ``row`` is what it is, ``name`` which one: ``apiserver.key`` and ``m1/apiserver.key``.

    ``text`` is the secret itself if files hold it as text; of a password in a URL it is the whole URL.
    ``is_given`` says that the cluster file has it, and not the bundle.
    """

    name: str
    row: str
    reach: Reach
    power: str
    text: str = field(default="", repr=False)
    is_given: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A file with a secret. ``path`` is relative to the output directory, or a file on ``machine``."""

    kind: PlaceKind
    path: str
    machine: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """What is published: the keys of each machine's objects. ``url`` begins their names at AWS; empty: none is there.

    ``sealed`` are those of the keys whose objects hold no secret. ``machines`` have stubs as user-data; ``files`` are
    the stubs and the copies of objects on this disk, without those of earlier contents.
    """

    url: str = ""
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sealed: frozenset[str] = frozenset()
    machines: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Lab:
    """The files of ``kgen lab``, relative to the output directory. ``machines`` are those of each document."""

    kubeconfig: PurePosixPath
    machines: Mapping[str, Sequence[str]]


def secrets(cluster: Cluster, bundle: Bundle) -> dict[str, Secret]:
    """Return every secret of the cluster by name. What the user's own files hold is not known to kgen."""
    found = []
    specs = {spec.name: spec for spec in certificates(cluster)}
    for spec in specs.values():
        owners = [machine.name for machine in spec.owners(cluster)]
        for owner in [""] if spec.scope == "cluster" else owners:
            name = spec.entry_name(owner)
            if bundle.entries[name].key is not None:
                found.append(Secret(f"{name}.key", f"{spec.name}.key", *powers.of_key(spec.name, spec.groups)))
    found.append(Secret(SERVICE_ACCOUNT_FILES[0], SERVICE_ACCOUNT_FILES[0], *powers.KEYS["sa"]))
    for token in blobs.tokens(bundle):
        token_id, _, text = token.partition(".")
        found.append(Secret(f"bootstrap token {token_id}", "bootstrap token", *powers.TOKEN, text))
    for name in bundle.requests:
        row = name if name in powers.KEYS else name.partition("/")[2]
        groups = specs[row].groups if row in specs else ()
        found.append(Secret(f"requested {name}.key", f"requested {row}.key", *powers.of_key(row, groups)))
    for key in bundle.encryption_keys:
        if key.secret:
            found.append(Secret(f"encryption key {key.name}", "encryption key", *powers.ENCRYPTION, key.secret))
    for name in bundle.seal_keys:
        found.append(Secret(seal_key(name), "seal key", *powers.SEAL))
    found += _passwords(cluster, bundle)
    return {secret.name: secret for secret in found}


def seal_key(machine: str) -> str:
    """Return the name of the secret that opens a machine's sealed user-data."""
    return f"seal key of {machine}"


def _passwords(cluster: Cluster, bundle: Bundle) -> Iterator[Secret]:
    """Yield the passwords of users and of the HTTP proxy, and the hashes of users' passwords."""
    for user in cluster.users:
        given = str(user.fields.get("hashed_passwd") or user.fields.get("passwd") or "")
        if user.plain_text_password:
            # Its text is not searched for: no file of kgen has it, and a short one may stand in any of them.
            yield Secret(f"password of {user.name}", "password", *powers.PASSWORD, is_given=True)
        if hashed := bundle.password_hashes.get(user.name, given):
            is_given = user.name not in bundle.password_hashes
            name = f"password hash of {user.name}"
            yield Secret(name, "password hash", *powers.PASSWORD_HASH, hashed, is_given=is_given)
    for name, url in (("httpProxy", cluster.http_proxy.http_proxy), ("httpsProxy", cluster.http_proxy.https_proxy)):
        if urlsplit(url).password:
            yield Secret(f"password in {name}", "password of the HTTP proxy", *powers.PROXY, url, is_given=True)


def places(
    pipeline: Pipeline,
    found: Mapping[str, Secret],
    reviewed: Collection[str],
    members: Mapping[str, Sequence[str]] | None,
    published: Published = Published(),
    lab: Lab | None = None,
) -> Iterator[tuple[str, Place]]:
    """Yield name and place of each secret in the files of a render, in the seeds and the lab, and on the machines.

    ``reviewed`` names the machines that have files for people to read. ``members`` are the named machines of pools
    that have seeds; None: there are no seeds.
    """
    cluster = pipeline.cluster
    texts = {name: _forms(secret.text) for name, secret in found.items() if secret.text}
    for name in ("admin", "super-admin"):
        for each in _of_content(kubeconfig.client(cluster, name, cluster.masters[0]), "", texts, found):
            yield each, Place("kubeconfigs", f"{name}.conf")
            if lab and name == "admin":
                yield each, Place("lab", str(lab.kubeconfig))
    for path, entry in cluster_files.api_paths(pipeline.objects):
        for each in _of_object(entry, texts):
            yield each, Place("api", str(path))
    passwords = [name for name, secret in found.items() if secret.row == "password hash"]
    for machine in cluster.documents:
        payload = pipeline.payload(machine)
        is_reviewed = machine.name in reviewed
        token = f"bootstrap token {blobs.join_token(pipeline.bundle, machine.name).partition('.')[0]}"
        of_machine = [
            *_of_machine(cluster, machine, payload, texts, found, passwords, token, is_reviewed, members, published)
        ]
        yield from of_machine
        yield from _of_stub(machine, passwords, published, members if cluster.secrets_by_reference else None)
        if lab:
            in_seed = passwords if cluster.seals else [name for name, _ in of_machine]
            yield from _of_lab(machine, of_machine, in_seed, lab)
        if cluster.seals:
            yield from _of_seal(machine, lab)
    yield from _of_gone(pipeline, found, published)


def _of_machine(
    cluster: Cluster,
    machine: Machine,
    payload: Payload,
    texts: Mapping[str, Collection[str]],
    found: Mapping[str, Secret],
    passwords: Sequence[str],
    token: str,
    is_reviewed: bool,
    members: Mapping[str, Sequence[str]] | None,
    published: Published,
) -> Iterator[tuple[str, Place]]:
    """Yield the places of one machine: each file of it, and everything that has its whole document.

    ``token`` is the bootstrap token that its document or Parameter Store has.
    """
    inside = dict.fromkeys(passwords)
    for name in payload.blobs:
        if (key := _secret_of(name, machine.name, found)) is not None:
            inside[key] = None
    for entry in payload.objects:
        inside |= dict.fromkeys(_of_object(entry, texts))
    for file in payload.files:
        for each in _of_content(file.content, machine.name, texts, found):
            inside[each] = None
            if is_reviewed:
                path = PurePosixPath("nodes", machine.name) / file.path.relative_to("/")
                yield each, Place("reviewTree", str(path), machine.name)
            yield each, Place("machines", str(file.path), machine.name)
    for file in payload.files:
        for piece in file.content:
            if isinstance(piece, StoredToken):
                yield token, Place("bucket", f"ssm:{piece.parameter}", machine.name)
                yield token, Place("machines", str(file.path), machine.name)
    for each in passwords:
        yield each, Place("machines", "/etc/shadow", machine.name)
    for each in inside:
        if each not in passwords:  # cloud-init takes users from the stub
            for key in published.keys.get(machine.name, ()):
                if key in published.sealed:
                    continue
                if published.url:
                    yield each, Place("bucket", f"{published.url}/{key}", machine.name)
                if (copy := str(stub.OBJECTS / key)) in published.files:
                    yield each, Place("documents", copy, machine.name)
            if cluster.seals:
                continue
        kind: PlaceKind = "documents" if machine.name in published.machines else "userData"
        yield each, Place(kind, str(directory(cluster) / f"{machine.name}.yaml.gz"), machine.name)
        if is_reviewed or not size.takes_gzip(user_data.receiver(cluster)):
            yield each, Place(kind, str(directory(cluster) / f"{machine.name}.yaml"), machine.name)
        if not cluster.secrets_by_reference:
            yield from _of_seeds(machine, each, members)


def _of_stub(
    machine: Machine, passwords: Sequence[str], published: Published, members: Mapping[str, Sequence[str]] | None
) -> Iterator[tuple[str, Place]]:
    """Yield the places of the secrets that a stub holds: cloud-init takes users from it.

    ``members`` are the named machines of pools with seeds that hold the stub; None: there are no such seeds.
    """
    files = [str(stub.STUBS / f"{machine.name}{suffix}") for suffix in (".yaml.gz", ".yaml")]
    for each in passwords if published.files.issuperset(files) else ():
        for path in files:
            yield each, Place("userData", path, machine.name)
        yield from _of_seeds(machine, each, members)


def _of_seeds(
    machine: Machine, secret: str, members: Mapping[str, Sequence[str]] | None
) -> Iterator[tuple[str, Place]]:
    """Yield the places of a secret in the seeds of a machine, or of a pool and its named machines."""
    if members is not None:
        for name in (machine.name, *members.get(machine.name, ())):
            yield secret, Place("seeds", str(seed.DIRECTORY / name / "user-data"), name)
            yield secret, Place("seeds", str(seed.DIRECTORY / f"{name}.iso"), name)


def _of_gone(pipeline: Pipeline, found: Mapping[str, Secret], published: Published) -> Iterator[tuple[str, Place]]:
    """Yield the places of secrets in the objects of nodes that are not in the cluster file any more.

    They hold what every node is told. A cluster's masters are always those of its first render.
    """
    token = f"bootstrap token {blobs.join_token(pipeline.bundle, '').partition('.')[0]}"
    told = [token, *(name for name, secret in found.items() if secret.reach == powers.PROXY[0])]
    for machine in published.keys.keys() - {each.name for each in pipeline.cluster.documents} if published.url else ():
        for key in published.keys[machine]:
            if key not in published.sealed:
                yield from ((each, Place("bucket", f"{published.url}/{key}", machine)) for each in told)


def _of_seal(machine: Machine, lab: Lab | None) -> Iterator[tuple[str, Place]]:
    """Yield the places of the key that opens a machine's sealed document."""
    name = seal_key(machine.name)
    yield name, Place("sealKeys", str(sealing.key_file(machine.name)), machine.name)
    yield name, Place("machines", str(names.SEAL_KEY_PATH), machine.name)
    if lab:
        for member in lab.machines.get(machine.name, ()):
            yield name, Place("lab", str(lab.kubeconfig.parent / member / names.SEAL_KEY_PATH.name), member)


def _of_lab(
    machine: Machine, of_machine: Sequence[tuple[str, Place]], in_seed: Sequence[str], lab: Lab
) -> Iterator[tuple[str, Place]]:
    """Yield the places of a document's lab machines: the seed has the whole document, the disk is the machine's."""
    inside = dict.fromkeys(in_seed)
    on_disk = dict.fromkeys(name for name, place in of_machine if place.kind == "machines")
    for name in lab.machines.get(machine.name, ()):
        for file, secrets_of_file in (("seed.iso", inside), ("disk.qcow2", on_disk)):
            path = str(lab.kubeconfig.parent / name / file)
            yield from ((each, Place("lab", path, name)) for each in secrets_of_file)


def _of_content(
    content: Content, machine: str, texts: Mapping[str, Collection[str]], found: Mapping[str, Secret]
) -> Iterator[str]:
    for piece in content:
        if isinstance(piece, Pem | PemBase64):
            if (name := _secret_of(piece.blob, machine, found)) is not None:
                yield name
        else:
            yield from _in_text(str(piece), texts)


def _of_object(entry: ApiObject, texts: Mapping[str, Collection[str]]) -> Iterator[str]:
    """Yield the secrets in an object: a token as the API holds it, others in its texts."""
    token_id = entry.name.removeprefix("bootstrap-token-")
    if entry.ttl_seconds is not None or f"bootstrap token {token_id}" in texts:
        yield f"bootstrap token {token_id}"
    body = json.dumps(entry.body, ensure_ascii=False)
    yield from _in_text(body, texts)


def _forms(text: str) -> set[str]:
    """Return the text as files of kgen have it: as it is, in JSON, in an environment file of systemd."""
    return {text, json.dumps(text, ensure_ascii=False)[1:-1], environment_quoted(text)[1:-1]}


def _in_text(text: str, texts: Mapping[str, Collection[str]]) -> Iterator[str]:
    return (name for name, forms in texts.items() if any(form in text for form in forms))


def _secret_of(blob: str, machine: str, found: Mapping[str, Secret]) -> str | None:
    """Return the name of the secret that the blob is on this machine; None: it is none."""
    return next((name for name in (f"{machine}/{blob}", blob) if name in found), None)


def reviewed_in(cluster: Cluster, files: Collection[str]) -> frozenset[str]:
    """Return the machines with files to read: those of the next render, and those that the last one wrote."""
    written = {PurePosixPath(path).parts[1] for path in files if path.startswith("nodes/")}
    return review_tree.reviewed(cluster, review_all=False) | written
