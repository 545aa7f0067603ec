"""Load, render, write: what ``kgen render`` does, without a terminal."""
