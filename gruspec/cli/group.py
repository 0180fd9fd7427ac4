"""The group of commands, and how errors become messages and exit codes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import click

from gruspec import __version__
from gruspec.errors import GruspecError, UsageError

if TYPE_CHECKING:
    from typing import IO

_COMMANDS = {
    "check": ("gruspec.cli.check", "Run the golden suite on implementations."),
    "generate": ("gruspec.cli.generate", "Write the golden data with proven values, or check it."),
    "list": ("gruspec.cli.listing", "List implementations and what they can do."),
    "parity": ("gruspec.cli.parity", "Compare implementations with each other."),
}
_USAGE = 2
_ENVIRONMENT = 3
_INTERRUPTED = 130


class _Refusal(click.ClickException):
    """An error of gruspec as click shows it: the message, without a traceback."""

    exit_code = _ENVIRONMENT

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"gruspec: {self.format_message()}", err=file is None, file=file)


class _Misuse(_Refusal):
    """A command that cannot mean anything."""

    exit_code = _USAGE


class _Commands(click.Group):
    """Commands by name, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  as above
        if cmd_name not in _COMMANDS:
            return None
        module, _ = _COMMANDS[cmd_name]
        return cast("click.Command", import_module(module).command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  as above
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GruspecError as error:
            refusal = _Misuse if isinstance(error, UsageError) else _Refusal
            raise refusal(str(error)) from error
        except KeyboardInterrupt:
            click.echo("gruspec: interrupted", err=True)
            ctx.exit(_INTERRUPTED)


_EXAMPLES = """\b
Examples:
  gruspec list                          what can be judged here
  gruspec check torch                   run the golden suite on one implementation
  gruspec check mypkg.adapter:backend   the same for code that is not registered
  gruspec parity torch jax              whether two implementations may be exchanged
"""


@click.group(
    cls=_Commands, epilog=_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="gruspec")
def main() -> None:
    """Settle what a GRU is, and whether an implementation is one.

    Exit codes: 0 conforms, 1 does not, 2 wrong usage, 3 data or environment not as needed.
    """
