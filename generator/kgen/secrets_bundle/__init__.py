"""The secrets bundle: everything that came from randomness or the clock, made once and kept."""
