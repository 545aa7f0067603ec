"""The program of a stub whose machine is told by Secrets Manager. It does what ``fetch`` does with S3.

The loop is here again, because a stub with a loop for both would have 1,520 bytes, and 1,500 are the limit.

The secret is the gzip of the program that ``fetch`` would get from S3, and its name ends in that program's sha256.
"""

import base64
import gzip
import json
import sys
import time
from hashlib import sha256

from .aws import credentials, reply, signed


def fetch(imds: str, region: str, url: str, name: str) -> str:
    """Return the program in the secret ``name``. ``imds`` is the URL of the metadata service.

    What may pass is tried again for ten minutes. Of what the service says only the beginning is printed: that a
    signature is wrong it explains with the whole request, and the session's token in it.
    """
    body = json.dumps({"SecretId": name}).encode()
    more = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "secretsmanager.GetSecretValue"}
    for left in range(60, -1, -1):
        try:
            text = reply(
                url, signed(url, region, credentials(imds), "secretsmanager", "POST", body, **more), "POST", body
            )
            text = gzip.decompress(base64.b64decode(json.loads(text)["SecretBinary"])).decode()
            break
        except Exception as error:  # http.client and gzip have errors of their own, for what was cut off
            try:
                text = error.read(300)  # type: ignore[attr-defined]
            except Exception:  # most errors have no text of the server, and one may be cut off, too
                text = ""
            print("kgen:", getattr(error, "url", name), error, text)
            if not left:
                sys.exit(1)
            time.sleep(10)
    if sha256(text.encode()).hexdigest() != name[-64:]:
        sys.exit(f"kgen: {name} is not what was published")
    return text
