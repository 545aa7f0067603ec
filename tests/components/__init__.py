"""The real programs the tests run against: built or installed by name, cached by version, never committed.

``python -m tests.components`` builds whatever is missing from the cache and prints where it is.
"""
