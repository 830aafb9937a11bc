"""The front of the fake: clients, trouble on demand, the call log."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from envelope.arguments import check_function
from envelope.aws.in_process import JsonAnswer, NoAnswer, NoAnswerKind
from envelope.errors import InvalidArgument
from envelope.process_state import reset_in_children
from envelope.testing.call_log import CallLog
from envelope.testing.callers import DEFAULT_REGION, caller_of
from envelope.testing.clock import MOST_S, FakeClock
from envelope.testing.fake_clients import FakeClients
from envelope.testing.kms_access import Call
from envelope.testing.kms_calls import KmsCall
from envelope.testing.kms_faults import KmsFault
from envelope.testing.kms_importing import import_key_material
from envelope.testing.kms_policy import Caller, parse_policy
from envelope.testing.kms_service import perform
from envelope.testing.kms_state import KmsState
from envelope.testing.kms_trouble import Trouble, planned_failure

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

    from envelope.aws.session import Aws

__all__ = ["FakeKms"]

GRANT_DELAY_S = 300.0

Latency = float | Callable[[str, str], float]


class FakeKms:
    """AWS KMS as it behaves, in memory, for all regions and accounts. Safe for threads.

    A forked child goes on with a copy of it.

    Its clients are real boto3 clients, answered in this process. It has symmetric keys, their states, aliases, grants,
    policies, rotation and multi-Region keys; what it does not have, it refuses. docs/testing.md tells more.

    Args:
        clock: tells the time and waits for `latency_s`; a `FakeClock` of its own unless one is given. Its seconds are
            the dates in answers.
        latency_s: seconds that each call takes by the clock, or a function of operation and region that says how many.
        grant_delay_s: so long a new grant works with its token only; the service says up to five minutes.
        random_bytes: gives so many random bytes, for keys and identifiers.

    Attributes:
        latency_s: can be set at any time, for the calls after that.

    Raises:
        InvalidArgument: an option of the wrong type, here and in the methods.
    """

    def __init__(
        self,
        *,
        clock: FakeClock | None = None,
        latency_s: Latency = 0.0,
        grant_delay_s: float = GRANT_DELAY_S,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        given: object = clock
        if given is not None and not isinstance(given, FakeClock):
            raise InvalidArgument(f"clock must be a FakeClock, not {type(given).__name__}")
        _check_delay("grant_delay_s", grant_delay_s)
        check_function("random_bytes", random_bytes)
        self.clock = FakeClock() if clock is None else clock
        self.latency_s = latency_s
        self._state = KmsState(self.clock.now, random_bytes, grant_delay_s)
        self._trouble = Trouble(self.clock.now)
        self._log: CallLog[KmsCall] = CallLog()
        self._clients = FakeClients("kms", self._answer)
        self.reset_after_fork()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Forget clients and locks, which threads of the parent may use just now, and the calls that wait there."""
        self._lock = threading.RLock()
        self._log.reset_after_fork()
        self._clients.reset_after_fork()
        self._trouble.lock = threading.Lock()

    def __repr__(self) -> str:
        with self._lock:
            return f"FakeKms({len(self._state.keys)} keys, {len(self.calls)} calls)"

    # Clients

    def client(
        self,
        region: str = DEFAULT_REGION,
        *,
        account: str | None = None,
        principal: str | None = None,
        via_service: str = "",
        max_attempts: int = 1,
    ) -> KMSClient:
        """A boto3 client for KMS; the same one for the same arguments.

        Args:
            account: 12 digits; the principal's account, or else 111122223333.
            principal: ARN of a user, a role, a session of an assumed role, or the account's root; a role called
                ``application`` unless another is given.
            via_service: the AWS service that calls in the principal's name, as ``kms:ViaService`` names it, like
                ``secretsmanager.eu-west-1.amazonaws.com``; empty for a call of its own.
            max_attempts: attempts in total. One by default, because botocore sleeps in real time between attempts.

        Raises:
            InvalidArgument: the principal is no ARN of IAM or STS, or is of another account than `account`; the region
                is not named like one.
        """
        client: KMSClient = self._clients.client(region, account, principal, max_attempts, via_service=via_service)
        return client

    def client_for(
        self, *, account: str | None = None, principal: str | None = None, max_attempts: int = 1
    ) -> Callable[[str], KMSClient]:
        """A function that gives the client of a region."""
        return self._clients.client_for(account, principal, max_attempts)

    def aws(self, *, account: str | None = None, principal: str | None = None, max_attempts: int = 1) -> Aws:
        """What KMS keyrings take as `aws`, so that they call this fake as that principal."""
        from envelope.aws.session import Aws

        client_for_region = self.client_for(account=account, principal=principal, max_attempts=max_attempts)
        return Aws(client_for_region=client_for_region)

    # What was called

    @property
    def calls(self) -> tuple[KmsCall, ...]:
        """Every call that was answered or failed, in that order."""
        return self._log.all()

    @property
    def in_flight(self) -> int:
        """How many calls wait for their answer now."""
        return self._log.in_flight

    def count(self, operation: str | None = None, *, region: str | None = None, key_arn: str | None = None) -> int:
        """How many calls of this operation, in this region, about this key there were; None stands for any."""
        return sum(
            operation in (None, call.operation) and region in (None, call.region) and key_arn in (None, call.key_arn)
            for call in self.calls
        )

    def clear_calls(self) -> None:
        """Forget the calls so far."""
        self._log.clear()

    # Identities and material

    def put_identity_policy(self, principal: str, policy: Mapping[str, Any]) -> None:
        """Give a user or role an identity policy, in the place of the one before.

        Until then a principal may do everything, as an administrator of its account, so that key policies alone decide.

        Args:
            policy: the policy's JSON as a mapping.

        Raises:
            InvalidArgument: something in it is not known to the fake.
        """
        caller = caller_of(DEFAULT_REGION, None, principal)
        try:
            parsed = parse_policy(json.dumps(policy), has_principals=False)
        except KmsFault as fault:
            raise InvalidArgument(f"the identity policy cannot be used: {fault.message}") from fault
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidArgument(f"the identity policy is no JSON: {type(error).__name__}") from error
        with self._lock:
            self._state.identity_policies[caller.identity] = parsed

    def import_key_material(self, key_arn: str, material: bytes, *, valid_to_s: float | None = None) -> None:
        """Import material into a key that was created with ``Origin="EXTERNAL"``.

        It takes the place of GetParametersForImport and ImportKeyMaterial, which are refused.

        Args:
            material: 32 bytes; once imported, only the same bytes can be imported again.
            valid_to_s: when the material expires, by the clock; never if None.

        Raises:
            InvalidArgument: no such key, a key of another origin or pending deletion, or other material.
        """
        with self._lock:
            self._state.settle()
            import_key_material(self._state, key_arn, material, valid_to_s)

    # Trouble

    def fail_next(
        self,
        operation: str | None = None,
        *,
        code: str | None = None,
        error: NoAnswerKind | None = None,
        times: int = 1,
        region: str | None = None,
        message: str = "",
        http_status: int | None = None,
    ) -> None:
        """Let the next calls of an operation fail, or of any if it is None.

        Args:
            code: the service's error code, or
            error: ``connection`` or ``timeout``: no answer comes. Nobody waits; `latency_s` is for that.
            http_status: the one that goes with the code unless another is given.

        Raises:
            InvalidArgument: neither or both of `code` and `error`, less than one time, or an option of the wrong type.
        """
        self._trouble.plan(
            planned_failure(
                operation, region, code=code, error=error, times=times, message=message, http_status=http_status
            )
        )

    def throttle(self, *, calls_per_s: float | None, burst: float | None = None) -> None:
        """Let so many calls a second pass in each region of each account, the others get ThrottlingException.

        Args:
            calls_per_s: None ends the throttling.
            burst: so many calls can come at once; as many as `calls_per_s` unless another number is given.
        """
        self._trouble.throttle(calls_per_s, burst)

    @contextlib.contextmanager
    def outage(
        self, region: str | None = None, *, error: NoAnswerKind | None = None, code: str | None = None
    ) -> Iterator[None]:
        """Inside the block every call to the region fails, or to all regions; nothing can be reached by default."""
        error = "connection" if error is None and code is None else error
        with self._trouble.outage(planned_failure(None, region, code=code, error=error)):
            yield

    # The way of a request

    def _answer(self, caller: Caller, operation: str, parameters: dict[str, Any]) -> JsonAnswer:
        call = Call(self._state, caller, operation, parameters)
        request_id = str(uuid.uuid4())
        error_code: str | None = None
        try:
            with self._log.waiting():
                return JsonAnswer(200, self._performed(call), request_id)
        except KmsFault as fault:
            error_code = fault.code
            return JsonAnswer(fault.http_status, {"__type": fault.code, "message": fault.message}, request_id)
        except NoAnswer as silence:
            error_code = silence.kind
            raise
        finally:
            self._note(call, error_code, request_id)

    def _performed(self, call: Call) -> dict[str, Any]:
        region, account = call.caller.region, call.caller.account
        latency_s = self.latency_s
        self.clock.sleep(latency_s(call.operation, region) if callable(latency_s) else latency_s)
        self._trouble.meet(call.operation, region=region, account=account)
        with self._lock:
            return perform(call)

    def _note(self, call: Call, error_code: str | None, request_id: str) -> None:
        logged = KmsCall(
            operation=call.operation,
            region=call.caller.region,
            key_arn=call.key_arn,
            principal=call.caller.principal,
            encryption_context=MappingProxyType(call.context()),
            error_code=error_code,
            time_s=self.clock.now(),
            request_id=request_id,
        )
        self._log.add(logged)


def _check_delay(option: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MOST_S:
        raise InvalidArgument(f"{option} must be a number of seconds, 0 or more")
