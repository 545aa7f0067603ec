"""kgen tests."""
