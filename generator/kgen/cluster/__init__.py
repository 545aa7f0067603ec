"""A running cluster, looked at from outside as its administrator. The only place that imports ``kubernetes``."""
