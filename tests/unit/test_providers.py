from kgen.providers import PROVIDERS


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
