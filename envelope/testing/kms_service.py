"""The fake service: one request in, one answer or one fault out, one request at a time."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from envelope.testing import (
    kms_aliases,
    kms_cryptography,
    kms_granting,
    kms_lifecycle,
    kms_multi_region,
    kms_rotation,
)
from envelope.testing.kms_access import Call
from envelope.testing.kms_faults import unsupported
from envelope.testing.kms_limits import check_request

__all__ = ["OPERATIONS", "perform"]

_HANDLERS: tuple[Callable[[Call], dict[str, Any]], ...] = (
    kms_aliases.create_alias,
    kms_aliases.delete_alias,
    kms_aliases.list_aliases,
    kms_aliases.update_alias,
    kms_cryptography.decrypt,
    kms_cryptography.encrypt,
    kms_cryptography.generate_data_key,
    kms_cryptography.generate_data_key_without_plaintext,
    kms_cryptography.generate_random,
    kms_cryptography.re_encrypt,
    kms_granting.create_grant,
    kms_granting.list_grants,
    kms_granting.list_retirable_grants,
    kms_granting.retire_grant,
    kms_granting.revoke_grant,
    kms_lifecycle.cancel_key_deletion,
    kms_lifecycle.create_key,
    kms_lifecycle.describe_key,
    kms_lifecycle.disable_key,
    kms_lifecycle.enable_key,
    kms_lifecycle.get_key_policy,
    kms_lifecycle.list_key_policies,
    kms_lifecycle.list_keys,
    kms_lifecycle.list_resource_tags,
    kms_lifecycle.put_key_policy,
    kms_lifecycle.schedule_key_deletion,
    kms_lifecycle.tag_resource,
    kms_lifecycle.untag_resource,
    kms_lifecycle.update_key_description,
    kms_multi_region.replicate_key,
    kms_multi_region.update_primary_region,
    kms_rotation.delete_imported_key_material,
    kms_rotation.disable_key_rotation,
    kms_rotation.enable_key_rotation,
    kms_rotation.get_key_rotation_status,
    kms_rotation.list_key_rotations,
    kms_rotation.rotate_key_on_demand,
)

OPERATIONS = {re.sub("_?([a-z]+)", lambda word: word[1].capitalize(), h.__name__): h for h in _HANDLERS}
"""What the fake can do, by the names of the API."""


def perform(call: Call) -> dict[str, Any]:
    """Answer one request; whoever calls holds the service's lock.

    Raises:
        KmsFault: the answer is an error; UnsupportedOperationException for an operation that the fake does not have.
    """
    handler = OPERATIONS.get(call.operation)
    if handler is None:
        raise unsupported(f"FakeKms does not have the operation {call.operation}")
    check_request(call.parameters)
    call.state.settle()
    return handler(call)
