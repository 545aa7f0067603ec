"""kubeadm's configuration → a cluster file, and back. Other verbs need no ``kgen.kubeadm``, so it is imported late."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from kgen.api.bundle import existing_bundle, first_token
from kgen.config.load import load, load_text
from kgen.errors import InputError, ProblemsError
from kgen.output.disk import read_plain_file
from kgen.secrets_bundle import inventory, membership, store
from kgen.secrets_bundle.populate import Populated, populate

if TYPE_CHECKING:
    from kgen.kubeadm.importing import Imported, Wanted

_LARGEST_BYTES = 16 * 2**20


def import_kubeadm(
    texts: Iterable[tuple[str, str]], *, directory: Path, name: str = "", machines: Sequence[Wanted] = ()
) -> Imported:
    """Return the cluster file, to be written into ``directory``, of kubeadm's configuration in several files.

    ``texts`` has the name and the content of each file. ``name`` is the cluster's; by default kubeadm's clusterName.
    ``machines`` fill in what the configuration does not say, and are added to it.

    Raises:
        ProblemsError: the configuration cannot be used; every problem with its place.
    """
    from kgen.kubeadm import documents, importing

    given = list(texts)
    origin = ", ".join(file for file, _ in given)
    found = documents.parse(given)
    return importing.import_documents(found, name=name, directory=directory, machines=machines, origin=origin)


def kubeadm_text(path: Path) -> str:
    """Return the text of a file of kubeadm's configuration.

    Raises:
        InputError: it cannot be read, or is not UTF-8 text.
    """
    try:
        content = read_plain_file(path, _LARGEST_BYTES)
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text", "save the file with the encoding UTF-8") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path} cannot be read: {reason}", "give a file of kubeadm's configuration") from None


def running_configuration(kubeconfig: Path | None = None, context: str = "") -> list[tuple[str, str]]:
    """Return kubeadm's configuration of a running cluster, as ``import_kubeadm`` takes it.

    Raises:
        InputError: the kubeconfig cannot be used, or kubeadm has not made the cluster.
        KgenError: the cluster cannot be reached, or refuses.
    """
    from kgen.running import kubeadm_cluster
    from kgen.running.connection import from_kubeconfig

    return kubeadm_cluster.read(from_kubeconfig(kubeconfig, context))


def adopt_pki(directory: Path, text: str, cluster_file: Path) -> Populated:
    """Return the bundle of the cluster file with this ``text``, with the CAs of ``directory``; it is not written.

    Raises:
        ProblemsError, InputError: the directory or the text cannot be used, or there is a bundle already.
    """
    from kgen.secrets_bundle.adopt import adopt

    path = store.path_for(cluster_file)
    if store.content(path) is not None:
        raise InputError(f"{path} exists already", "it may be another cluster's: choose another --name")
    try:
        cluster = load_text(text, str(cluster_file)).cluster
    except ProblemsError as error:
        message = f"without a valid cluster file there can be no secrets bundle: {error.problems[0].message}"
        raise InputError(
            message, "correct kubeadm's configuration, or import it without --pki to see everything"
        ) from None
    now = datetime.now(UTC)
    return populate(adopt(directory, cluster, now), cluster, now)


def write_new_bundle(cluster_file: Path, populated: Populated) -> Path:
    """Write the bundle beside ``cluster_file``, and return its path.

    Raises:
        KgenError: it cannot be written, or there is one already.
    """
    path = store.path_for(cluster_file)
    with store.locked(path):
        if store.content(path) is not None:
            raise InputError(f"{path} exists already", "it may be another cluster's: choose another --name")
        store.write(path, populated.bundle)
    return path


def export_kubeadm(cluster_file: Path, machine: str = "") -> str:
    """Return kubeadm's configuration for a machine or pool (default: the first master), with the bootstrap token.

    Raises:
        ProblemsError, InputError: the cluster file or the bundle is wrong, or there is no such machine.
    """
    from kgen.kubeadm import exporting

    cluster = load(cluster_file).cluster
    bundle = existing_bundle(cluster_file)
    membership.refuse_other_masters(bundle, cluster)
    first_token(cluster, bundle)
    by_name = {each.name: each for each in (*cluster.masters, *cluster.documents)}
    found = by_name.get(machine or cluster.masters[0].name)
    if found is None:
        known = ", ".join(each.name for each in cluster.documents)
        raise InputError(f"there is no machine or pool {machine!r} in {cluster_file}", f"choose one of: {known}")
    secrets = exporting.Secrets(bundle.tokens, inventory.ca_cert_hash(bundle), bundle.pool_tokens)
    return exporting.export(cluster, found, secrets)
