"""Create what is missing or due in a bundle, and keep the rest."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from kgen.errors import InputError, Problem
from kgen.model import Cluster
from kgen.pki.plan import Request, plan
from kgen.secrets_bundle import brought, encryption, pod_ranges, sealing
from kgen.secrets_bundle.advice import advice
from kgen.secrets_bundle.membership import members, refuse_other_masters
from kgen.secrets_bundle.model import Bundle, Issued, digest
from kgen.secrets_bundle.passwords import password_hashes
from kgen.secrets_bundle.source import Progress, Source

ASKED_FOR = "renewal was asked for"
MISSING = "is missing"


@dataclass(frozen=True, slots=True)
class Populated:
    """A bundle with everything that the cluster needs, and the changes that were made.

    ``created`` names what is new: certificates, ``sa``, ``bootstrapTokens[0]``, ``poolTokens.<pool>``,
    ``sealKeys.<machine>``, ``passwordHashes.<user>``, ``podCIDRs.<machine>``.
    ``reissued`` pairs each leaf that was issued again with the reason. ``missing`` maps each leaf that is missing or
    due, and that a CA outside has to sign, to the reason. ``changed``: the file must be written.
    """

    bundle: Bundle
    created: tuple[str, ...]
    reissued: tuple[tuple[str, str], ...]
    missing: Mapping[str, str]
    warnings: tuple[Problem, ...]
    changed: bool


def populate(
    bundle: Bundle | None,
    cluster: Cluster,
    now: datetime,
    *,
    renew: Collection[str] = (),
    may_lack: bool = False,
    source: Source | None = None,
    progress: Progress = lambda done, total: None,
) -> Populated:
    """Return the bundle of ``cluster`` at the time ``now`` (aware), made from ``bundle`` (None: there is none yet).

    What the user brings is taken from its files, and kept when they are gone. CAs and the service account's key are
    made once. A leaf is issued again when what it must say has changed, or when ``renew`` has its name
    (``kgen.secrets_bundle.selection``); never because it expires. Changing the algorithm or a validity period changes
    no certificate by itself. With ``may_lack``, leaves of a CA whose key is not in the bundle may be missing.

    Raises:
        ProblemsError: keys and certificates of the bundle do not fit each other, or the files of those that the user
            brings are wrong or missing.
        InputError: the masters are others than those of the first render; a leaf is missing or due and its CA cannot
            sign; the ranges of the pods do not fit the cluster file.
    """
    source = source or Source()
    requests = plan(cluster)
    kept, due = _keep(bundle, cluster, requests)
    due = {**due, **_asked_for(renew, requests)}
    entries = kept.entries if kept else {}
    from_files = brought.fresh_entries(brought.files(cluster), entries, now)
    wanted = [
        request
        for request in requests
        if not request.is_brought and (request.name not in entries or request.name in due)
    ]
    external = kept.external_authorities if kept else frozenset()
    missing = {
        request.name: due.get(request.name, MISSING)
        for request in wanted
        if request.ca in external and due.get(request.name) != ASKED_FOR
    }
    if missing and not may_lack:
        raise _must_be_signed(missing)
    wanted = [request for request in wanted if request.name not in missing]
    if kept is None or wanted:
        from kgen.secrets_bundle.issuing import issue_entries  # late: cryptography is slow to import

        issued = issue_entries(wanted, kept, cluster, now, source, progress)
    else:
        issued = Issued({}, kept.service_account, ())
    entries = {**entries, **issued.entries, **from_files}
    tokens = _tokens(kept.tokens if kept else (), len(cluster.bootstrap_tokens), source)
    populated = Bundle(
        masters=kept.masters if kept else members(cluster),
        authorities={request.name: entries[request.name] for request in requests if request.ca is None},
        certificates={
            request.name: entries[request.name] for request in requests if request.ca and request.name in entries
        },
        service_account=issued.service_account,
        requests=kept.requests if kept else {},
        tokens=tokens,
        pool_tokens=_pool_tokens(kept.pool_tokens if kept else {}, cluster, tokens, source),
        old_tokens=kept.old_tokens if kept else (),
        encryption_keys=encryption.assign(cluster, kept.encryption_keys if kept else (), source, is_new=bundle is None),
        seal_keys=sealing.assign(cluster, kept.seal_keys if kept else {}, source),
        password_hashes=password_hashes(cluster.users, kept.password_hashes if kept else {}, source),
        pod_ranges=pod_ranges.assign(cluster, kept.pod_ranges if kept else {}, kept.file if kept else ""),
        seen_running=kept.seen_running if kept else None,
        recipients=kept.recipients if kept else (),
        file=kept.file if kept else "",
    )
    populated = replace(populated, verified="" if missing else digest(populated, requests))
    return Populated(
        populated,
        created=tuple(_created(kept, populated)),
        reissued=(
            *((request.name, due[request.name]) for request in wanted if request.name in due),
            *((name, brought.CHANGED) for name in from_files if kept and name in kept.entries),
        ),
        missing=missing,
        warnings=tuple(advice(populated, cluster, now, issued.clamped)),
        changed=populated != bundle,
    )


def _must_be_signed(missing: Mapping[str, str]) -> InputError:
    """Return the error about certificates that only a CA outside can sign."""
    names = [name if reason == MISSING else f"{name} ({reason})" for name, reason in missing.items()]
    message = f"{len(names)} certificates must be signed by a CA whose key is not in the bundle: {', '.join(names)}"
    hint = "`kgen certs csr CLUSTER_FILE DIR` writes requests for them, `kgen certs accept CLUSTER_FILE DIR` takes them"
    return InputError(message, hint)


def _keep(
    bundle: Bundle | None, cluster: Cluster, requests: Sequence[Request]
) -> tuple[Bundle | None, Mapping[str, str]]:
    """Return the bundle to keep, and the due leaves with the reason. A verified bundle is not verified again."""
    if bundle is None:
        return None, {}
    refuse_other_masters(bundle, cluster)
    if bundle.verified == digest(bundle, requests):
        return bundle, {}
    from kgen.secrets_bundle.verify import examine  # late: as above

    examination = examine(bundle, requests)
    return examination.bundle, examination.due


def _asked_for(renew: Collection[str], requests: Sequence[Request]) -> dict[str, str]:
    leaves = {request.name for request in requests if request.ca is not None and not request.is_brought}
    for name in sorted(renew):
        if name not in leaves:
            raise InputError(f"there is no leaf certificate {name!r}")
    return dict.fromkeys(renew, ASKED_FOR)


def _tokens(kept: Sequence[str], count: int, source: Source) -> tuple[str, ...]:
    """Return ``count`` tokens with different ids, those in ``kept`` first."""
    tokens = {token.partition(".")[0]: token for token in kept[:count]}
    while len(tokens) < count:
        token = source.token()
        tokens.setdefault(token.partition(".")[0], token)
    return tuple(tokens.values())


def _pool_tokens(kept: Mapping[str, str], cluster: Cluster, others: Sequence[str], source: Source) -> Mapping[str, str]:
    """Return the token of each pool that has one of its own; a new one has another id than ``others``."""
    found: dict[str, str] = {}
    for name in cluster.pool_tokens:
        taken = (*others, *kept.values(), *found.values())
        found[name] = kept.get(name) or new_token(taken, source)
    return found


def new_token(others: Sequence[str], source: Source) -> str:
    """Return a bootstrap token with another id than ``others``."""
    ids = {token.partition(".")[0] for token in others}
    while (token := source.token()).partition(".")[0] in ids:
        pass
    return token


def _created(kept: Bundle | None, populated: Bundle) -> Iterator[str]:
    """Yield the names of the entries in ``populated`` that ``kept`` does not have."""
    before = kept.entries if kept else {}
    yield from (name for name in populated.entries if name not in before)
    if kept is None:
        yield "sa"
    old_tokens = kept.tokens if kept else ()
    yield from (f"bootstrapTokens[{i}]" for i, token in enumerate(populated.tokens) if token not in old_tokens)
    old_pool_tokens = kept.pool_tokens if kept else {}
    yield from (f"poolTokens.{name}" for name in populated.pool_tokens if name not in old_pool_tokens)
    old_keys = kept.encryption_keys if kept else ()
    yield from (f"encryptionKeys.{key.name}" for key in populated.encryption_keys if key.secret and key not in old_keys)
    old_seals = kept.seal_keys if kept else {}
    yield from (f"sealKeys.{name}" for name in populated.seal_keys if name not in old_seals)
    old_hashes = kept.password_hashes if kept else {}
    for user, hashed in populated.password_hashes.items():
        if old_hashes.get(user) != hashed:
            yield f"passwordHashes.{user}"
    old_ranges = kept.pod_ranges if kept else {}
    yield from (f"podCIDRs.{name}" for name, text in populated.pod_ranges.items() if old_ranges.get(name) != text)
