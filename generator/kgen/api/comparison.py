"""What a render would change, by meaning: compared with rendered documents, or with an older cluster file in git."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from kgen.api import image
from kgen.api.bundle import existing_bundle
from kgen.comparing import changes, document
from kgen.comparing.changes import Difference
from kgen.config.load import load
from kgen.errors import InputError, Problem, ProblemsError, command
from kgen.model import Cluster
from kgen.output.artifacts import Artifact
from kgen.output.disk import disk_errors, read_plain_file
from kgen.pipeline import Pipeline
from kgen.secrets_bundle.model import Bundle
from kgen.secrets_bundle.populate import populate
from kgen.user_data.document import ATTACHED, UNATTACHED


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a render would change. ``machines`` has only those that change; ``objects`` is what the masters publish.

    ``against`` says with what the cluster file was compared. Roles are by machine in ``added`` and ``removed``.
    """

    against: str
    warnings: tuple[Problem, ...]
    added: Mapping[str, str]
    removed: Mapping[str, str]
    machines: Mapping[str, tuple[Difference, ...]]
    objects: tuple[Difference, ...]

    @property
    def differs(self) -> bool:
        """Return whether there is any difference."""
        return bool(self.added or self.removed or self.machines or self.objects)


def compare(cluster_file: Path, output: Path = image.DEFAULT_OUTPUT, against: str = "") -> Comparison:
    """Compare what ``cluster_file`` says now with the last render below ``output``, or with ``against``.

    ``against`` is a directory with rendered documents, or a revision of the git repository that the cluster file is
    in. A revision is rendered with the bundle as it is now. Nothing is written.

    Raises:
        ProblemsError, InputError: a cluster file or the bundle is wrong, or there is nothing to compare with.
        KgenError: git or the disk refuses.
    """
    loaded = load(cluster_file)
    bundle = existing_bundle(cluster_file)
    # A machine that is new has a new key, which must open what is sealed with it here.
    populated = populate(bundle, loaded.cluster, datetime.now(UTC)).bundle
    seal_keys = {**bundle.seal_keys, **populated.seal_keys}
    fingerprint = changes.fingerprints(bundle.service_account.key.encode())
    root = _root(Path(against) if against else output, loaded.cluster.name)
    if root is not None:
        before: dict[str, Callable[[], bytes]] = dict(_rendered(root))
        compared = str(root)
    elif against:
        with _at_revision(cluster_file, against) as old_file:
            old = _documents(_load(old_file, cluster_file, against), replace(populated, seal_keys=seal_keys))
            before = {name: partial(gzip.decompress, compressed) for name, _, compressed in old}
        compared = f"{cluster_file} of {against}"
    else:
        render = command("render", cluster_file, output=output)
        hint = f"run `{render}`, or name a directory or a git revision with --against"
        raise InputError(f"nothing of {loaded.cluster.name} is rendered in {output}", hint)
    added, machines = {}, {}
    objects: tuple[Difference, ...] = ()
    for name, text, _ in _documents(loaded.cluster, populated):
        old_text = before.pop(name)() if name in before else None
        if old_text == text:
            continue
        told = document.read(text, name, seal_keys)
        if old_text is None:
            added[name] = told.role
            continue
        was = document.read(old_text, f"the document of {name} in {compared}", seal_keys)
        try:
            found = changes.of_machine(was, told, fingerprint)
        except ValueError as error:  # a certificate, which is decoded only where it differs
            raise document.unreadable(f"the document of {name} in {compared}") from error
        published = changes.of_objects(was, told, fingerprint)
        if not found and not published:  # the order of a list, for example
            before_text, after_text = (fingerprint(each) for each in (old_text, text))
            found = (Difference("changed", "order or form of the document", before_text, after_text, shown=False),)
        if found:
            machines[name] = found
        objects = objects or published
    removed = {
        name: document.read(text(), f"the document of {name} in {compared}", seal_keys).role
        for name, text in before.items()
    }
    return Comparison(compared, loaded.warnings, added, removed, machines, objects)


