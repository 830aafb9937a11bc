"""The front of the fake: clients, trouble on demand, rotations, the call log."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from envelope.arguments import check_count, check_flag, check_function
from envelope.aws.in_process import JsonAnswer, NoAnswer, NoAnswerKind
from envelope.errors import InvalidArgument
from envelope.process_state import reset_in_children
from envelope.testing import FakeClock, FakeKms
from envelope.testing.call_log import CallLog
from envelope.testing.callers import DEFAULT_REGION, caller_of
from envelope.testing.fake_clients import FakeClients
from envelope.testing.kms_policy import Caller
from envelope_secrets.service_rules.broken import RuleBroken
from envelope_secrets.testing.access import Call
from envelope_secrets.testing.calls import SecretsManagerCall, shown_parameters
from envelope_secrets.testing.faults import ServiceFault
from envelope_secrets.testing.options import check_delay, check_kind, check_operation
from envelope_secrets.testing.rotations import MOST_TRIES, Handler, RotationDriver, RotationRun
from envelope_secrets.testing.service import perform
from envelope_secrets.testing.service_state import Denial, ServiceState
from envelope_secrets.testing.stale_reads import Lag
from envelope_secrets.testing.trouble import ServiceTrouble, Stopped
from envelope_secrets.testing.values import Vault

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

    from envelope.aws.session import Aws

__all__ = ["FaultySecretsManager"]

Latency = float | Callable[[str, str], float]

MOST_READS = 1_000_000


class FaultySecretsManager:
    """AWS Secrets Manager as it behaves, in memory, for all regions and accounts. Safe for threads.

    A forked child goes on with a copy of it.

    Its clients are real boto3 clients, answered in this process. It is strict where other fakes are loose: labels,
    tokens, sizes, deletions, error codes. What it does not have, it refuses. docs/secrets-testing.md tells more.

    Args:
        clock: tells the time and waits for `latency_s`; a `FakeClock` of its own unless one is given.
        latency_s: seconds that each call takes by the clock, or a function of operation and region that says how many.
        kms: encrypts the values, called as the caller with the encryption context of the service; without it, keys are
            only noted. Give it the same clock.
        random_bytes: gives so many random bytes, for ARNs and nonces.
        rotates_at_once: run the rotation that a RotateSecret has started before its reply; otherwise `run_rotations`
            does it.
        cleans_up_pending: take AWSPENDING away after a rotation that has succeeded; the service was seen to do both.
        requires_rotation_token: let a rotation store values with its RotationToken only, as for an assumed role.
        deletion_delay_s: how long a name stays taken after a deletion without recovery.

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
        kms: FakeKms | None = None,
        random_bytes: Callable[[int], bytes] = os.urandom,
        rotates_at_once: bool = False,
        cleans_up_pending: bool = True,
        requires_rotation_token: bool = False,
        deletion_delay_s: float = 0.0,
    ) -> None:
        check_kind("clock", clock, FakeClock)
        check_kind("kms", kms, FakeKms)
        check_function("random_bytes", random_bytes)
        self.clock = FakeClock() if clock is None else clock
        self.latency_s = latency_s
        self._rotates_at_once = check_flag("rotates_at_once", rotates_at_once)
        self._state = ServiceState(
            self.clock.now,
            random_bytes,
            Vault(kms, random_bytes),
            deletion_delay_s=check_delay("deletion_delay_s", deletion_delay_s),
            requires_rotation_token=check_flag("requires_rotation_token", requires_rotation_token),
        )
        self._trouble = ServiceTrouble(self.clock.now)
        self._driver = RotationDriver(
            self._state,
            self.clock,
            lambda: self._lock,
            self._trouble.start_again,
            cleans_up=check_flag("cleans_up_pending", cleans_up_pending),
        )
        self._log: CallLog[SecretsManagerCall] = CallLog()
        self._clients = FakeClients("secretsmanager", self._answer)
        self.reset_after_fork()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Forget clients and locks, which threads of the parent may use just now, and the calls that wait there."""
        self._lock = threading.RLock()
        self._log.reset_after_fork()
        self._clients.reset_after_fork()
        self._trouble.lock = threading.Lock()
        self._trouble.calls.lock = threading.Lock()

    def __repr__(self) -> str:
        return f"FaultySecretsManager({len(self._state.records)} secrets, {len(self.calls)} calls)"

    # Clients

    def client(
        self,
        region: str = DEFAULT_REGION,
        *,
        account: str | None = None,
        principal: str | None = None,
        max_attempts: int = 1,
    ) -> SecretsManagerClient:
        """A boto3 client for Secrets Manager; the same one for the same arguments.

        Args:
            account: 12 digits; the principal's account, or else 111122223333.
            principal: ARN of a user, a role, or a session of an assumed role; a role called ``application`` unless
                another is given.
            max_attempts: attempts in total. One by default, because botocore sleeps in real time between attempts.

        Raises:
            InvalidArgument: the principal is no ARN of IAM or STS, or of another account than `account`.
        """
        client: SecretsManagerClient = self._clients.client(region, account, principal, max_attempts)
        return client

    def client_for(
        self, *, account: str | None = None, principal: str | None = None, max_attempts: int = 1
    ) -> Callable[[str], SecretsManagerClient]:
        """A function that gives the client of a region; `SecretsManagerStore` takes it as `client_for_region`."""
        return self._clients.client_for(account, principal, max_attempts)

    def aws(
        self,
        region: str = DEFAULT_REGION,
        *,
        account: str | None = None,
        principal: str | None = None,
        max_attempts: int = 1,
    ) -> Aws:
        """What a store takes as `aws`, so that it calls this fake as that principal."""
        from envelope.aws.session import Aws

        client_for_region = self.client_for(account=account, principal=principal, max_attempts=max_attempts)
        return Aws.with_clients_of("secretsmanager", client_for_region, region=region)

    # What was called

    @property
    def calls(self) -> tuple[SecretsManagerCall, ...]:
        """Every call that was answered or failed, in that order."""
        return self._log.all()

    @property
    def in_flight(self) -> int:
        """How many calls wait for their answer now."""
        return self._log.in_flight

    def count(self, operation: str | None = None, *, region: str | None = None, secret_arn: str | None = None) -> int:
        """How many calls of this operation, in this region, about this secret there were; None stands for any."""
        wanted = (operation, region, secret_arn)
        told = ((call.operation, call.region, call.secret_arn) for call in self.calls)
        return sum(all(want in (None, one) for want, one in zip(wanted, call, strict=True)) for call in told)

    def clear_calls(self) -> None:
        """Forget the calls so far."""
        self._log.clear()

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
        """Let the next calls of an operation fail, or of any if it is None. Nothing is done.

        Args:
            code: the service's error code, or
            error: ``connection`` or ``timeout``: no answer comes. Nobody waits; `latency_s` is for that.
            http_status: the one that goes with the code unless another is given.

        Raises:
            InvalidArgument: neither or both of `code` and `error`.
        """
        self._trouble.plan(
            operation, region, code=code, error=error, times=times, message=message, http_status=http_status
        )

    def lose_replies(self, operation: str | None = None, *, times: int = 1, error: NoAnswerKind = "timeout") -> None:
        """Do what the next calls ask for, and let the replies not arrive. What is refused is told."""
        self._trouble.lose(operation, times, error)

    def throttle(self, *, calls_per_s: float | None, burst: float | None = None) -> None:
        """Let so many calls a second pass in each region of each account, the others get ThrottlingException.

        Args:
            calls_per_s: None ends the throttling.
            burst: so many calls can come at once; as many as `calls_per_s` unless another number is given.
        """
        self._trouble.calls.throttle(calls_per_s, burst)

    def outage(
        self, region: str | None = None, *, error: NoAnswerKind | None = None, code: str | None = None
    ) -> AbstractContextManager[None]:
        """Inside the block every call to the region fails, or to all regions; nothing can be reached by default."""
        return self._trouble.outage(region, error="connection" if (error, code) == (None, None) else error, code=code)

    def stop_after(self, calls: int, *, reply_arrives: bool = True) -> None:
        """Let the calling process die after so many more calls: every call raises `Stopped` until `start_again`.

        Args:
            calls: 0 or more.
            reply_arrives: whether the process still sees the reply to the last of them; if not, it dies waiting for it.
        """
        self._trouble.stop_after(calls, reply_arrives=reply_arrives)

    def start_again(self) -> None:
        """Let another process make the calls. After `Stopped` in a rotation this happens by itself."""
        self._trouble.start_again()

    def deny(self, operation: str, *, principal: str | None = None, secret: str | None = None) -> None:
        """Answer an operation with AccessDeniedException.

        Args:
            principal: for this caller only; an ARN.
            secret: for this secret only; its name or ARN.
        """
        check_operation(operation)
        with self._lock:
            self._state.denials.append(Denial(operation, principal, secret))

    def allow(self, operation: str) -> None:
        """Take back every `deny` of an operation."""
        check_operation(operation)
        with self._lock:
            self._state.denials = [denial for denial in self._state.denials if denial.operation != operation]

    def delay_reads(self, secret: str | None = None, *, reads: int = 0, seconds: float = 0.0) -> None:
        """Show every later change of a secret late: not to the next so many reads, and not for so many seconds.

        Args:
            secret: its name, also before it exists; all secrets that have no delay of their own if None.
            reads: of any kind: GetSecretValue, DescribeSecret, lists. 0 with 0 seconds ends the delay.
        """
        lag = Lag(check_count("reads", reads, 0, MOST_READS), check_delay("seconds", seconds))
        with self._lock:
            self._state.delay(secret, lag)

    def delay_replication(self, seconds: float) -> None:
        """Let every change be so long on its way to a replica, also those that are under way."""
        with self._lock:
            self._state.replication_lag_s = check_delay("seconds", seconds)

    def set_owner(self, secret: str, service: str, *, region: str = DEFAULT_REGION) -> None:
        """Let a service like ``rds`` manage a secret: others cannot change it.

        Args:
            secret: its name or ARN.
        """
        with self._lock:
            self._state.known(secret, caller_of(region, None, None)).owner = service

    # Rotations

    def register_function(self, arn: str, handler: Handler) -> None:
        """Make a handler known as the Lambda function with this ARN. RotateSecret refuses functions it cannot invoke.

        Args:
            handler: takes the event and a `LambdaContext`, as in Lambda. What it raises fails the step.
        """
        check_function("handler", handler)
        self._driver.register(arn, handler)

    def run_rotations(self, *, attempts: int = 1) -> list[RotationRun]:
        """Run every rotation that was started and has not succeeded yet: the four steps, or testSecret for a test.

        Args:
            attempts: so often the entire process is tried, with the same token. What fails in the last one stays as it
                is, and is tried again by the next call of this method.
        """
        return self._driver.run_all(check_count("attempts", attempts, 1, MOST_TRIES))

    def rotate(
        self,
        secret: str,
        handler: Handler,
        *,
        token: str | None = None,
        attempts: int = 1,
        immediately: bool = True,
        region: str = DEFAULT_REGION,
        account: str | None = None,
    ) -> RotationRun:
        """Rotate a secret with this handler, as a RotateSecret by its account would. Not in the call log.

        Args:
            token: the version's id; that of the rotation that has not succeeded yet, or drawn.
            immediately: False runs testSecret only, with AWSPENDING on a copy of the current version.

        Raises:
            InvalidArgument: the service would refuse it; the text has its error code.
        """
        check_function("handler", handler)
        check_flag("immediately", immediately)
        check_count("attempts", attempts, 1, MOST_TRIES)
        caller = caller_of(region, account, None)
        try:
            rotation = self._driver.begin(secret, handler, caller, token=token, is_trial=not immediately)
        except (RuleBroken, ServiceFault) as error:
            raise InvalidArgument(f"the rotation cannot start: {error.code}: {error.args[1]}") from None
        return self._driver.run(rotation, attempts)

    # The way of a request

    def _answer(self, caller: Caller, operation: str, parameters: dict[str, Any]) -> JsonAnswer:
        call = Call(self._state, caller, operation, parameters)
        request_id = str(uuid.uuid4())
        error_code: str | None = None
        try:
            with self._log.waiting():
                return JsonAnswer(200, self._performed(call), request_id)
        except ServiceFault as fault:
            error_code = fault.code
            return JsonAnswer(fault.http_status, {"__type": fault.code, "Message": fault.message}, request_id)
        except NoAnswer as silence:
            error_code = silence.kind
            raise
        except Stopped:
            error_code = "stopped"
            raise
        finally:
            self._note(call, error_code, request_id)

    def _performed(self, call: Call) -> dict[str, Any]:
        latency_s = self.latency_s
        self.clock.sleep(latency_s(call.operation, call.caller.region) if callable(latency_s) else latency_s)
        reply_arrives = self._trouble.meet(call.operation, region=call.caller.region, account=call.caller.account)
        with self._lock:
            answer = perform(call)
        call.is_done = True
        if self._rotates_at_once and call.operation == "RotateSecret":
            self._driver.run_all(1)
        if not reply_arrives:
            raise Stopped("the test has stopped this process before the reply came")
        self._trouble.lose_reply(call.operation)
        return answer

    def _note(self, call: Call, error_code: str | None, request_id: str) -> None:
        logged = SecretsManagerCall(
            operation=call.operation,
            region=call.caller.region,
            secret_arn=call.secret_arn,
            version_id=call.version_id,
            principal=call.caller.principal,
            parameters=shown_parameters(call.parameters),
            error_code=error_code,
            is_done=call.is_done,
            time_s=self.clock.now(),
            request_id=request_id,
        )
        self._log.add(logged)
