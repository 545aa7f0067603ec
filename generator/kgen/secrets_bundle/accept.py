"""Takes certificates and keys that people bring into the bundle. Imports cryptography: import it late."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from kgen.errors import InputError, ProblemsError
from kgen.model import Cluster
from kgen.pki import keys
from kgen.pki.checks import flaws_of_leaf
from kgen.pki.inspect import Decoded, decode
from kgen.pki.plan import Request, plan
from kgen.secrets_bundle.issuing import chain_above, issue_entries
from kgen.secrets_bundle.membership import members, refuse_other_masters
from kgen.secrets_bundle.model import Bundle, Entry, ServiceAccount
from kgen.secrets_bundle.pki_files import PAIR, PkiFiles, entry_of, fits
from kgen.secrets_bundle.source import Source

_CERTIFICATES = (".crt", ".pem", ".cer")
_KEY = ".key"
_SERVICE_ACCOUNT = "sa"
_NAMES = (
    "name files as `kgen certs` names certificates: ca.crt, ca.key, etcd/ca.crt, m1/apiserver.crt, admin.crt, sa.key"
)
_ANOTHER_CLUSTER = "for a cluster that never booted: move its secrets bundle away, then give all CAs in one directory"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A bundle with what was brought; ``names`` are the certificates, keys and ``sa`` that it did not have before.

    ``made`` are CAs that kgen made, because the directory of the first call had none of that name.
    """

    bundle: Bundle
    names: tuple[str, ...]
    made: tuple[str, ...]


def accept(
    directory: Path, cluster: Cluster, kept: Bundle | None, now: datetime, source: Source | None = None
) -> Accepted:
    """Return the bundle ``kept`` with the certificates and keys in the files of ``directory``.

    Without a bundle, the directory has the cluster's own CAs; kgen makes those that are not in it, and the service
    account's key unless there is a ``sa.key``.

    Raises:
        ProblemsError: files are damaged, do not belong together or to this cluster; every problem, nothing of a key.
        InputError: the directory has no such files, or the masters are others than those of the bundle.
    """
    if kept is not None:
        refuse_other_masters(kept, cluster)
    requests = [request for request in plan(cluster) if not request.is_brought]  # the cluster file names their files
    accepting = _Accepting(PkiFiles(directory, _NAMES), requests, kept, now)
    accepting.run()
    if accepting.files.problems:
        raise ProblemsError(accepting.files.problems)
    if kept is not None:
        return Accepted(_merged(kept, accepting), tuple(accepting.names), ())
    return _new(accepting, cluster, now, source or Source())


def _merged(kept: Bundle, accepting: _Accepting) -> Bundle:
    return replace(
        kept,
        authorities={**kept.authorities, **accepting.authorities},
        certificates={**kept.certificates, **accepting.leaves},
        requests={name: key for name, key in kept.requests.items() if name not in accepting.leaves},
        verified="",
    )


def _new(accepting: _Accepting, cluster: Cluster, now: datetime, source: Source) -> Accepted:
    missing = [each for each in accepting.requests if each.ca is None and each.name not in accepting.authorities]
    issued = issue_entries(missing, None, cluster, now, source, lambda done, total: None)
    bundle = Bundle(
        masters=members(cluster),
        authorities={**accepting.authorities, **issued.entries},
        certificates=accepting.leaves,
        service_account=accepting.service_account or issued.service_account,
    )
    return Accepted(bundle, tuple(accepting.names), tuple(request.name for request in missing))