def _root(directory: Path, cluster: str) -> Path | None:
    """Return the output directory of a cluster: ``directory`` itself or one below it."""
    return next((each for each in (directory / cluster, directory) if any(_rendered(each))), None)


def _rendered(root: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield what returns the text of each rendered document, by machine."""
    for directory in (ATTACHED, UNATTACHED):
        for path in sorted((root / directory).glob("*.yaml.gz")):
            yield path.name.removesuffix(".yaml.gz"), partial(_text, path)


def _text(path: Path) -> bytes:
    with disk_errors(path):
        content = read_plain_file(path, follow=False)
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} is damaged", "render again, or compare with another directory") from error


def _documents(cluster: Cluster, bundle: Bundle) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield machine, text and gzip of each document that ``cluster`` makes."""
    populated = populate(bundle, cluster, datetime.now(UTC)).bundle
    pipeline = Pipeline(cluster, populated)
    # The pipeline's own machines have what is in the bundle: the pods' ranges, the keys that encrypt.
    for item in pipeline.machine_artifacts(pipeline.cluster.documents, review_all=False, kept=_nothing):
        if isinstance(item, Artifact) and item.digest_of is not None:
            yield item.path.name.removesuffix(".yaml.gz"), item.digest_of, item.content


def _nothing(path: PurePosixPath, text: bytes) -> None:
    """Find no earlier gzip."""


def _load(old_file: Path, cluster_file: Path, revision: str) -> Cluster:
    """Return the cluster of ``old_file``, a copy of ``cluster_file`` as it is in ``revision``.

    Raises:
        ProblemsError: it is wrong; its places are those of the revision, not of the copy.
    """
    here, there = f"{old_file.parent}/", f"{revision}:{cluster_file.parent}/".replace(":./", ":")
    try:
        return load(old_file).cluster
    except ProblemsError as error:
        raise ProblemsError(
            replace(
                each,
                file=each.file.replace(here, there),
                message=each.message.replace(here, there),
                hint=each.hint.replace(here, there),
                is_quotable=False,
            )
            for each in error.problems
        ) from error


@contextmanager
def _at_revision(cluster_file: Path, revision: str) -> Iterator[Path]:
    """Yield the path of the cluster file in a copy of the files of ``revision``, which is removed afterwards."""
    directory = cluster_file.absolute().parent
    if revision.startswith("-"):
        raise InputError(f"{revision!r} is neither a directory nor a git revision", "give one of the two")
    try:
        top = _git(directory, "rev-parse", "--show-toplevel").decode().rstrip("\n")
        commit = _git(directory, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").decode().strip()
        archive = _git(Path(top), "archive", "--format=tar", commit)
    except FileNotFoundError as error:
        message = f"{revision!r} is no directory with rendered documents, and there is no git to ask for a revision"
        raise InputError(message, "install git, or give `outputs/<cluster>` of an earlier render") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        message = f"{revision!r} is neither a directory with rendered documents nor a git revision"
        message += f" (git: {said[0].removeprefix('fatal: ')})" if said else ""
        raise InputError(message, "give `outputs/<cluster>` of an earlier render, or a revision like HEAD~1") from error
    with tempfile.TemporaryDirectory(prefix="kgen-diff-") as temporary:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for member in tar.getmembers():
                name = PurePosixPath(member.name)
                content = _content(tar, member)
                if content is not None and not name.is_absolute() and ".." not in name.parts:
                    target = Path(temporary, name)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(content.read())
        old = Path(temporary) / directory.resolve().relative_to(Path(top).resolve()) / cluster_file.name
        if not old.exists():
            raise InputError(f"{cluster_file} is not in git's {revision}", "give a revision that has it")
        yield old


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes] | None:
    """Return the content of a file, or of the file in the archive that a link leads to; None for anything else."""
    try:
        return tar.extractfile(member) if member.isfile() or member.issym() else None
    except (KeyError, RecursionError):  # a link that leads out of it, or in a circle
        return None


def _git(directory: Path, *words: str) -> bytes:
    done = subprocess.run(["git", "-C", str(directory), *words], capture_output=True, check=True)
    return done.stdout
