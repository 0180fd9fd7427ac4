"""The group of commands, and how errors become messages and exit codes."""

from __future__ import annotations

import io
import signal
import sys
import threading
import traceback
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import click

from gruspec import __version__
from gruspec.errors import GruspecError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

_COMMANDS = {
    "check": ("gruspec.cli.check", "Run the golden suite on implementations."),
    "convert": ("gruspec.cli.convert", "Convert the GRUs of a checkpoint or model file to another layout."),
    "diagnose": ("gruspec.cli.diagnose", "Name what an implementation does differently, or where weights come from."),
    "faults": ("gruspec.cli.faults", "Show which wrong GRUs the golden suite catches."),
    "generate": ("gruspec.cli.generate", "Write the golden data with proven values, or check it."),
    "inspect": ("gruspec.cli.inspect", "List every GRU of checkpoints and model files, and what each can become."),
    "list": ("gruspec.cli.listing", "List implementations and what they can do."),
    "parity": ("gruspec.cli.parity", "Compare implementations with each other."),
    "sweep": ("gruspec.cli.sweep", "Run implementations on fresh random cases."),
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


@contextmanager
def _terminable() -> Iterator[None]:
    """Let a request to terminate, or the end of the terminal, end a command as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    numbers = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


class _Commands(click.Group):
    """Commands by name, each imported when it is asked for."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*args, **kwargs)

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
            with _terminable():
                return super().invoke(ctx)
        except GruspecError as error:
            refusal = _Misuse if isinstance(error, UsageError) else _Refusal
            raise refusal(str(error)) from error
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            click.echo("gruspec: interrupted", err=True)
            ctx.exit(_INTERRUPTED)
        except Exception as error:  # noqa: BLE001  whatever it is, it is no verdict
            click.echo(traceback.format_exc(), err=True, nl=False)
            click.echo(f"gruspec: unexpected error: {type(error).__name__}: {error}", err=True)
            click.echo("This is a defect of gruspec; please report it with all of the above.", err=True)
            ctx.exit(_ENVIRONMENT)


_EXAMPLES = """\b
Examples:
  gruspec list                          what can be judged here
  gruspec check torch                   run the golden suite on one implementation
  gruspec check mypkg.adapter:backend   the same for code that is not registered
  gruspec diagnose mypkg.adapter:backend
                                        what it does differently
  gruspec sweep torch --minutes 10      fresh random cases, and a script for what fails
  gruspec parity torch jax              whether two implementations may be exchanged
  gruspec inspect model.h5              the GRUs of a file, and what they can become
  gruspec convert model.h5 model.pt --to torch
                                        the weights in another framework's layout
"""


@click.group(
    cls=_Commands, epilog=_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="gruspec")
def main() -> None:
    """Settle what a GRU is, and whether an implementation is one.

    Exit codes: 0 conforms, 1 does not, 2 wrong usage, 3 data or environment not as needed.
    """
