"""The example documents fit the providers that they are for. The budgets themselves are in ``bench``."""

import pytest
from bench import cases, sizes
from bench.subjects import cluster_file, render, scratch

from kgen.facts.providers import PROVIDERS


@pytest.mark.parametrize(
    ("runner", "spare_bytes"),
    [("", {"hetzner": 0}), ("baked", {"ec2": 2_000, "hetzner": 2_000, "oracle": 2_000})],
    ids=["embedded", "baked"],
)
def test_documents_fit_with_bytes_to_spare(runner, spare_bytes):
    with scratch(cluster_file(3, 1, pool=True, runner=runner)) as directory:
        render(directory)
        for name in ("m1", "w1", "workers"):
            total, parts = sizes.document(directory / f"outputs/bench/user-data/{name}.yaml.gz")
            assert sum(parts.values()) > total / 2
            for provider, spare in spare_bytes.items():
                row = PROVIDERS[provider]
                assert row.count(total + spare) <= row.limit_bytes, (name, provider, total)


def test_documents_keep_their_budgets():
    rows = [row for row in cases.user_data(1) if row.what == "document" and row.budget is not None]
    budgets = {cases.MASTER_BYTES, cases.NODE_BYTES, cases.BAKED_MASTER_BYTES, cases.BAKED_NODE_BYTES}
    assert {row.budget for row in rows} == budgets
    assert [row for row in rows if not row.within] == []
