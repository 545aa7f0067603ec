import re

import pytest

from kgen.errors import InputError
from kgen.model import User
from kgen.secrets_bundle.passwords import password_hashes
from kgen.secrets_bundle.source import Source

ANN = User({"name": "ann"}, "test-only")


def test_hashes_are_crypts_sha512(source):
    hashed = password_hashes([ANN, User({"name": "bob"})], {}, source)
    # as `openssl passwd -6 -salt testonlysalt0000 test-only` prints it
    assert hashed == {
        "ann": "$6$testonlysalt0000$"
        "edf06hR9TIXzBG1q8Wv9iC.Y2IFz/RltqJ47OUngEzRImEEUDaymdQx5sD98zZd1QwSKOum7f0zAhxtMIGvKs0"
    }


def test_salts_are_new_for_each(bundle):
    both = password_hashes([ANN, User({"name": "bob"}, "test-only")], {}, Source())
    assert both["ann"] != both["bob"]
    assert all(re.fullmatch(r"\$6\$[./0-9A-Za-z]{16}\$[./0-9A-Za-z]{86}", value) for value in both.values())


def test_an_invalid_hash_is_replaced(source):
    assert password_hashes([ANN], {"ann": "plain"}, source)["ann"].startswith("$6$")


@pytest.mark.parametrize("password", ["nul\0inside", "x" * 5000])
def test_impossible_passwords_are_refused_without_showing_them(source, password):
    with pytest.raises(InputError, match="'ann'") as caught:
        password_hashes([User({"name": "ann"}, password)], {}, source)
    assert password not in str(caught.value)
