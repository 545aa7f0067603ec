"""The secrets bundle: everything that cannot be computed again, created once and kept."""
