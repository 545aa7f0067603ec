"""Documents are no larger than their budgets (docs/adr/0005), with keys made for this run: a few bytes more or less."""

from bench import cases


def test_documents_are_within_their_budgets():
    rows = [row for row in cases.user_data(1) if row.what == "document" and row.budget is not None]
    assert {row.budget for row in rows} == {
        cases.MASTER_BYTES,
        cases.NODE_BYTES,
        cases.BAKED_MASTER_BYTES,
        cases.BAKED_NODE_BYTES,
    }
    assert [row for row in rows if not row.within] == []
