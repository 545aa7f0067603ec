"""The program of a user-data stub: it fetches from S3 the program that sets this machine up, checks it and runs it.

It stands alone, because nothing else of kgen is on the machine yet. It signs its request with the credentials of the
instance's role (AWS Signature Version 4), which the metadata service gives (IMDSv2). An object is named by its sha256.
"""

import hashlib
import hmac
import json
import sys
import time
from urllib.request import Request, urlopen

METADATA = "http://169.254.169.254/latest/"
HINTS = {
    301: "the bucket is in another region",
    403: "the instance's role may not read it",
    404: "the instance has no role, or nothing is published there",
}


def ask(url: str, headers: dict[str, str], method: str = "GET") -> str:
    """Return the text of the answer."""
    return urlopen(Request(url, None, headers, method=method), timeout=10).read().decode()  # type: ignore[no-any-return]


def role() -> dict[str, str]:
    """Return the credentials of the instance's role."""
    token = ask(METADATA + "api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"}, "PUT")
    url, headers = METADATA + "meta-data/iam/security-credentials/", {"X-aws-ec2-metadata-token": token}
    return json.loads(ask(url + ask(url, headers), headers))  # type: ignore[no-any-return]


def signed(url: str, region: str, keys: dict[str, str]) -> dict[str, str]:
    """Return the headers of a GET of ``url``, with its signature."""
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    host, path = url.split("/", 3)[2:]
    headers = {
        "host": host,
        "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
        "x-amz-date": now,
        "x-amz-security-token": keys["Token"],
    }
    names = ";".join(headers)
    request = ["GET", "/" + path, "", *map(":".join, headers.items()), "", names, "UNSIGNED-PAYLOAD"]
    scope = f"{now[:8]}/{region}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n" + hashlib.sha256("\n".join(request).encode()).hexdigest()
    key = ("AWS4" + keys["SecretAccessKey"]).encode()
    for part in [*scope.split("/"), text]:
        key = hmac.digest(key, part.encode(), "sha256")
    credential = f"AWS4-HMAC-SHA256 Credential={keys['AccessKeyId']}/{scope}"
    return {**headers, "authorization": f"{credential},SignedHeaders={names},Signature={key.hex()}"}


def fetch(url: str, region: str) -> str:
    """Return the object, whose sha256 ends ``url``. What may pass is tried again for ten minutes."""
    for left in range(60, -1, -1):
        try:
            text = ask(url, signed(url, region, role()))
            break
        except (OSError, ValueError) as error:
            code = getattr(error, "code", 0)
            print("kgen:", getattr(error, "url", url), error, HINTS.get(code, ""), flush=True)
            if code == 301 or not left:
                sys.exit(1)
            time.sleep(10)
    if hashlib.sha256(text.encode()).hexdigest() != url[-64:]:
        sys.exit(f"kgen: {url} is not what was published")
    return text
