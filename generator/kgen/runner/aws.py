"""Requests to AWS with the credentials of the instance's role, which the metadata service gives (IMDSv2).

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html has the signature.
"""

import hmac
import json
import time
from hashlib import sha256
from typing import Any, Optional
from urllib import request


def reply(url: str, headers: dict[str, str], method: str = "GET", body: Optional[bytes] = None) -> str:
    """Return the text of the answer."""
    return request.urlopen(request.Request(url, body, headers, method=method), timeout=10).read().decode()  # type: ignore[no-any-return]


def metadata(imds: str, path: str) -> str:
    """Return what the metadata service, whose URL is ``imds``, says."""
    token = reply(imds + "api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"}, "PUT")
    return reply(imds + "meta-data/" + path, {"X-aws-ec2-metadata-token": token})


def credentials(imds: str) -> dict[str, str]:
    """Return the credentials of the instance's role. Of several names it is the first, as for AWS's SDKs."""
    roles = "iam/security-credentials/"
    return json.loads(metadata(imds, roles + metadata(imds, roles).split()[0]))  # type: ignore[no-any-return]


def signed(url: str, region: str, keys: Any, service: str, method: str = "GET", body: bytes = b"", **more: str) -> Any:
    """Return the headers of a request, with its signature. They include ``more``."""
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    host, path = url.split("/", 3)[2:]
    sha = sha256(body).hexdigest()
    sent = {**more, "host": host, "x-amz-content-sha256": sha, "x-amz-date": now, "x-amz-security-token": keys["Token"]}
    names = ";".join(sorted(sent))
    lines = [method, "/" + path, "", *map(":".join, sorted(sent.items())), "", names, sha]
    scope = f"{now[:8]}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n" + sha256("\n".join(lines).encode()).hexdigest()
    key = ("AWS4" + keys["SecretAccessKey"]).encode()
    for part in [*scope.split("/"), text]:
        key = hmac.digest(key, part.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256 Credential={keys['AccessKeyId']}/{scope},SignedHeaders={names}"
    return {**sent, "authorization": f"{text},Signature={key.hex()}"}
