"""Parameter Store of AWS as the place of pools' bootstrap tokens: machines fetch theirs when they boot."""

from __future__ import annotations

from contextlib import suppress

from kgen.facts.names import token_parameter
from kgen.publishing import aws


def put_token(cluster: str, pool: str, token: str, region: str = "") -> str:
    """Put a pool's bootstrap token into its parameter, encrypted, unless it is there; return the parameter's name.

    ``region``: in place of the region of the environment. A token that was there is replaced.

    Raises:
        InputError: there are no credentials, or no region is named.
        KgenError: Parameter Store refuses or does not answer.
    """
    store = aws.Service("ssm", "Parameter Store", region)
    name = token_parameter(cluster, pool)
    with store.refusals.to(f"read {name}"), suppress(store.client.exceptions.ParameterNotFound):
        found = store.client.get_parameter(Name=name, WithDecryption=True)["Parameter"]
        if (found["Type"], found["Value"]) == ("SecureString", token):
            return name
    with store.refusals.to(f"write {name}"):
        told = {"Type": "SecureString", "Description": "The bootstrap token of a pool, by kgen", "Overwrite": True}
        store.client.put_parameter(Name=name, Value=token, **told)
    return name
