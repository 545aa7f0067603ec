from kgen.facts.providers import PROVIDERS, too_small_for


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
    assert too_small_for(12_289) == ("akamai",)
    assert too_small_for(16_385) == ("ec2", "akamai")
    assert "nocloud" not in too_small_for(10_000_000)
