"""The view of a running cluster, from outside, as its administrator. The only package that imports ``kubernetes``."""
