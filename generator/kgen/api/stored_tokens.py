"""Bootstrap tokens of pools in Parameter Store of AWS."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from kgen.api.bundle import existing_bundle
from kgen.config.load import load
from kgen.publishing.parameter_store import put_token
from kgen.secrets_bundle import blobs


def store_tokens(cluster_file: Path, only: Collection[str] = ()) -> tuple[str, ...]:
    """Put the tokens of pools with ``tokenFrom: ssm`` there, or of those in ``only``; return the parameters' names.

    Call it once the cluster takes the tokens: a machine that waits takes what it finds.

    Raises:
        ProblemsError, InputError: the cluster file or the bundle is wrong, or there are no credentials or no region.
        KgenError: Parameter Store refuses or does not answer.
    """
    cluster = load(cluster_file).cluster
    pools = [pool.name for pool in cluster.pools if pool.join_from == "ssm" and (not only or pool.name in only)]
    if not pools:
        return ()
    bundle = existing_bundle(cluster_file)
    return tuple(put_token(cluster.name, pool, blobs.join_token(bundle, pool)) for pool in pools)
