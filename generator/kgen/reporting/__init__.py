"""The report: one HTML page about a cluster, for people."""
