from __future__ import annotations

from datetime import UTC, datetime
from itertools import count

import pytest
from tests import clusters

from kgen.pki import keys
from kgen.secrets_bundle.model import Bundle
from kgen.secrets_bundle.populate import populate
from kgen.secrets_bundle.source import Source

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def source() -> Source:
    """Return a source whose serials, tokens and salts count up; keys are real."""
    serials, tokens = count(1), count(1)
    return Source(
        key=keys.generate,
        serial=lambda: next(serials),
        token=lambda: f"{next(tokens):06}.0123456789abcdef",
        salt=lambda: "testonlysalt0000",
    )


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """Return the bundle of three masters as made at NOW."""
    return populate(None, clusters.three_masters(), NOW).bundle
