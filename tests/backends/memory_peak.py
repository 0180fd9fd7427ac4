"""The most memory that this process has had (Linux, proc(5))."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def reset_peak() -> None:
    """Let the peak be what there is now."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak() -> int:
    """Return the most memory since the last reset, in bytes."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    return int(fields["VmHWM"].split()[0]) * 1024
