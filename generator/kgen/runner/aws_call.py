"""Operations of AWS's services that speak JSON."""

import json
from typing import Any
from urllib.error import HTTPError

from .aws import credentials, reply, signed


def call(url: str, region: str, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the answer of an operation; a refusal is an OSError with what the service says."""
    body = json.dumps(parameters).encode()
    more = {"content-type": "application/x-amz-json-1.1", "x-amz-target": operation}
    headers = signed(url, region, credentials(), service, "POST", body, **more)
    try:
        return json.loads(reply(url, headers, "POST", body))  # type: ignore[no-any-return]
    except HTTPError as error:
        raise OSError(f"{url} HTTP {error.code} {error.read().decode()[:400]}")
