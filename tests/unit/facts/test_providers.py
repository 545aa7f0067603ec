import re

from tests.pages import ROOT

from kgen.facts.providers import PROVIDERS, too_small_for
from kgen.facts.providers_roads import ROADS


def test_names_are_keys_and_sources_are_given():
    for name, row in PROVIDERS.items():
        assert row.name == name
        assert row.title
        assert row.source


def test_limits_leave_room_for_a_document():
    limits = {name: row.limit_bytes for name, row in PROVIDERS.items()}
    assert limits.pop("nocloud") is None
    assert min(limit for limit in limits.values() if limit) == limits["ec2"] == 16_384


def test_only_text_reaches_digitalocean():
    assert [name for name, row in PROVIDERS.items() if not row.gzip] == ["digitalocean"]


def test_base64_is_counted_where_the_provider_counts_it():
    assert [PROVIDERS[name].count(100) for name in ("ec2", "openstack")] == [100, 136]
    assert PROVIDERS["openstack"].count(99) == 132


def test_which_providers_are_too_small():
    assert too_small_for(0) == ()
    assert too_small_for(16_384) == ()
    assert too_small_for(16_385) == ("ec2", "akamai")
    assert too_small_for(23_251) == ("ec2", "akamai", "oracle")
    assert "nocloud" not in too_small_for(10_000_000)


def test_the_reference_has_limit_count_and_tools_of_every_provider():
    page = (ROOT / "docs/reference/cli.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.count("|") == 6]
    found = {name.strip("`"): cells for name, *cells in rows if name.strip("`") in PROVIDERS}
    limited = [row for row in PROVIDERS.values() if row.limit_bytes is not None]
    assert list(found) == [row.name for row in limited]
    for row in limited:
        limit, counted, largest, tools = found[row.name]
        assert limit == f"{row.limit_bytes:,}"
        assert counted == ("base64" if row.counts == "base64" else "before base64" if row.gzip else "plain text")
        size = int(largest.replace(",", ""))
        assert row.count(size) <= row.limit_bytes < row.count(size + 1)
        assert re.findall("`(.*?)`", tools) == [road.tool for road in ROADS if road.provider == row.name]
