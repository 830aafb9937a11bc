"""The program `envelope`: its commands, loaded when they are called, and the options that all of them have."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import import_module
from typing import Any

import click

from envelope.cli.configuration import configuration_options
from envelope.cli.failure import BROKEN_PIPE, DONE, FAILED
from envelope.cli.option_rules import apply_rules
from envelope.cli.precedence import rank_of
from envelope.cli.report import Report
from envelope.cli.signals import Interrupted, die_of, interruptible
from envelope.cli.streams import hold_standard_streams, let_go_of_output

__all__ = ["COMMANDS", "ManyOptions", "program", "start"]

COMMANDS = {
    "encrypt": "Encrypt files, directories or standard input.",
    "decrypt": "Decrypt messages.",
    "inspect": "Show what messages say of themselves, without a key.",
    "verify": "Decrypt messages to nowhere.",
    "rekey": "Encrypt messages again, under other keys.",
    "keys": "Manage the keys of the local keystore.",
    "doctor": "Find out why AWS or a key does not work.",
    "policy": "Print least-privilege policies for a key.",
    "secrets": "Read, write and rotate secrets.",
    "completion": "Print the completion script of a shell.",
}
"""Each is `command` in the module of its name; the text is here so that `--help` imports none of them."""

ELSEWHERE = {"secrets": "envelope_secrets.cli"}
"""Modules of commands that are not in this package; the only place where it names the other one."""


_EXAMPLES = """\b
Examples:
  envelope encrypt report.csv -o report.encrypted -k alias/app -c tenant=42
  envelope decrypt report.encrypted -o report.csv -k alias/app -c tenant=42
"""


class ManyOptions(click.Command):
    """A command with more options than fit on a screen: --help shows the ones in `often`, --help-all all of them.

    Args:
        often: options that --help shows, by the name of their value.
    """

    def __init__(self, *args: Any, often: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for parameter in self.params:
            if isinstance(parameter, click.Option) and parameter.name not in often:
                parameter.hidden = True
        self.params.append(
            click.Option(
                ["--help-all"],
                is_flag=True,
                allow_from_autoenv=False,
                is_eager=True,
                expose_value=False,
                callback=_help_all,
                help="Show all options and exit.",
            )
        )


def _help_all(context: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: ARG001 - click's
    if value and not context.resilient_parsing:
        hidden = [other for other in context.command.params if isinstance(other, click.Option) and other.hidden]
        for other in hidden:
            other.hidden = False
        try:
            click.echo(context.get_help())
        finally:  # the command may be called again in this process
            for other in hidden:
                other.hidden = True
        context.exit()


class _NobodyReads(Exception):
    """What becomes of a `BrokenPipeError`, of which click would make the status 1; exit_code_of looks at the cause."""


@contextlib.contextmanager
def _broken_pipes_told() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise _NobodyReads from error


class _Program(click.Group):
    """Imports the module of a command when it is called."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _broken_pipes_told():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _broken_pipes_told():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        return _loaded(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@cache
def _loaded(name: str) -> click.Command:
    command: click.Command = import_module(ELSEWHERE.get(name, f"envelope.cli.{name}")).command
    _accept_everywhere(command)
    apply_rules(command, ("envelope", name))
    return command


def _accept_everywhere(command: click.Command) -> None:
    """Let options of the program stand behind the command's name too, where it has none of that name itself."""
    if isinstance(command, click.Group):
        for below in command.commands.values():
            _accept_everywhere(below)
        return
    taken = {opt for parameter in command.params for opt in parameter.opts}
    for own in [parameter for parameter in command.params if "--json" in parameter.opts]:
        own.callback = _keep  # it is the same option, with a text of its own
    for option in _report_options(is_hidden=True):
        option.opts = [opt for opt in option.opts if opt not in taken]
        if any(opt.startswith("--") for opt in option.opts):
            command.params.append(option)


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Let the report take the value of one of its attributes; return what it has now."""
    report, name = context.ensure_object(Report), str(parameter.name)
    report.take(name, value, rank=rank_of(context, name))
    return getattr(report, name)


def _report_options(*, is_hidden: bool = False) -> list[click.Option]:
    """The options that set the attributes of `Report`."""

    def flag(attribute: str, *names: str, text: str, **kwargs: Any) -> click.Option:
        return click.Option(
            [attribute, *names],
            expose_value=not is_hidden,
            is_eager=True,
            callback=_keep,
            help=text,
            hidden=is_hidden,
            **kwargs,
        )

    return [
        flag("quiet", "--quiet", "-q", text="Say nothing but errors.", is_flag=True),
        flag("verbose", "--verbose", "-v", text="Say more; twice, with tracebacks.", count=True),
        flag("as_json", "--json", text="Errors and results as JSON.", is_flag=True),
        flag("log_json", "--log-json", text="All that is said as JSON lines.", is_flag=True),
    ]


def _show_version(context: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: ARG001 - click's
    if value and not context.resilient_parsing:
        from envelope.cli import version

        click.echo(f"envelope {version()}")
        context.exit()


@click.group(
    cls=_Program,
    epilog=_EXAMPLES,
    params=[
        *_report_options(),
        click.Option(
            ["--version"],
            is_flag=True,
            allow_from_autoenv=False,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Show the version and exit.",
        ),
    ],
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 80},
)
@configuration_options
def program(**_: object) -> None:
    """Encrypt and decrypt in the AWS Encryption SDK's message format.

    Exit status: 0 all done, 1 something failed, 2 usage, 3 refused or not authentic, 4 a key or AWS is not available.
    """


apply_rules(program, ("envelope",))


def start(arguments: Sequence[str], *, die: Callable[[int], int] = die_of) -> int:
    """Run the program; return its exit status. A signal that ended it ends the process too."""
    hold_standard_streams()
    report = Report(as_json="--json" in arguments, log_json="--log-json" in arguments)
    # It dies in the block: outside of it, a second signal would be answered by whoever was there before.
    with interruptible(die=die):
        try:
            status = _status_of(arguments, report)
        except Interrupted as interrupted:
            return die(interrupted.number)
        return die(signal.SIGPIPE) if status == BROKEN_PIPE else status


def _status_of(arguments: Sequence[str], report: Report) -> int:
    status: Any
    try:
        status = program.main(list(arguments), prog_name="envelope", standalone_mode=False, obj=report)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        status = error.exit_code
    except SystemExit as ended:  # of a completion
        status = ended.code
    except Exception as error:  # noqa: BLE001 - no traceback leaves the command
        status = report.failed(error)
    is_written = let_go_of_output()
    if isinstance(status, int) and status:
        return status
    return DONE if is_written else FAILED
