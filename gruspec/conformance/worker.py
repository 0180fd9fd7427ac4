"""The process in which one implementation runs: ``python -m gruspec.conformance.worker``.

It is started and spoken to by :mod:`gruspec.conformance.process` only. The first message says which implementation to
load; every further one is a case, each dtype of which is announced before it is tried, so that the case that ends the
process is known.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import traceback
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gruspec.backend import Capabilities, Registration
from gruspec.conformance.perform import perform
from gruspec.conformance.wire import read_frame, write_frame
from gruspec.errors import DeviceUnavailable, GruspecError, PluginError, listed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

    from gruspec.backend import Backend


def main() -> None:
    """Load an implementation and run cases until the requests end."""
    requests, replies = _private_streams()
    faulthandler.enable()
    setup = read_frame(requests)
    if setup is None:
        return
    try:
        backend, ready = _load(setup.header)
    except GruspecError as error:
        write_frame(replies, _environment(error))
        return
    write_frame(replies, ready)
    while (request := read_frame(requests)) is not None:
        for dtype in request.header["dtypes"]:
            write_frame(replies, {"kind": "started", "dtype": dtype})
            try:
                reply = perform(backend, request, dtype=dtype, device=setup.header["device"])
            except GruspecError as error:
                write_frame(replies, _environment(error))
                return
            write_frame(replies, {"kind": "finished", "dtype": dtype} | reply.header(), reply.outputs)


def _private_streams() -> tuple[BinaryIO, BinaryIO]:
    """Take the pipes for the protocol alone; what the implementation prints goes where its errors go."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    return requests, replies


def _load(setup: Mapping[str, Any]) -> tuple[Backend, dict[str, Any]]:
    sys.path[:] = setup["path"]
    name, device = setup["name"], setup["device"]
    backend = Registration(name, setup["reference"], setup["distribution"]).load_runnable()
    capabilities = backend.capabilities()
    if device not in capabilities.devices:
        raise DeviceUnavailable(f"{name} has no {device}: it runs on {listed(capabilities.devices)}")
    try:
        versions = {str(package): str(version) for package, version in backend.versions().items()}
    except GruspecError:
        raise
    except Exception as error:
        raise PluginError(f"{name}: versions() raised\n{traceback.format_exc()}") from error
    declared = {field: value for field, value in asdict(capabilities).items() if field in Capabilities.__annotations__}
    return backend, {"kind": "ready", "capabilities": declared, "versions": versions}


def _environment(error: GruspecError) -> dict[str, Any]:
    return {"kind": "environment", "class": type(error).__name__, "message": str(error)}


if __name__ == "__main__":
    main()
