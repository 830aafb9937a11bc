"""The fake service: one request in, one answer or one fault out, one request at a time."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from envelope_secrets.service_rules.broken import RuleBroken
from envelope_secrets.testing.access import Call
from envelope_secrets.testing.faults import ServiceFault, bad_request
from envelope_secrets.testing.operations import (
    listing,
    passwords,
    policies,
    reading,
    replicas,
    rotating,
    secrets,
    writing,
)
from envelope_secrets.testing.request_checks import check_request

__all__ = ["OPERATIONS", "perform"]

_HANDLERS: tuple[Callable[[Call], dict[str, Any]], ...] = (
    listing.describe_secret,
    listing.list_secret_version_ids,
    listing.list_secrets,
    passwords.get_random_password,
    policies.delete_resource_policy,
    policies.get_resource_policy,
    policies.list_resource_policies,
    policies.put_resource_policy,
    policies.validate_resource_policy,
    reading.batch_get_secret_value,
    reading.get_secret_value,
    replicas.remove_regions_from_replication,
    replicas.replicate_secret_to_regions,
    replicas.stop_replication_to_replica,
    rotating.cancel_rotate_secret,
    rotating.rotate_secret,
    secrets.create_secret,
    secrets.delete_secret,
    secrets.restore_secret,
    secrets.tag_resource,
    secrets.untag_resource,
    writing.put_secret_value,
    writing.update_secret,
    writing.update_secret_version_stage,
)

OPERATIONS = {re.sub("_?([a-z]+)", lambda word: word[1].capitalize(), h.__name__): h for h in _HANDLERS}
"""What the fake can do, by the names of the API."""


def perform(call: Call) -> dict[str, Any]:
    """Answer one request; whoever calls holds the service's lock.

    Raises:
        ServiceFault: the answer is an error; InvalidRequestException for an operation that the fake does not have.
    """
    handler = OPERATIONS.get(call.operation)
    if handler is None:
        raise bad_request(f"FaultySecretsManager does not have the operation {call.operation}")
    call.state.settle()
    try:
        check_request(call.operation, call.parameters)
        return handler(call)
    except RuleBroken as broken:
        raise ServiceFault(broken.code, broken.text) from None
