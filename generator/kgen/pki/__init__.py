"""The certificates: the table of them, the plan for a cluster, issuing and reading."""
