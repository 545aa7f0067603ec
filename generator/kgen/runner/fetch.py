"""The program of a user-data stub: it fetches from S3 the program that sets this machine up, checks it and runs it.

Nothing else of kgen is on the machine yet. An object is named by its sha256.
"""

import sys
import time
from hashlib import sha256

from .aws import credentials, reply, signed

HINTS = {
    301: "the bucket is in another region",
    403: "the instance's role may not read it",
    404: "the instance has no role, or nothing is published there",
}


def fetch(imds: str, region: str, url: str) -> str:
    """Return the object, whose sha256 ends ``url``. ``imds`` is the URL of the metadata service.

    What may pass is tried again for ten minutes. Of what S3 says only the beginning is printed, the code and the
    message: that a signature is wrong it explains with the whole request, and the session's token in it.
    """
    for left in range(60, -1, -1):
        asked = imds
        try:
            keys = credentials(imds)
            asked = url
            text = reply(url, signed(url, region, keys, "s3"))
            break
        except Exception as error:  # http.client has errors of its own, for an answer that was cut off
            try:
                text = error.read(300)  # type: ignore[attr-defined]
            except Exception:  # most errors have no text of the server, and one may be cut off, too
                text = ""
            code = getattr(error, "code", 0)
            print("kgen:", asked, error, HINTS.get(code, ""), text)
            if code == 301 or not left:
                sys.exit(1)
            time.sleep(10)
    if sha256(text.encode()).hexdigest() != url[-64:]:
        sys.exit(f"kgen: {url} is not what was published")
    return text
