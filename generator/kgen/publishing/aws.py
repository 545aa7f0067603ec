"""Clients of AWS, whose refusals become sentences. Credentials come by boto3's own chain only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kgen.errors import InputError, KgenError

ATTEMPTS = 6
_PASSING = ("SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException", "503")
DENIED = ("AccessDenied", "AccessDeniedException", "AllAccessDisabled", "Forbidden", "UnauthorizedOperation", "403")
HINT_DENIED = "`kgen publish --print-policies` prints the policy that the publisher needs"
_STRANGER = (
    *("AuthFailure", "ExpiredToken", "InvalidAccessKeyId", "InvalidClient", "InvalidToken"),
    *("SignatureDoesNotMatch", "UnrecognizedClient"),
)


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

    retries = {"mode": "standard", "max_attempts": attempts or ATTEMPTS}
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
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            NoCredentialsError,
            NoRegionError,
            ParamValidationError,
            PartialCredentialsError,
        )

        try:
            yield
        except (NoCredentialsError, PartialCredentialsError) as error:
            hint = "boto3 looks in AWS_ACCESS_KEY_ID, ~/.aws (AWS_PROFILE), and the role of the machine"
            raise InputError(f"there are no AWS credentials: {error}", hint) from error
        except NoRegionError as error:
            hint = "give it with --region or AWS_REGION"
            raise InputError(f"no region is named for {self.where}", hint) from error
        except ParamValidationError as error:
            hint = "correct what the message names"
            raise InputError(f"{self.where} cannot be used so: {error}", hint) from error
        except ClientError as error:
            found = error.response.get("Error", {})
            raise self.sentence(what, str(found.get("Code")), str(found.get("Message", ""))) from error
        except BotoCoreError as error:
            hint = "check the network, the region, and AWS_ENDPOINT_URL if it is set; then run the same command again"
            raise KgenError(f"{self.where} does not answer: {error}", hint) from error

    def sentence(self, what: str, code: str, message: str) -> KgenError:
        """Return the sentence for an error that AWS answered with when ``what`` was tried."""
        if (known := self.explain(what, code, message)) is not None:
            return known
        if code in DENIED:
            return KgenError(f"the credentials may not {what} in {self.where}", HINT_DENIED)
        if code in _PASSING:
            told = f"{self.where} is throttled ({code}), also after {ATTEMPTS} attempts"
            return KgenError(told, "wait a minute and run the same command again: it goes on where it stopped")
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
