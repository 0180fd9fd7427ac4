"""Functions run in a child process with limits, for libraries that a damaged file can crash, hang or fill memory with.

The child runs ``module:function`` with arguments that are JSON and answers with JSON. Whatever it ends by is an error
that names the file.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gruspec.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROCESSOR_SECONDS = 2
_BYTES_PER_SECOND = 64 << 20
_PATIENCE = 15
_MEMORY = 32 << 20
_MEMORY_PER_BYTE = 4
_LONGEST_MESSAGE = 300
_START = "from gruspec.files.isolation import answer; answer()"
_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "HDF5_USE_FILE_LOCKING": "FALSE",
}
_OWN_ERROR, _ANSWER = "error", "answer"


def isolated(
    function: str,
    path: Path,
    arguments: Mapping[str, Any],
    *,
    output_bytes: int = 0,
    title: Path | None = None,
    size: int | None = None,
) -> Any:
    """Run a function on a file in a child process, with limits that follow from the size of the file.

    It has 2 seconds of processor time, and one more for every 64 MiB of the file; 32 MiB of memory beyond what it
    starts with, and 4 times the file. Where the operating system has no such limits, the time on the clock alone is
    limited.

    Parameters
    ----------
    function
        ``"module:function"``, importable in a new process; it is called with ``arguments`` by name.
    path
        The file, for the limits, and for messages unless ``title`` names another.
    arguments
        JSON.
    output_bytes
        How long the files that the child writes may become.
    title
        What messages name, where that is not the file.
    size
        Bytes of the file; of all its files together for a folder.

    Returns
    -------
    Any
        What the function returned, through JSON.

    Raises
    ------
    FileError
        If the function raises anything, or the child crashes, takes too long or wants too much memory.
    """
    size = path.stat().st_size if size is None else size
    seconds = _PROCESSOR_SECONDS + size // _BYTES_PER_SECOND
    memory = _MEMORY + _MEMORY_PER_BYTE * size
    title = title or path
    request = {
        "function": function,
        "arguments": dict(arguments),
        "limits": {"seconds": seconds, "memory": memory, "output": output_bytes},
    }
    try:
        ended = subprocess.run(  # noqa: S603  this interpreter, and a text of this module
            [sys.executable, "-P", "-c", _START],
            input=json.dumps(request).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | _ENVIRONMENT,
            timeout=_PATIENCE * seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FileError(f"{title}: damaged: reading it took more than {_PATIENCE * seconds} s") from None
    return _answered(title, ended, seconds)


def _answered(path: Path, ended: subprocess.CompletedProcess[bytes], seconds: int) -> Any:
    with suppress(ValueError):
        reply = json.loads(ended.stdout)
        if _ANSWER in reply:
            return reply[_ANSWER]
        raise FileError(f"{path}: {reply[_OWN_ERROR]}")
    number = -ended.returncode
    if number == getattr(signal, "SIGXCPU", None):
        raise FileError(f"{path}: damaged: reading it took more than {seconds} s")
    way = f"crashed (signal {number})" if number > 0 else f"ended without an answer (exit code {ended.returncode})"
    raise FileError(f"{path}: damaged: the process that read it {way}")


def answer() -> None:
    """Be the child: read a request from standard input, run it within its limits, write the answer, and end."""
    stream = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    module, _, name = request["function"].partition(":")
    function = getattr(import_module(module), name)
    _limit(**request["limits"])
    try:
        reply = json.dumps({_ANSWER: function(**request["arguments"])})
    except MemoryError:
        reply = _failure(f"damaged: reading it takes more than {request['limits']['memory'] >> 20} MiB")
    except FileError as error:
        reply = _failure(str(error))
    except Exception as error:  # noqa: BLE001  whatever a library raises at a damaged file
        reply = _failure(f"damaged: {type(error).__name__}: {str(error)[:_LONGEST_MESSAGE]}")
    with stream:
        stream.write(reply.encode())
    os._exit(0)


def _failure(message: str) -> str:
    return json.dumps({_OWN_ERROR: message})


def _limit(*, seconds: int, memory: int, output: int) -> None:
    """Limit this process, where the operating system can: processor time, memory beyond what it has, files, cores."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (output, output))
    with suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        total = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (total, total))
