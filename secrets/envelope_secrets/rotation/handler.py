"""The entry point of a rotation function in AWS Lambda."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from envelope.arguments import check_function, check_seconds
from envelope.errors import InvalidArgument
from envelope_secrets.password import PasswordPolicy
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.engine import run_step
from envelope_secrets.rotation.events import RotationEvent
from envelope_secrets.rotation.password_policies import PasswordPolicies
from envelope_secrets.rotation.strategy import Strategy, rotator_of
from envelope_secrets.stores.guarded_store import guarded_store
from envelope_secrets.stores.protocol import SecretStore

__all__ = ["Handler", "check_password_policy", "check_store", "policy_of", "rotation_handler"]

Handler = Callable[[Any, Any], None]

DEFAULT_TIMEOUT_S = 30.0
"""Where the context tells no remaining time, as in a test."""


def rotation_handler(
    target: object,
    strategy: Strategy | None = None,
    *,
    store: SecretStore | None = None,
    password_policy: PasswordPolicy | PasswordPolicies | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Handler:
    """A function for AWS Lambda that rotates the secrets whose rotation names it.

    Args:
        target: a kind of database or the like; or a `Rotator` of your own, and then no strategy.
        strategy: how the target's accounts take turns.
        store: where the secrets are; Secrets Manager, as the environment says, by default, and made by the first event.
        password_policy: for the passwords of these secrets; the target's own by default. `PasswordPolicies` has one for
            each secret. None is ever read from a secret or its tags: whoever may write them could weaken it.
        timeout_s: for one step, where the context that comes with an event does not tell.
        clock: monotonic seconds.
        sleep: waits so many seconds.

    Returns:
        ``handler(event, context)``. It returns None when the step is done, and raises an `EnvelopeError` when Secrets
        Manager should repeat the rotation or somebody must look at it.

    Raises:
        InvalidArgument: the target does not go with the strategy, or an option is of the wrong type.
    """
    rotator = rotator_of(target, strategy)
    limit_s = check_seconds("timeout_s", timeout_s)
    check_password_policy(password_policy)
    check_function("clock", clock)
    check_function("sleep", sleep)
    stores = [] if store is None else [check_store(store)]

    def handler(event: Any, context: Any) -> None:
        deadline = Deadline.of_lambda(context, default_s=limit_s, clock=clock, sleep=sleep)
        parsed = RotationEvent.parse(event)
        del event  # it has the RotationToken, and a report of an error may show what is in this frame
        if not stores:
            stores.append(_default_store())
        policy = policy_of(password_policy, parsed.secret_id)
        with _calls_within(deadline, is_own_store=store is None):
            run_step(stores[0], rotator, parsed, deadline, password_policy=policy)

    return handler


def check_store(store: object) -> SecretStore:
    """Return a store, behind a guard if it is not of this package; or raise `InvalidArgument`."""
    if not isinstance(store, SecretStore):
        raise InvalidArgument(f"store must be a SecretStore, not {type(store).__name__}")
    return guarded_store(store)


def check_password_policy(policy: object) -> None:
    """Raise `InvalidArgument` unless it is a policy, or one for each secret, or None."""
    if policy is not None and not isinstance(policy, (PasswordPolicy, PasswordPolicies)):
        raise InvalidArgument(
            f"password_policy must be a PasswordPolicy, PasswordPolicies or None, not {type(policy).__name__}"
        )


def policy_of(policy: PasswordPolicy | PasswordPolicies | None, secret_arn: str) -> PasswordPolicy | None:
    """The policy of one secret; None for the target's own."""
    return policy.of(secret_arn) if isinstance(policy, PasswordPolicies) else policy


def _default_store() -> SecretStore:
    """Secrets Manager, with timeouts that leave time for more than one call in the 30 seconds of a usual function."""
    from envelope import Aws  # boto3 costs 0.4 s, which belongs to the first event and not to the import
    from envelope_secrets.stores.secrets_manager import SecretsManagerStore

    return SecretsManagerStore(Aws(connect_timeout_s=2.0, read_timeout_s=4.0, max_attempts=3, call_timeout_s=13.0))


def _calls_within(deadline: Deadline, *, is_own_store: bool) -> AbstractContextManager[None]:
    """No call of AWS through `Aws(call_timeout_s=...)`, like the own store's, takes longer than there is time."""
    if not is_own_store and "envelope.aws.call_limit" not in sys.modules:  # no such `Aws`: botocore need not be loaded
        return nullcontext()
    from envelope.aws.call_limit import calls_within

    return calls_within(lambda: deadline.left_s)
