"""What is missing or due is created, the rest kept."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from kgen.config.model import Cluster
from kgen.errors import InputError, Problem
from kgen.pki.plan import Request, plan
from kgen.secrets_bundle import pod_ranges
from kgen.secrets_bundle.advice import advice
from kgen.secrets_bundle.membership import members, refuse_other_masters
from kgen.secrets_bundle.model import Bundle, Issued, digest
from kgen.secrets_bundle.passwords import password_hashes
from kgen.secrets_bundle.source import Progress, Source

ASKED_FOR = "renewal was asked for"


@dataclass(frozen=True, slots=True)
class Populated:
    """A bundle with everything the cluster needs, and what it took.

    ``created`` names what is new: certificates, ``sa``, ``bootstrapTokens[0]``, ``passwordHashes.<user>``,
    ``podCIDRs.<machine>``.
    ``reissued`` pairs each leaf that was issued again with the reason. ``changed``: the file must be written.
    """

    bundle: Bundle
    created: tuple[str, ...]
    reissued: tuple[tuple[str, str], ...]
    warnings: tuple[Problem, ...]
    changed: bool


def populate(
    bundle: Bundle | None,
    cluster: Cluster,
    now: datetime,
    *,
    renew: Collection[str] = (),
    source: Source | None = None,
    progress: Progress = lambda done, total: None,
) -> Populated:
    """Return the bundle of ``cluster`` at the time ``now`` (aware), made from ``bundle`` (None: there is none yet).

    CAs and the service account's key are made once. A leaf is issued again when what it must say has changed, or
    when ``renew`` has its name (``kgen.secrets_bundle.selection``); never because it ends. Changing the algorithm or
    a validity period changes no certificate by itself.

    Raises:
        ProblemsError: keys and certificates of the bundle do not fit each other.
        InputError: the masters are others than those of the first render; a leaf is due and its CA cannot sign; the
            ranges of the pods do not fit the cluster file.
    """
    source = source or Source()
    requests = plan(cluster)
    kept, due = _keep(bundle, cluster, requests)
    due = {**due, **_asked_for(renew, requests)}
    entries = kept.entries if kept else {}
    wanted = [request for request in requests if request.name not in entries or request.name in due]
    if kept is None or wanted:
        from kgen.secrets_bundle.issuing import issue_entries  # late: cryptography is slow to import

        issued = issue_entries(wanted, kept, cluster, now, source, progress)
    else:
        issued = Issued({}, kept.service_account, ())
    entries = {**entries, **issued.entries}
    populated = Bundle(
        masters=kept.masters if kept else members(cluster),
        authorities={request.name: entries[request.name] for request in requests if request.ca is None},
        certificates={request.name: entries[request.name] for request in requests if request.ca is not None},
        service_account=issued.service_account,
        tokens=_tokens(kept.tokens if kept else (), len(cluster.bootstrap_tokens), source),
        password_hashes=password_hashes(cluster.users, kept.password_hashes if kept else {}, source),
        pod_ranges=pod_ranges.assign(cluster, kept.pod_ranges if kept else {}, kept.file if kept else ""),
        file=kept.file if kept else "",
    )
    populated = replace(populated, verified=digest(populated, requests))
    return Populated(
        populated,
        created=tuple(_created(kept, populated)),
        reissued=tuple((request.name, due[request.name]) for request in wanted if request.name in due),
        warnings=tuple(advice(populated, cluster, now, issued.clamped)),
        changed=populated != bundle,
    )


def _keep(
    bundle: Bundle | None, cluster: Cluster, requests: Sequence[Request]
) -> tuple[Bundle | None, Mapping[str, str]]:
    """Return what is kept of ``bundle``, and the leaves that are due. What was verified before is not again."""
    if bundle is None:
        return None, {}
    refuse_other_masters(bundle, cluster)
    if bundle.verified == digest(bundle, requests):
        return bundle, {}
    from kgen.secrets_bundle.verify import examine  # late: as above

    examination = examine(bundle, requests)
    return examination.bundle, examination.due


def _asked_for(renew: Collection[str], requests: Sequence[Request]) -> dict[str, str]:
    leaves = {request.name for request in requests if request.ca is not None}
    for name in sorted(renew):
        if name not in leaves:
            raise InputError(f"there is no leaf certificate {name!r}")
    return dict.fromkeys(renew, ASKED_FOR)


def _tokens(kept: Sequence[str], count: int, source: Source) -> tuple[str, ...]:
    """Return ``count`` tokens of differing ids, those in ``kept`` first."""
    tokens = {token.partition(".")[0]: token for token in kept[:count]}
    while len(tokens) < count:
        token = source.token()
        tokens.setdefault(token.partition(".")[0], token)
    return tuple(tokens.values())


def _created(kept: Bundle | None, populated: Bundle) -> Iterator[str]:
    """Yield the names of what ``populated`` has and ``kept`` had not."""
    before = kept.entries if kept else {}
    yield from (name for name in populated.entries if name not in before)
    if kept is None:
        yield "sa"
    old_tokens = kept.tokens if kept else ()
    yield from (f"bootstrapTokens[{i}]" for i, token in enumerate(populated.tokens) if token not in old_tokens)
    old_hashes = kept.password_hashes if kept else {}
    for user, hashed in populated.password_hashes.items():
        if old_hashes.get(user) != hashed:
            yield f"passwordHashes.{user}"
    old_ranges = kept.pod_ranges if kept else {}
    yield from (f"podCIDRs.{name}" for name, text in populated.pod_ranges.items() if old_ranges.get(name) != text)
