"""Payloads in S3, in Secrets Manager or with ``kgen serve``, and the stubs that fetch them (ADR 16)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from kgen import __version__
from kgen.api import image, launching, published, rendering
from kgen.api.bundle import current_bundle
from kgen.config.load import load
from kgen.delivering.urls import is_of_server
from kgen.emitters.contract import DocumentInfo
from kgen.emitters.limits import StubTooLargeError
from kgen.emitters.stub import object_key
from kgen.errors import InputError, command
from kgen.model import Cluster
from kgen.output.artifacts import Artifact
from kgen.output.disk import disk_errors
from kgen.output.swap import Change
from kgen.output.writer import Output
from kgen.pipeline import Pipeline
from kgen.publishing import policies as iam
from kgen.publishing.aws import session_region
from kgen.publishing.bucket import NoBucketError
from kgen.publishing.launch_templates import TemplateChange
from kgen.publishing.places import PLACES, Place, PlaceName, Target
from kgen.secrets_bundle import store
from kgen.secrets_bundle.model import Bundle
from kgen.user_data import sealing
from kgen.user_data.stub import Store, prefix

_KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+")


@dataclass(frozen=True, slots=True)
class PublishResult:
    """The result of publishing; with ``dry_run``, what it would have done.

    ``url`` begins the names of objects, for people. ``documents`` are the stubs. ``put`` are the keys that were put,
    ``kept`` those that were there. ``old`` are keys of earlier contents, which machines with earlier stubs still fetch.
    ``templates`` are the launch templates that were created or updated.
    """

    root: Path
    bucket: str
    url: str
    region: str
    warnings: tuple[str, ...]
    documents: tuple[DocumentInfo, ...]
    put: tuple[str, ...]
    kept: tuple[str, ...]
    old: tuple[str, ...]
    changes: tuple[Change, ...]
    templates: tuple[TemplateChange, ...]


def publish(
    cluster_file: Path,
    bucket: str = "",
    output: Path = image.DEFAULT_OUTPUT,
    *,
    to: PlaceName = "s3",
    region: str = "",
    kms_key: str = "",
    owner: str = "",
    url: str = "",
    certificate: Path | None = None,
    launch_templates: Path | None = None,
    dry_run: bool = False,
) -> PublishResult:
    """Put the payload of each machine to AWS, and write the stubs that fetch them below ``output``.

    ``bucket`` is for S3. An object that is there is not put again. The stubs are written when every object is there.
    Then, with a file ``launch_templates``, each machine and pool gets its launch template. With ``dry_run`` nothing is
    changed.

    ``url`` and ``certificate`` (PEM) are for `kgen serve`, which gives listed machines what is on this disk: nothing
    is put anywhere.

    Raises:
        ProblemsError, InputError: the cluster file, the bundle or an argument is wrong, or a stub is too large.
        KgenError: AWS or the disk refuses; the next run goes on.
    """
    loaded = load(cluster_file)
    cluster = loaded.cluster
    bundle_path, bundle = store.path_for(cluster_file), current_bundle(cluster_file, cluster, output)
    unpublish_first = command("unpublish", cluster_file, output=output)
    wanted = _target(to, bucket, region, kms_key, owner)
    if to == "serve":
        url, pin = _server(cluster, url, certificate, launch_templates)
        wanted = replace(wanted, url=url, pin=pin, secret=bundle.service_account.key)
    elif url or certificate:
        raise InputError("--url and --certificate are those of kgen serve", "leave them out, or give --to serve")
    root = output / cluster.name
    recorded = published.recorded_bucket(root)
    if recorded and (recorded["to"], recorded["bucket"]) != (to, bucket):
        where = {"s3": f"the bucket {recorded['bucket']}", "serve": "kgen serve"}.get(recorded["to"], "Secrets Manager")
        raise InputError(f"the cluster is published in {where}", f"run `{unpublish_first}` first")
    if cluster.seals:
        _refuse_other_keys(root, bundle, cluster_file)
    pipeline = Pipeline(cluster, bundle)
    target = PLACES[to](wanted)
    if recorded and to != "s3" and recorded["region"] != target.region:
        hint = f"use --region {recorded['region']}, or run `{unpublish_first}` first"
        raise InputError(f"the cluster is published in {recorded['region']}, not in {target.region}", hint)
    plan = None
    if launch_templates:
        where = region or session_region() or target.region
        plan = launching.plan(launch_templates, pipeline.cluster, root, where, recorded)
    # What this disk has is replaced; what is at AWS stays for machines with earlier stubs.
    before: dict[str, int] = recorded.get("objects", {}) if to != "serve" else {}
    objects = dict(_objects(pipeline, target.store))
    rendering.refuse_another_cluster(
        published.section(root, rendering.SECTION), bundle, root, bundle_path, cluster_file
    )
    unknown = tuple(_unknown(target.keys(prefix(cluster)), {**before, **objects}, target.url, root))
    if not dry_run:
        # Recorded before the first object is put, so that `kgen unpublish` also removes what a failed run put.
        facts: dict[str, Any] = {"to": to, "bucket": bucket, "region": target.region, "kmsKey": kms_key, "owner": owner}
        facts |= {"url": wanted.url, "pin": wanted.pin} if to == "serve" else {"endpoint": target.store.url}
        sealed = {*recorded.get(published.SEALED, ()), *(objects if cluster.seals else ())}
        facts |= {"objects": {**before, **objects}, **({published.SEALED: sorted(sealed)} if sealed else {})}
        known = {**facts, **(plan.facts if plan else {})}
        _write_section(root, published.BUCKET_SECTION, {**recorded, **known})
    put: list[str] = []
    kept: list[str] = []
    documents: list[DocumentInfo] = []
    stubs: dict[str, bytes] = {}
    with Output(root, published.SECTION, check=dry_run) as out:
        for item in pipeline.published(target.store, out.kept):
            if isinstance(item, DocumentInfo):
                documents.append(item)
                continue
            out.stage(item)
            stubs |= launching.stub_of(item)
            if key := object_key(item.path):
                is_there = target.has(key, item.content)
                (kept if is_there else put).append(key)
                if not is_there and not dry_run:
                    target.put(key, item.content)
        if too_large := [each for each in documents if each.is_too_large]:
            raise StubTooLargeError(too_large)
        machines = {each.machine: rendering.describe(each) for each in documents}
        out.prepare({"kgen": __version__, "machines": machines})
        changes = out.commit()
    templates = plan.changes(stubs) if plan else ()
    if plan and not dry_run:
        for change in templates:
            plan.templates.make(change)
    warnings = [*target.warnings, *unknown, *(plan.warnings if plan else ())]
    if to == "serve":
        warnings += [published.no_stub(pool.name) for pool in cluster.pools]
    if not plan and launching.FACT in recorded:
        warnings.append("the launch templates keep their earlier stubs: --launch-templates FILE updates them")
    return PublishResult(
        root=root,
        bucket=bucket,
        url=target.url,
        region=target.region,
        warnings=tuple(warnings),
        documents=tuple(documents),
        put=tuple(put),
        kept=tuple(kept),
        old=tuple(sorted(set(before) - set(objects))),
        changes=changes,
        templates=templates,
    )


@dataclass(frozen=True, slots=True)
class UnpublishResult:
    """The keys and launch templates that were removed, and the keys left; with ``dry_run``, what would be removed.

    ``versions`` are the numbers of removed versions of the templates that are left.
    """

    url: str
    removed: tuple[str, ...]
    left: tuple[str, ...]
    templates: tuple[str, ...]
    versions: Mapping[str, tuple[int, ...]]


def unpublish(
    cluster_file: Path, output: Path = image.DEFAULT_OUTPUT, *, old_only: bool = False, dry_run: bool = False
) -> UnpublishResult:
    """Remove the launch templates and the objects that the lock file says were published, and the stubs.

    ``old_only`` keeps the objects that the stubs in ``output`` fetch, and the templates of these machines. Of those
    templates, it removes the versions that kgen made and that are older than the default one.

    Raises:
        ProblemsError, InputError: the cluster file is wrong, or nothing was published.
        KgenError: S3 or the disk refuses; the next run goes on.
    """
    cluster = load(cluster_file).cluster
    root = output / cluster.name
    recorded = published.recorded_bucket(root)
    if not recorded:
        hint = f"`{command('publish', cluster_file, '--bucket', 'BUCKET', output=output)}` does it"
        raise InputError(f"nothing is published from {root}", hint)
    current = {object_key(PurePosixPath(path)) for path in published.section(root, published.SECTION).files}
    every = list(recorded["objects"])
    left = [key for key in every if old_only and key in current]
    removed = [key for key in every if key not in left]
    templates = launching.to_remove(cluster, recorded, published.machines(root) if old_only else ())
    versions = launching.old_versions(cluster, recorded, templates) if old_only else {}
    if not dry_run:
        # The templates first: no machine starts with a stub whose object is gone.
        launching.remove(cluster, recorded, templates, versions)
        there = Target(recorded["to"], recorded["bucket"], region=recorded["region"], owner=recorded["owner"])
        _place_of_objects(there, root, cluster_file).remove(set(removed), prefix(cluster))
        if not left:
            _write_section(root, published.SECTION, {})
        facts = {**recorded, "objects": {key: recorded["objects"][key] for key in left}}
        if published.SEALED in recorded:
            facts[published.SEALED] = [key for key in recorded[published.SEALED] if key in left]
        _write_section(root, published.BUCKET_SECTION, launching.without(facts, templates) if left else {})
    return UnpublishResult(published.url_of(recorded), tuple(removed), tuple(left), templates, versions)


def _place_of_objects(there: Target, root: Path, cluster_file: Path) -> Place:
    try:
        return PLACES[there.to](there)
    except NoBucketError as error:
        render = command("render", cluster_file, output=root.parent)
        hint = f"if it was deleted, its objects are gone, too: remove {root}, and run `{render}`"
        raise InputError(error.message, hint) from error


def policies(
    cluster_file: Path,
    bucket: str = "",
    *,
    to: PlaceName = "s3",
    kms_key: str = "",
    region: str = "",
    launch_templates: bool = False,
) -> Mapping[str, Mapping[str, Any]]:
    """Return the IAM policies for the roles of masters and nodes, and for the publisher. Nothing is asked of AWS.

    Raises:
        ProblemsError, InputError: the cluster file or the key is wrong.
    """
    target = _target(to, bucket, region, kms_key, "")
    if to == "serve":
        raise InputError("kgen serve asks nothing of AWS", "there are no policies to print")
    cluster = load(cluster_file).cluster
    found = iam.policies(target, prefix(cluster))
    if any(pool.join_from == "ssm" for pool in cluster.pools):
        reads, found["tokens"] = iam.stored_tokens(cluster.name, region)
        found["node"]["Statement"].append(reads)
    if launch_templates:
        found["publisher"]["Statement"] += iam.launch_templates(cluster.name, region)
    return found


def _unknown(there: Iterable[str], known: Collection[str], url: str, root: Path) -> Iterator[str]:
    """Yield a warning if objects are ``there`` that ``root`` does not record: nothing here would ever remove them."""
    strange = sorted(key for key in there if key.count("/") == published.SLASHES and key not in known)
    if strange:
        yield (
            f"{root} does not record {len(strange):,} objects that are there, such as {url}/{strange[0]}: they are of "
            "another output directory, or of another cluster with this name, and `kgen unpublish` leaves them there"
        )


def _refuse_other_keys(root: Path, bundle: Bundle, cluster_file: Path) -> None:
    """Raise InputError unless the keys in ``root`` open what is sealed with those of ``bundle``."""
    for name, key in bundle.seal_keys.items():
        path = root / sealing.key_file(name)
        with disk_errors(path):
            content = path.read_bytes() if path.exists() else b""
        if content != key.key.encode():
            message = f"{path} is not the key that the secrets bundle has for {name}"
            render = command("render", cluster_file, output=root.parent)
            raise InputError(message, f"run `{render}`, and bring the machine that key")


def certificate_pin(path: Path) -> str:
    """Return the sha256 of the first certificate in a PEM file, as stubs know the server by it.

    Raises:
        InputError: the file cannot be read, or has no certificate.
    """
    from cryptography import x509  # late: slow to import
    from cryptography.hazmat.primitives import hashes

    try:
        return x509.load_pem_x509_certificates(path.read_bytes())[0].fingerprint(hashes.SHA256()).hex()
    except OSError as error:
        raise InputError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    except ValueError:
        raise InputError(f"{path} holds no certificate", "give the certificate of kgen serve, as PEM") from None


def _objects(pipeline: Pipeline, where: Store) -> Iterator[tuple[str, int]]:
    """Yield key and size of every object."""
    for item in pipeline.published(where):
        if isinstance(item, Artifact) and (key := object_key(item.path)):
            yield key, len(item.content)


def _write_section(root: Path, name: str, facts: Mapping[str, Any]) -> None:
    """Write a section of the lock file that has no files; files that it had are removed."""
    with Output(root, name) as out:
        out.prepare(facts)
        out.commit()


def _target(to: PlaceName, bucket: str, region: str, kms_key: str, owner: str) -> Target:
    """Return where to publish.

    Raises:
        InputError: an argument is missing, not for this place, or no key.
    """
    if to == "s3" and not bucket:
        raise InputError("no bucket is named", "give --bucket BUCKET, or --to secretsmanager, or --to serve")
    if to != "s3" and (bucket or owner):
        raise InputError("a bucket is for S3", f"leave out --bucket and --bucket-owner, or --to {to}")
    if to == "serve" and (region or kms_key):
        raise InputError("a region and a KMS key are AWS's", "leave out --region and --kms-key, or --to serve")
    if kms_key and not _KEY_ARN.fullmatch(kms_key):
        hint = "give the ARN of a key, not of an alias: arn:aws:kms:eu-central-1:111122223333:key/…"
        raise InputError(f"{kms_key} is not the ARN of a KMS key", hint)
    return Target(to, bucket, region, kms_key, owner)


def _server(cluster: Cluster, url: str, certificate: Path | None, launch_templates: Path | None) -> tuple[str, str]:
    """Return URL and pin of ``kgen serve``.

    Raises:
        InputError: one is missing, launch templates are wanted, or the cluster lists no machine.
    """
    is_whole = is_of_server(url, "https") and "@" not in url and urlsplit(url).path in ("", "/")
    if not is_whole or certificate is None:
        hint = "give --url https://ADDRESS:PORT, as machines reach it, and --certificate FILE"
        raise InputError("the stubs must know the address and the certificate of kgen serve", hint)
    if launch_templates:
        raise InputError("launch templates are for payloads at AWS", "leave out --launch-templates, or --to serve")
    if not cluster.machines:
        hint = "list the machines below `machines`, or use `userData: {secrets: sealed}` for pools"
        raise InputError("kgen serve gives a payload once, to one machine, and the cluster file lists none", hint)
    return url.rstrip("/"), certificate_pin(certificate)
