from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests import clusters

from kgen.running.credential import Credential, credential
from kgen.secrets_bundle.model import Bundle
from kgen.secrets_bundle.populate import populate


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return populate(None, clusters.one_master(), datetime.now(UTC)).bundle


@pytest.fixture(scope="session")
def admin(bundle) -> Credential:
    return credential(bundle, datetime.now(UTC))
