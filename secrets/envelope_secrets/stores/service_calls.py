"""Calls of one service of AWS that keeps secrets: by name, page by page, with its refusals as our errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from envelope.aws.calls import call_service
from envelope.aws.client_options import check_region
from envelope.aws.service_errors import error_of
from envelope.aws.service_refusal import ServiceRefusal
from envelope.aws.session import Aws
from envelope.errors import EnvelopeError, InvalidArgument
from envelope_secrets.errors import SecretsError
from envelope_secrets.stores.answers import Answer

__all__ = ["Refusing", "ServiceCalls", "aws_for"]

Refusing = Callable[[str, ServiceRefusal], tuple[type[EnvelopeError], str, str] | None]
"""Takes the operation's name and what came back; gives the class of our error, what happened and a hint, or None."""

_HUMP = re.compile(r"(?<!^)(?=[A-Z])")

MAX_PAGES = 10_000
"""Of one list: a service that always has one more page would be asked for ever."""


def aws_for(service: str, aws: Aws | None, region: str | None, client_for_region: Callable[[str], Any] | None) -> Aws:
    """How a store reaches AWS, from the options it was given.

    Raises:
        InvalidArgument: one is of the wrong type, or both `aws` and `client_for_region` are given.
    """
    given: object = aws
    if given is not None and not isinstance(given, Aws):
        raise InvalidArgument(f"aws must be an Aws, not {type(given).__name__}", hint='Aws(region="eu-west-1")')
    if region is not None:
        check_region("region", region)
    if client_for_region is None:
        return Aws() if aws is None else aws
    if aws is not None:
        raise InvalidArgument("client_for_region excludes aws", hint="give one of the two")
    return Aws.with_clients_of(service, client_for_region)


@dataclass(frozen=True, slots=True)
class ServiceCalls:
    """The calls of one service.

    Attributes:
        service: like ``secretsmanager``.
        region: where it is called unless a call says another; None for the region of `aws`.
        refusing: what the refusals mean that only this service has.
    """

    aws: Aws
    service: str
    region: str | None
    refusing: Refusing = field(repr=False)

    def call(self, operation: str, resource: str, *, region: str | None = None, **arguments: object) -> Answer:
        """One call.

        Args:
            operation: its name, like ``GetSecretValue``.
            resource: the secret that it is about, to be shown.
            arguments: those that are None are left out.

        Raises:
            EnvelopeError: whatever failed.
        """
        client = self.aws.client(self.service, region or self.region)
        name = f"{self.service}:{operation}"

        def ask() -> object:
            return getattr(client, _HUMP.sub("_", operation).lower())(
                **{name: value for name, value in arguments.items() if value is not None}
            )

        def refused(refusal: ServiceRefusal) -> EnvelopeError | None:
            return self._known_error(operation, resource, refusal)

        return Answer.of(name, call_service(ask, {}, operation=name, resource=resource, refused=refused))

    def pages(
        self, operation: str, resource: str, *, region: str | None = None, **arguments: object
    ) -> Iterator[Answer]:
        """One call after the other while there are more pages; a page may be empty.

        Raises:
            EnvelopeError: whatever failed.
        """
        token: str | None = None
        seen: set[str] = set()
        while True:
            answer = self.call(operation, resource, region=region, NextToken=token, **arguments)
            yield answer
            token = answer.optional_text("NextToken")
            if not token:
                return
            if token in seen:
                answer.refuse("repeats a page: its NextToken came before")
            if len(seen) >= MAX_PAGES:
                answer.refuse(f"goes on after {MAX_PAGES:,} pages")
            seen.add(token)

    def error_of(self, operation: str, resource: str, refusal: ServiceRefusal) -> EnvelopeError:
        """Our error for what a service said of one secret among several."""
        known = self._known_error(operation, resource, refusal)
        return known or error_of(refusal, operation=f"{self.service}:{operation}", resource=resource)

    def _known_error(self, operation: str, resource: str, refusal: ServiceRefusal) -> EnvelopeError | None:
        meaning = self.refusing(operation, refusal)
        if meaning is None:
            return None
        kind, what, hint = meaning
        origin = f", request id {refusal.request_id}" if refusal.request_id else ""
        where = f" on {resource}" if resource else ""
        message = f"{self.service}:{operation}{where} failed: {what} ({refusal.code}{origin})"
        if issubclass(kind, SecretsError):
            return kind(message, hint=hint, code=refusal.code, request_id=refusal.request_id)
        return kind(message, hint=hint)
