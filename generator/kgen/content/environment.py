"""Environment variables of containers: proxies and the cluster file's ``extraEnvs``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kgen.model import Cluster


def proxies(cluster: Cluster) -> dict[str, str]:
    """Return the ``*_PROXY`` variables that ``httpProxy`` sets, sorted by name."""
    settings = cluster.http_proxy
    values = {"HTTP_PROXY": settings.http_proxy, "HTTPS_PROXY": settings.https_proxy, "NO_PROXY": settings.no_proxy}
    return {name: value for name, value in sorted(values.items()) if value}


def proxy_variables(cluster: Cluster) -> list[dict[str, Any]]:
    """Return the proxies as Kubernetes EnvVar objects."""
    return [{"name": name, "value": value} for name, value in proxies(cluster).items()]


def merge(variables: Iterable[Mapping[str, Any]], extra: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return EnvVar objects sorted by name; an extra one replaces a variable of the same name."""
    by_name = {variable["name"]: defaulted(variable) for variable in (*variables, *extra)}
    return [by_name[name] for name in sorted(by_name)]


def defaulted(variable: Mapping[str, Any]) -> dict[str, Any]:
    """Return an EnvVar as the API server stores it: without empty values, with complete references."""
    result = {key: value for key, value in variable.items() if value not in (None, "")}
    source = dict(result.get("valueFrom", {}))
    if "fieldRef" in source:
        source["fieldRef"] = {"apiVersion": "v1", **source["fieldRef"]}
    if "resourceFieldRef" in source:
        source["resourceFieldRef"] = {"divisor": "0", **source["resourceFieldRef"]}
    return {**result, "valueFrom": source} if source else result
