"""The store of a client: made when it is first needed, and refused once the client is closed."""

from __future__ import annotations

from envelope.errors import InvalidArgument
from envelope_secrets.errors import NotSupported
from envelope_secrets.stores.guarded_store import guarded_store
from envelope_secrets.stores.protocol import HasPolicies, HasTrees, Replicates, SecretStore

__all__ = ["StoreAccess"]


class StoreAccess:
    """Gives a store, and what only some stores can do.

    Args:
        store: None for AWS Secrets Manager, as the process is configured when it is first asked.

    Raises:
        InvalidArgument: `store` is none; and from every method after `close`.
    """

    def __init__(self, store: SecretStore | None) -> None:
        if store is not None and not isinstance(store, SecretStore):
            raise InvalidArgument(
                f"store must be a SecretStore, not {type(store).__name__}",
                hint="SecretsManagerStore(), ParameterStore(), LocalSecretStore(path, keyring), or one of your own",
            )
        self._store = store
        self._guarded = None if store is None else guarded_store(store)
        self._is_closed = False

    def __repr__(self) -> str:
        return "SecretsManagerStore()" if self._store is None else repr(self._store)

    def close(self) -> None:
        """Refuse everything from now on."""
        self._is_closed = True

    def check_open(self) -> None:
        """Raise `InvalidArgument` if the client is closed."""
        if self._is_closed:
            raise InvalidArgument("the secrets client is closed", hint="make another one")

    def store(self) -> SecretStore:
        """The store; behind a guard, if it is not of this package."""
        self.check_open()
        if self._guarded is None:
            from envelope_secrets.stores.secrets_manager import SecretsManagerStore  # only who has no other needs it

            self._store = self._guarded = SecretsManagerStore()  # two threads at once make two, and keep one
        return self._guarded

    def trees(self) -> HasTrees:
        """The store, if its names form hierarchies; `NotSupported` otherwise."""
        store = self.store()
        if isinstance(store, HasTrees):
            return store
        raise NotSupported(f"the names of a {type(store).__name__} form no hierarchies", hint="read each by its name")

    def replicates(self) -> Replicates:
        """The store, if it copies secrets to other regions; `NotSupported` otherwise."""
        store = self.store()
        if isinstance(store, Replicates):
            return store
        raise NotSupported(f"a {type(store).__name__} has no copies in other regions")

    def policies(self) -> HasPolicies:
        """The store, if its secrets have resource policies; `NotSupported` otherwise."""
        store = self.store()
        if isinstance(store, HasPolicies):
            return store
        raise NotSupported(f"the secrets of a {type(store).__name__} have no policies")
