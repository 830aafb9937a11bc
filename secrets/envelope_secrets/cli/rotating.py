"""Rotating in this process: ``envelope secrets rotate --with``, its progress, and what it would do."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import click

from envelope.cli.printable import printable
from envelope.cli.report import Report
from envelope.errors import EnvelopeError
from envelope_secrets.cli.rotation_targets import RotationTarget
from envelope_secrets.cli.rotation_words import diagnosis_fields, version_lines
from envelope_secrets.cli.said import say, wants_json
from envelope_secrets.password import PasswordPolicy

if TYPE_CHECKING:
    from envelope_secrets.rotation.diagnosis import RotationDiagnosis
    from envelope_secrets.rotation.in_process import RotationResult, StepProgress
    from envelope_secrets.stores.protocol import SecretStore

__all__ = [
    "IN_PROCESS_OPTIONS",
    "PROBING_OPTIONS",
    "Told",
    "check_plan",
    "in_process_options",
    "probing_options",
    "run",
    "say_plan",
]

Command = TypeVar("Command", bound=Callable[..., Any])

IN_PROCESS_OPTIONS = ("deadline", "despite_function")
PROBING_OPTIONS = ("most_refusals",)


def in_process_options(command: Command) -> Command:
    """Add the options of a rotation in this process."""
    options = (
        click.option("--deadline", type=float, metavar="S", help="Seconds for all of it; 300."),
        click.option(
            "--despite-function", is_flag=True, allow_from_autoenv=False, help="Though a function rotates it."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def probing_options(command: Command) -> Command:
    """Add the option that keeps logins from locking an account."""
    return click.option("--most-refusals", type=int, metavar="N", help="Refused logins, at most: 2 or 4.")(command)


@dataclass(slots=True)
class Told:
    """Says how far a rotation is, and where it stopped. `Progress` of the library, and a context around it."""

    report: Report
    last: list[StepProgress] = field(default_factory=list)

    def __call__(self, progress: StepProgress) -> None:
        self.last[:] = [progress]
        step, version_id = progress.step.value, progress.version_id
        if progress.action is None:
            self.report.step("step begins", f"{step} begins", step=step, version_id=version_id)
        else:
            text = f"{step}: {progress.action.value}"
            self.report.summary("step", text, step=step, version_id=version_id, action=progress.action.name.lower())

    @contextlib.contextmanager
    def around(self) -> Iterator[None]:
        """Whatever ends the block in a step, a signal too, it is said where the next run goes on."""
        try:
            yield
        except BaseException:
            for progress in self.last:
                step, version_id = progress.step.value, progress.version_id
                where = "in" if progress.action is None else "after"
                text = f"it stopped {where} {step} of version {version_id}; the same command takes it up there"
                self.report.note("stopped", text, step=step, version_id=version_id)
            raise


def run(
    context: click.Context,
    store: SecretStore,
    secret_id: str,
    target: RotationTarget,
    *,
    password_policy: PasswordPolicy | None,
    deadline: float | None,
    despite_function: bool,
) -> None:
    """Rotate, and say what became of it."""
    from envelope_secrets.rotation.foreseeing import check_kind
    from envelope_secrets.rotation.in_process import DEFAULT_TIMEOUT_S, rotate

    check_kind(store, secret_id, target.target)
    told = Told(context.ensure_object(Report))
    with told.around():
        result = rotate(
            store,
            secret_id,
            target.target,
            target.strategy,
            password_policy=password_policy,
            despite_function=despite_function,
            progress=told,
            timeout_s=DEFAULT_TIMEOUT_S if deadline is None else deadline,
        )
    say(f"{secret_id}: {result_text(result)}", result_fields(secret_id, result))


def result_text(result: RotationResult) -> str:
    """A rotation that is done, in words."""
    how = ", taken up from an earlier run" if result.was_resumed else ""
    return f"version {result.version_id} is current now{how}"


def result_fields(secret_id: str, result: RotationResult) -> dict[str, Any]:
    """A rotation that is done, as JSON has it."""
    return {
        "secret": secret_id,
        "version_id": result.version_id,
        "previous_version_id": result.previous_version_id,
        "was_resumed": result.was_resumed,
    }


def check_plan(
    store: SecretStore,
    diagnosis: RotationDiagnosis,
    target: RotationTarget,
    policy: PasswordPolicy | None,
    deadline: float | None,
    *,
    despite_function: bool,
) -> None:
    """Make sure that a rotation could be done, as far as that shows without a change.

    Raises:
        RotationRefused: it would be refused, or fail; with the reason and the hint of what it would fail with.
    """
    from envelope_secrets.rotation.failures import RotationRefused
    from envelope_secrets.rotation.foreseeing import foresee
    from envelope_secrets.rotation.in_process import DEFAULT_TIMEOUT_S, check_no_function

    if not despite_function:
        check_no_function(diagnosis.name, diagnosis.function_arn)
    timeout_s = DEFAULT_TIMEOUT_S if deadline is None else deadline
    try:
        foresee(store, diagnosis, target.target, target.strategy, password_policy=policy, timeout_s=timeout_s)
    except EnvelopeError as error:
        problem, hint = str(error), error.hint
    else:
        return
    raise RotationRefused(
        f"a rotation would fail: {problem}", hint=hint or "`envelope secrets rotation status` says more"
    )


def say_plan(diagnosis: RotationDiagnosis) -> None:
    """Say what a rotation would do that `check_plan` has let pass."""
    if wants_json(given=False):
        click.echo(json.dumps({**diagnosis_fields(diagnosis), "would": _plan(diagnosis)}))
        return
    for line in (f"{diagnosis.name}: would {_plan(diagnosis)}", *version_lines(diagnosis)):
        click.echo(printable(line))


def _plan(diagnosis: RotationDiagnosis) -> str:
    pending = next((one for one in diagnosis.answers if one.source.name == "PENDING"), None)
    if pending is None:
        return "make a new version, have the target take it, try it, and make it current"
    if pending.answer.name == "EMPTY":
        return f"give version {pending.version_id} a value, have the target take it, try it, and make it current"
    done = "which the target knows already" if pending.works else "have the target take it"
    return f"take up version {pending.version_id}: {done}, try it, and make it current"
