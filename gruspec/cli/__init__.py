"""The command line: ``gruspec``. Each command is imported when it is named; none imports NumPy before it runs."""

from gruspec.cli.group import main

__all__ = ["main"]
