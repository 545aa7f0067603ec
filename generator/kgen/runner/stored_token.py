"""A pool's bootstrap token, which Parameter Store of AWS has: a machine may start long after its user-data was made.

The payload has {"ssm": name of the parameter} beside the strings of a file's content.
"""

import re
from functools import partial

from .aws import metadata
from .aws_call import call
from .base import Pending, Run, wait
from .files import put, text_of

TOKEN = "[a-z0-9]{6}[.][a-z0-9]{16}"
# In these domains the service has IPv6 addresses, too: "AWS Systems Manager endpoints and quotas".
DUAL_STACK = {"amazonaws.com": "api.aws", "amazonaws.com.cn": "api.amazonwebservices.com.cn"}


def parameter(imds: str, name: str) -> str:
    """Return the bootstrap token in a parameter of this machine's region. ``imds`` is the metadata service's URL."""
    try:
        region = metadata(imds, "placement/region")
        domain = metadata(imds, "services/domain")
        if "[" in imds:
            domain = DUAL_STACK.get(domain, domain)
        url = f"https://ssm.{region}.{domain}/"
        found = call(imds, url, region, "ssm", "AmazonSSM.GetParameter", {"Name": name, "WithDecryption": True})
        value = str(found["Parameter"]["Value"])
    except OSError:
        raise
    except Exception as problem:  # http.client has errors of its own, for an answer that was cut off
        raise Pending(f"EC2 or Parameter Store gives no answer that can be read: {type(problem).__name__}")
    if not re.fullmatch(TOKEN, value):
        raise Pending(f"the parameter {name} holds no bootstrap token")
    return value


def token(run: Run) -> None:
    """Fill in the token. A run that gave up waiting for the cluster is followed by one with a fresh token."""
    hint = "kgen token refresh puts it there; the instance's role needs the policy that kgen publish prints"
    for path, mode, _, content in run.body["files"]:
        for number, piece in enumerate(content):
            if not isinstance(piece, dict) or "ssm" not in piece:
                continue
            content[number] = ""
            if "registered" in run.finished:
                # The kubelet has its certificate: nothing needs the token.
                continue
            fetch_it = partial(parameter, run.body["imds"], piece["ssm"])
            content[number] = wait(run, "the bootstrap token", fetch_it, 900, hint)
            if "files" in run.finished:
                put(run, path, text_of(run, path, content), int(mode, 8))
