"""Where Django looks for the class of a backend. It is a package because Django fixes its name."""

from __future__ import annotations

from typing import Any

from django.db.backends.mysql import base  # type: ignore[import-untyped]  # Django has no types

from envelope_secrets.connectors.django_settings import connect_by_settings, without_own_options

__all__ = ["DatabaseWrapper"]


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]  # which is Any
    """Django's own, whose every new connection is made with the credentials of that moment."""

    def get_connection_params(self) -> dict[str, Any]:
        """What Django would connect with, without the options that are ours."""
        return without_own_options(super().get_connection_params())

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Connect; Django calls this when a thread needs a connection and has none."""
        return connect_by_settings(self.settings_dict, super().get_new_connection, conn_params, base.Database.__name__)
