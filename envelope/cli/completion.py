"""``envelope completion``: the script by which a shell completes commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

__all__ = ["command"]

_EXAMPLES = """\b
Examples:
  eval "$(envelope completion bash)"
  envelope completion fish > ~/.config/fish/completions/envelope.fish
"""


@click.command("completion", epilog=_EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, /, shell: str) -> None:
    """Print the completion script of a shell.

    Bash needs version 4.4 or later. For zsh, put the eval into ~/.zshrc behind compinit.
    """
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click has these three
    completion = kind(context.find_root().command, {}, "envelope", "_ENVELOPE_COMPLETE")
    click.echo(completion.source_template % completion.source_vars())
