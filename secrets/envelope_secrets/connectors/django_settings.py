"""The settings of the backends for Django, and connecting by them.

    DATABASES = {
        "default": {
            "ENGINE": "envelope_secrets.connectors.django.postgresql",
            "NAME": "app",
            "OPTIONS": {"secrets": "project.secrets.client", "secret_id": "prod/db", "sslmode": "verify-full"},
        }
    }

``secrets`` is where a `SecretsClient` is found. ``attempts`` and ``budget_s`` are options too, as of
`envelope_secrets.connectors.connect`; all others are the driver's. USER, HOST and PORT win over the secret if they are
set, NAME always; a PASSWORD is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from envelope.errors import InvalidArgument
from envelope_secrets.client import SecretsClient
from envelope_secrets.connectors.connecting import connect
from envelope_secrets.connectors.options import DEFAULT_ATTEMPTS, DEFAULT_BUDGET_S

__all__ = ["connect_by_settings", "without_own_options"]

_OWN = frozenset({"secrets", "secret_id", "attempts", "budget_s"})


def without_own_options(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a connection that the driver understands."""
    return {name: value for name, value in parameters.items() if name not in _OWN}


def connect_by_settings(
    settings: Mapping[str, Any], make: Callable[[dict[str, Any]], Any], parameters: Mapping[str, Any], driver: str
) -> Any:
    """Make a connection.

    Args:
        settings: one entry of ``DATABASES``.
        make: Django's own function, which takes the parameters as one dictionary.

    Raises:
        InvalidArgument: the settings name no client, or ask for Django's pool, which keeps a password.
        LoginRefused and what else `envelope_secrets.connectors.connect` raises.
    """
    options: Mapping[str, Any] = settings["OPTIONS"]
    if options.get("pool"):
        raise InvalidArgument("OPTIONS must not have pool", hint="Django's pool keeps the password it began with")
    return connect(
        _client(options.get("secrets")),
        options.get("secret_id", ""),
        lambda **arguments: make(arguments),
        arguments=parameters,
        driver=driver,
        attempts=options.get("attempts", DEFAULT_ATTEMPTS),
        budget_s=options.get("budget_s", DEFAULT_BUDGET_S),
    )


def _client(path: object) -> SecretsClient:
    """The client at a path like ``project.secrets.client``. Settings are copied, and a client cannot be."""
    module, _, name = path.rpartition(".") if isinstance(path, str) else ("", "", "")
    client = getattr(import_module(module), name, None) if module else None
    if not isinstance(client, SecretsClient):
        raise InvalidArgument(
            "OPTIONS must have secrets, the path of a SecretsClient", hint='like "project.secrets.client"'
        )
    return client
