"""Clients of AWS, whose refusals become sentences. Credentials come by boto3's own chain only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kgen.errors import InputError, KgenError

ATTEMPTS = 6
_PASSING = (
    *("SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException"),
    *("InternalError", "InternalFailure", "InternalServiceError", "InternalServerError", "ServiceUnavailable"),
    *("500", "502", "503", "504"),
)
DENIED = ("AccessDenied", "AccessDeniedException", "AllAccessDisabled", "Forbidden", "UnauthorizedOperation", "403")
HINT_DENIED = "`kgen publish --print-policies` prints the policy that the publisher needs"
HINT_ENDPOINT = "check the network, the region, and AWS_ENDPOINT_URL if it is set; then run the same command again"
_STRANGER = (
    *("AuthFailure", "ExpiredToken", "InvalidAccessKeyId", "InvalidClient", "InvalidSignature", "InvalidToken"),
    *("SignatureDoesNotMatch", "UnrecognizedClient"),
)
_CLOCK = ("RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture")
_CLOCK_MESSAGES = ("Signature expired", "Signature not yet current")
"""Services other than S3 say by the message of InvalidSignatureException that the clock is wrong."""


def session(region: str = "") -> Any:
    """Return the session of the environment; ``region`` in place of its region."""
    import boto3

    return boto3.Session(region_name=region or None)


def session_region() -> str:
    """Return the region that the environment names; empty: none."""
    return str(session().region_name or "")


def config(attempts: int = 0, timeout: int = 60) -> Any:
    """Return how a client tries again."""
    from botocore.config import Config

    retries = {"mode": "standard", "total_max_attempts": attempts or ATTEMPTS}
    return Config(retries=retries, connect_timeout=min(timeout, 10), read_timeout=timeout)


@dataclass(frozen=True)
class Refusals:
    """What boto3 raises, as sentences. ``where`` is the bucket, or the service and its region."""

    where: str
    explain: Callable[[str, str, str], KgenError | None] = lambda what, code, message: None
    """Return the sentence of this place for what was tried, the code and the message; None: it has none."""

    @contextmanager
    def to(self, what: str) -> Iterator[None]:
        """Turn what boto3 raises while ``what`` is tried into one sentence."""
        from botocore import exceptions as boto
        from botocore.parsers import ResponseParserError

        no_credentials = (
            *(boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError, boto.SSOError),
            *(boto.TokenRetrievalError, boto.ProfileNotFound, boto.ConfigNotFound, boto.ConfigParseError),
        )
        try:
            yield
        except no_credentials as error:
            hint = "boto3 looks in AWS_ACCESS_KEY_ID, ~/.aws (AWS_PROFILE), and the role of the machine"
            raise InputError(f"there are no AWS credentials: {error}", hint) from error
        except boto.NoRegionError as error:
            hint = "give it with --region or AWS_REGION"
            raise InputError(f"no region is named for {self.where}", hint) from error
        except boto.ParamValidationError as error:
            hint = "correct what the message names"
            raise InputError(f"{self.where} cannot be used so: {error}", hint) from error
        except boto.ClientError as error:
            found = error.response.get("Error", {})
            raise self.sentence(what, str(found.get("Code")), str(found.get("Message", ""))) from error
        except ResponseParserError as error:
            # The text of this error is the whole answer.
            raise KgenError(f"{self.where} gives an answer that is not AWS's to: {what}", HINT_ENDPOINT) from error
        except ValueError as error:  # an endpoint that is no URL, a region that cannot be one
            raise InputError(f"{self.where} cannot be asked: {error}", HINT_ENDPOINT) from error
        except boto.BotoCoreError as error:
            raise KgenError(f"{self.where} does not answer: {error}", HINT_ENDPOINT) from error

    def sentence(self, what: str, code: str, message: str) -> KgenError:
        """Return the sentence for an error that AWS answered with when ``what`` was tried."""
        if (known := self.explain(what, code, message)) is not None:
            return known
        if code in DENIED:
            return KgenError(f"the credentials may not {what} in {self.where}", HINT_DENIED)
        if code in _PASSING:
            told = f"{self.where} cannot answer now ({code}), also after {ATTEMPTS} attempts"
            return KgenError(told, "wait a minute and run the same command again: it goes on where it stopped")
        if code in _CLOCK or message.startswith(_CLOCK_MESSAGES):
            return InputError(f"AWS refuses the time of this computer: {code}", "set the clock: `date -u` shows it")
        # Without the message: that of a wrong signature repeats the request, with the token of the session.
        if code.startswith(_STRANGER):
            return InputError(f"AWS does not accept the credentials: {code}", "log in again, or check AWS_PROFILE")
        hint = "the page about errors of the service's API reference says what the code means"
        return KgenError(f"{self.where} refuses to {what}: {code}: {message}", hint)


class Service:
    """A service in one region: its client, and its refusals."""

    def __init__(self, name: str, title: str, region: str = "") -> None:
        """Make the client. ``region``: in place of the region of the environment.

        Raises:
            InputError: no region is named.
        """
        with Refusals(title).to("make a client"):
            self.client = session(region).client(name, config=config())
        self.region = str(self.client.meta.region_name)
        self.refusals = Refusals(f"{title} of {self.region}")


def code_of(error: Any) -> str:
    """Return the code of an error that AWS answered with."""
    return str(error.response.get("Error", {}).get("Code", ""))
