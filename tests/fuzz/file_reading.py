"""A process that reads files: every GRU of each and every tensor, with the memory that this takes.

Each line of standard input names a file, and says whether it is whole, so that what reading it takes counts as idle;
each line of standard output says what came of it, as JSON. Only the parent can tell of a crash or a hang.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
import warnings
from pathlib import Path
from typing import IO

from gruspec.errors import GruspecError
from gruspec.files import open_file

_MOST = 8 * 2**30
"""What the process may allocate at all, so that a runaway reader fails and the machine does not."""


def main() -> None:
    """Read files of the format that is named on the command line, until there are no more."""
    resource.setrlimit(resource.RLIMIT_DATA, (_MOST, _MOST))
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    children = 0
    for line in sys.stdin:
        path, whole = json.loads(line)
        answer(Path(path), sys.argv[1], children, answers)
        if whole:
            children = _children()


def answer(path: Path, name: str, children: int, answers: IO[str]) -> None:
    """Read a file and say what came of it.

    Parameters
    ----------
    path, name
        The file, and the name of its format.
    children
        The largest size of any child that has read a whole file.
    answers
        Where to say it.
    """
    idle = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    outcome, detail = outcome_of(path, name)
    memory = max(_status("VmHWM") - idle, _children() - children)
    answers.write(json.dumps({"outcome": outcome, "detail": detail, "memory": memory}) + "\n")
    answers.flush()


def outcome_of(path: Path, name: str) -> tuple[str, str]:
    """Return ``"read"``, ``"refused"``, or what must not be: ``"inconsistent"`` or ``"exception"``."""
    try:
        with open_file(path, format=name) as checkpoint:
            list(checkpoint.grus)
            for key, tensor in checkpoint.tensors.items():
                values = tensor.read()
                if (values.shape, values.dtype) != (tensor.shape, tensor.dtype):
                    declared = f"{tensor.shape} {tensor.dtype}"
                    return "inconsistent", f"{key!r}: declared {declared}, read {values.shape} {values.dtype}"
                values.tobytes()
    except GruspecError as error:
        return "refused", f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001  whatever it is, it is a finding
        return "exception", f"{_place(error)}: {type(error).__name__}: {error}"
    return "read", ""


def _place(error: BaseException) -> str:
    """Return the innermost line of gruspec that an error came through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "gruspec" in frame.filename]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "outside gruspec"


def _status(name: str) -> int:
    """Return a size of this process in bytes (Linux, proc(5): VmHWM starts anew after 5 into clear_refs)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return 1024 * int(value.split()[0])
    raise LookupError(name)


def _children() -> int:
    """Return the largest size that any child that has ended ever had."""
    return 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


if __name__ == "__main__":
    main()
