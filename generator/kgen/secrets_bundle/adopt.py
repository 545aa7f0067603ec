"""Makes a bundle from the PKI directory of a cluster that kubeadm made. Imports cryptography: import it late."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from kgen.errors import ProblemsError
from kgen.model import Cluster
from kgen.pki.plan import plan
from kgen.secrets_bundle import brought
from kgen.secrets_bundle.membership import members
from kgen.secrets_bundle.model import Bundle, Entry
from kgen.secrets_bundle.pki_files import PkiFiles

_HINT = "copy /etc/kubernetes/pki of a master: it has the certificates and the keys of the CAs, and sa.key"


def adopt(directory: Path, cluster: Cluster, now: datetime) -> Bundle:
    """Return a bundle with the CAs and the service account's key of ``directory``, and no other certificate yet.

    Certificates that the user brings are taken, too, if ``directory`` has them.
    The cluster counts as seen running: no document that is rendered from the bundle lets an empty etcd start.

    Raises:
        ProblemsError: files are missing, damaged or do not belong together; every problem, and nothing of a key.
    """
    files = PkiFiles(directory, _HINT)
    authorities: dict[str, Entry] = {}
    requests = plan(cluster)
    for request in requests:
        if request.ca is None and not request.is_brought:
            key = files.key(f"{request.name}.key")
            leaves = [leaf for leaf in requests if leaf.ca == request.name]
            entry = files.authority(f"{request.name}.crt", key, leaves, now)
            if entry is not None:
                authorities[request.name] = entry
    certificates = {
        name: entry
        for name, given in brought.files(cluster).items()
        if (directory / f"{name}.crt").exists() and (entry := files.entry(name, has_key=given.key is not None))
    }
    service_account = files.service_account("sa.key")
    if files.problems or service_account is None:
        raise ProblemsError(files.problems)
    return Bundle(
        masters=members(cluster),
        authorities=authorities | {name: entry for name, entry in certificates.items() if entry.key is None},
        certificates={name: entry for name, entry in certificates.items() if entry.key is not None},
        service_account=service_account,
        seen_running=now.replace(microsecond=0),
    )