class _Accepting:
    """Reads the files of a directory, CAs first, and collects what is new."""

    def __init__(self, files: PkiFiles, requests: Sequence[Request], kept: Bundle | None, now: datetime) -> None:
        self.files = files
        self.requests = requests
        self.names: list[str] = []
        self.authorities: dict[str, Entry] = {}
        self.leaves: dict[str, Entry] = {}
        self.service_account: ServiceAccount | None = None
        self._kept = kept
        self._now = now
        self._by_name = _by_name(requests)
        self._by_key = dict(_keys(kept)) if kept else {}

    def run(self) -> None:
        found = dict(_found(self.files.directory))
        if not found and self._kept is None:
            raise InputError(f"{self.files.directory} has no certificates and no keys", _NAMES)
        stems = {name: file for file, (name, suffix) in found.items() if suffix == _KEY}
        private = {name: key for name, file in stems.items() if (key := self.files.key(file)) is not None}
        certificates = {file: name for file, (name, suffix) in found.items() if suffix != _KEY}
        authorities = {file: name for file, name in certificates.items() if self._is_authority(name)}
        for file, name in authorities.items():
            self._authority(file, name, private.get(name))
        self._refuse_shared_keys({**certificates, **authorities})
        for file in sorted(certificates.keys() - authorities.keys()):
            self._leaf(file, certificates[file], private.get(certificates[file]))
        for name in sorted(private.keys() - set(certificates.values())):
            self._lone_key(stems[name], name, private[name])

    def _is_authority(self, name: str) -> bool:
        return name in self._by_name and self._by_name[name].ca is None

    def _authority(self, file: str, name: str, key: keys.PrivateKey | None) -> None:
        old = self._kept.authorities[name] if self._kept else None
        if old is not None:
            chain = self.files.chain(file)
            if chain and chain[0].certificate != decode(old.certificate).certificate:
                self.files.report(
                    file, [f"is not the bundle's CA {name!r}: it would be another cluster"], _ANOTHER_CLUSTER
                )
            elif chain and key is not None and old.key is None:
                self._take_key(f"{name}{_KEY}", name, key, old)
            return
        leaves = [request for request in self.requests if request.ca == name]
        entry = self.files.authority(file, key, leaves, self._now)
        if entry is not None:
            self.authorities[name] = entry
            self.names.append(name)

    def _take_key(self, file: str, name: str, key: keys.PrivateKey, old: Entry) -> None:
        if fits(key, decode(old.certificate)):
            self.authorities[name] = replace(old, key=keys.private_pem(key))
            self.names.append(f"{name}{_KEY}")
        else:
            self.files.report(file, [f"is not the key of the bundle's CA {name!r}"], PAIR)

    def _refuse_shared_keys(self, files: Mapping[str, str]) -> None:
        """Refuse one CA in two places: every client of the API server would be a client of etcd, too."""
        seen: dict[bytes, str] = {}
        for file, name in files.items():
            if name in self.authorities:
                first = seen.setdefault(keys.spki(decode(self.authorities[name].certificate).public_key), name)
                if first != name:
                    hint = "take a CA of its own for each, for example two more below the same root"
                    self.files.report(
                        file, [f"has the key of the CA {first!r}: who is trusted by one would be by both"], hint
                    )

    def _leaf(self, file: str, name: str, given: keys.PrivateKey | None) -> None:
        chain = self.files.chain(file)
        if not chain:
            return
        leaf = chain[0]
        request = self._by_name.get(name) or self._by_name.get(self._by_key.get(keys.spki(leaf.public_key), ""))
        if request is None:
            self.files.report(file, ["belongs to no certificate of this cluster"])
            return
        ca = self._ca(str(request.ca))
        if ca is None:
            self.files.report(file, [f"{request.ca}.crt is not here, and a new CA did not sign it"])
            return
        flaws = flaws_of_leaf(leaf, request, decode(ca.certificate), self._now)
        is_flawed = self.files.report(file, flaws, f"have it signed again, by the CA {request.ca!r} and as requested")
        key = self._key_of(file, request.name, leaf, given)
        if is_flawed or key is None:
            return
        entry = entry_of((leaf, *chain_above(request, ca)), key, is_accepted=True)
        old = self._kept.certificates.get(request.name) if self._kept else None
        if old is None or old.certificate != entry.certificate:
            self.leaves[request.name] = entry
            self.names.append(request.name)

    def _ca(self, name: str) -> Entry | None:
        return self.authorities.get(name) or (self._kept.authorities[name] if self._kept else None)

    def _key_of(self, file: str, name: str, leaf: Decoded, given: keys.PrivateKey | None) -> keys.PrivateKey | None:
        """Return the key of a leaf: that beside it, else that of its request, else that of the bundle's certificate."""
        if given is not None:
            if not fits(given, leaf):
                self.files.report(f"{file.rpartition('.')[0]}{_KEY}", [f"is not the key of {Path(file).name}"], PAIR)
                return None
            return given
        old = self._kept.certificates.get(name) if self._kept else None
        candidates = [self._kept.requests.get(name) if self._kept else None, old.key if old else None]
        for pem in filter(None, candidates):
            key = keys.load_private(pem)
            if fits(key, leaf):
                return key
        message = "is not for the key of its request" if candidates[0] else f"has no key {name}{_KEY} beside it"
        self.files.report(file, [message], "have the request signed that `kgen certs csr` writes, or bring the key")
        return None

    def _lone_key(self, file: str, name: str, key: keys.PrivateKey) -> None:
        if name == _SERVICE_ACCOUNT:
            pair = self.files.service_account(file)
            if pair is None or pair.key == (self._kept.service_account.key if self._kept else None):
                return
            if self._kept is not None:
                message = "is not the bundle's: with another key, no token of a service account is valid any more"
                self.files.report(file, [message], _ANOTHER_CLUSTER)
                return
            self.service_account = pair
            self.names.append(name)
        elif self._is_authority(name) and self._kept is not None:
            self._take_key(file, name, key, self._kept.authorities[name])
        else:
            self.files.report(file, [f"has no certificate {name}.crt beside it"])


def _keys(kept: Bundle) -> Iterator[tuple[bytes, str]]:
    """Yield the public key of every request and of every leaf that was brought, with its name."""
    for name, entry in kept.certificates.items():
        if entry.is_accepted:
            yield keys.spki(decode(entry.certificate).public_key), name
    for name, pem in kept.requests.items():
        yield keys.spki(keys.load_private(pem).public_key()), name


def _by_name(requests: Sequence[Request]) -> dict[str, Request]:
    """Return the requests by name; those of a lone master also by the names in its own PKI directory."""
    count = Counter(request.row for request in requests)
    rows = {request.row: request for request in requests if count[request.row] == 1}
    return rows | {request.name: request for request in requests}


def _found(directory: Path) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the files below ``directory`` that may hold a certificate or a key, with name and suffix."""
    for place, directories, files in os.walk(directory):
        directories.sort()
        for file in sorted(files):
            path = Path(place, file).relative_to(directory)
            if path.suffix in (*_CERTIFICATES, _KEY):
                yield path.as_posix(), (path.with_suffix("").as_posix(), path.suffix)
