"""Operations on aliases."""

from __future__ import annotations

import re
from typing import Any

from envelope.testing.kms_access import Call, authorize, authorize_account, find_key
from envelope.testing.kms_faults import KmsFault, validation_fault
from envelope.testing.kms_keys import KmsKey
from envelope.testing.kms_limits import page
from envelope.testing.kms_state import Alias

__all__ = ["create_alias", "delete_alias", "list_aliases", "update_alias"]

_NAME = re.compile(r"alias/[a-zA-Z0-9/_-]+")
_RESERVED = "alias/aws/"


def create_alias(call: Call) -> dict[str, Any]:
    name = call.parameters["AliasName"]
    if _NAME.fullmatch(name) is None:
        raise validation_fault('Alias must start with the prefix "alias/" and have only a-zA-Z0-9/_- behind it')
    if name.startswith(_RESERVED):
        raise KmsFault("NotAuthorizedException", "")
    key = _target(call)
    if _place(call) in call.state.aliases:
        arn = call.state.aliases[_place(call)].arn
        raise KmsFault("AlreadyExistsException", f"An alias with the name {arn} already exists")
    place = (key.region, key.account)
    call.state.aliases[_place(call)] = Alias(name, *place, key.key_id, created_s=call.now_s, updated_s=call.now_s)
    return {}


def update_alias(call: Call) -> dict[str, Any]:
    alias = _alias(call)
    _authorize_current(call, alias)
    alias.key_id = _target(call).key_id
    alias.updated_s = call.now_s
    return {}


def delete_alias(call: Call) -> dict[str, Any]:
    alias = _alias(call)
    _authorize_current(call, alias)
    del call.state.aliases[_place(call)]
    return {}


def list_aliases(call: Call) -> dict[str, Any]:
    authorize_account(call)
    key_id = find_key(call, call.parameters["KeyId"]).key_id if "KeyId" in call.parameters else None
    place = (call.caller.region, call.caller.account)
    aliases = [
        _told(alias)
        for alias in call.state.aliases.values()
        if (alias.region, alias.account) == place and key_id in (None, alias.key_id)
    ]
    return page(call.parameters, "Aliases", aliases)


def _target(call: Call) -> KmsKey:
    if "alias/" in call.parameters["TargetKeyId"]:
        raise validation_fault("Aliases must refer to keys. Not aliases")
    key = find_key(call, call.parameters["TargetKeyId"])
    authorize(call, key)
    key.check_not_pending_deletion()
    return key


def _alias(call: Call) -> Alias:
    alias = call.state.aliases.get(_place(call))
    if alias is None:
        region, account, name = _place(call)
        arn = Alias(name, region, account, "", 0, 0).arn
        raise KmsFault("NotFoundException", f"Alias {arn} is not found.")
    return alias


def _authorize_current(call: Call, alias: Alias) -> None:
    authorize(call, find_key(call, alias.key_id))


def _place(call: Call) -> tuple[str, str, str]:
    return call.caller.region, call.caller.account, call.parameters["AliasName"]


def _told(alias: Alias) -> dict[str, Any]:
    return {
        "AliasName": alias.name,
        "AliasArn": alias.arn,
        "TargetKeyId": alias.key_id,
        "CreationDate": alias.created_s,
        "LastUpdatedDate": alias.updated_s,
    }
