import pytest

from kgen.config import canonical


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("1024Mi", "1Gi"),
        ("1536Mi", "1536Mi"),
        ("0.5Gi", "512Mi"),
        ("0.5Ki", "512"),
        ("1.5Ki", "1536"),
        ("0.1Mi", "104857600m"),
        ("1000m", "1"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("1.", "1."),
        ("1.250", "1.250"),
        ("1.25", "1250m"),
        ("1500k", "1500k"),
        ("1000k", "1M"),
        ("2048k", "2048k"),
        ("1024", "1024"),
        ("1e3", "1e3"),
        ("1e4", "10e3"),
        ("1E2", "100"),
        ("1E", "1E"),
        ("0.1n", "1n"),
        ("100u", "100u"),
        ("-1.5", "-1500m"),
        ("+2", "+2"),
        ("0", "0"),
        ("0Gi", "0"),
        ("-0", "0"),
        ("007", "007"),
        ("1000000e18", "1e24"),
    ],
)
def test_quantities_are_stored_as_the_api_server_stores_them(written, stored):
    assert canonical.quantity(written) == stored


@pytest.mark.parametrize("text", ["", "5%", "1 Gi", "1Kb", "1ki", "lots", "1e", "1.2.3", "--1", ".", "1e99999"])
def test_other_texts_are_no_quantities(text):
    assert canonical.quantity(text) is None
