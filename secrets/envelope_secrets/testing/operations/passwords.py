"""GetRandomPassword."""

from __future__ import annotations

from typing import Any

from envelope.errors import InvalidArgument
from envelope_secrets.password import PasswordPolicy, random_password
from envelope_secrets.testing.access import Call, check_action
from envelope_secrets.testing.faults import bad_parameter

__all__ = ["get_random_password"]


def get_random_password(call: Call) -> dict[str, Any]:
    check_action(call, call.operation)
    try:
        policy = PasswordPolicy(
            length=call.get("PasswordLength", 32),
            exclude=call.get("ExcludeCharacters", ""),
            lowercase=not call.get("ExcludeLowercase", False),
            uppercase=not call.get("ExcludeUppercase", False),
            digits=not call.get("ExcludeNumbers", False),
            punctuation=not call.get("ExcludePunctuation", False),
            space=call.get("IncludeSpace", False),
            require_each=call.get("RequireEachIncludedType", True),
        )
    except InvalidArgument as error:
        raise bad_parameter(f"No password can be made: {error}.") from None
    return {"RandomPassword": random_password(policy)}
