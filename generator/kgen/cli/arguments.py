"""Arguments that several verbs take."""

from __future__ import annotations

from pathlib import Path

import click

CLUSTER_FILE = click.argument("cluster_file", type=click.Path(path_type=Path))
"""The loader itself says what is wrong with a file that is missing or a directory."""

OPTIONAL_CLUSTER_FILE = click.argument("cluster_file", type=click.Path(path_type=Path), default="cluster.yaml")

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout and nothing else.")
