"""The certificates of a cluster: the table, the plan, the issuing."""
