"""One call to AWS, and what becomes of its failure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from envelope.aws.service_refusal import ServiceRefusal
from envelope.errors import EnvelopeError

T = TypeVar("T")

__all__ = ["call_service"]


def call_service(
    method: Callable[..., T],
    arguments: Mapping[str, object],
    *,
    operation: str,
    resource: str,
    refused: Callable[[ServiceRefusal], EnvelopeError | None] | None = None,
) -> T:
    """Call a method of a boto3 client, or whatever else may fail in botocore.

    Args:
        operation: like ``kms:Decrypt``.
        resource: the key or secret that is asked for, to be shown.
        refused: is asked first what an answer of the service means that is an error; None leaves it to the table of
            `envelope.aws.service_errors`.

    Raises:
        AwsError: whatever failed.
        EnvelopeError: what `refused` gave.
    """
    try:
        return method(**arguments)
    except EnvelopeError:
        raise
    except Exception as error:  # noqa: BLE001 - no exception of botocore, urllib3 or a JSON parser leaves this package
        from envelope.aws.service_errors import translated  # its tables are needed only now

        failure, cause = translated(error, operation=operation, resource=resource, refused=refused)
    if cause is not None:
        # Its text says it all. Its frames hold the request, and reports of errors write local variables down.
        cause.__traceback__ = cause.__cause__ = cause.__context__ = None
    # Outside of the `except`, so that not even `__context__` holds an exception that quotes the request.
    raise failure from cause
