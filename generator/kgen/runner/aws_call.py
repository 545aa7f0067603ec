"""Operations of AWS's services that speak JSON."""

import json
from typing import Any
from urllib.error import HTTPError

from .aws import credentials, reply, signed


def call(imds: str, url: str, region: str, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the answer of an operation; a refusal is an OSError with what the service says.

    ``imds`` is the URL of the metadata service.
    """
    body = json.dumps(parameters).encode()
    more = {"content-type": "application/x-amz-json-1.1", "x-amz-target": operation}
    headers = signed(url, region, credentials(imds), service, "POST", body, **more)
    try:
        return json.loads(reply(url, headers, "POST", body))  # type: ignore[no-any-return]
    except HTTPError as error:
        raise OSError(f"{url} HTTP {error.code} {error.read().decode()[:400]}")
