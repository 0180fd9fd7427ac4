"""The two GRU primitives of oneDNN, through the C interface of version 3 (``oneapi/dnnl/dnnl.h``).

oneDNN is a library without a Python module. It is looked for by its usual names, and in the folder of libraries of this
environment, where the wheels put it.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gruspec.backend import NativeResult
from gruspec.errors import MissingDependency, Unsupported

from .admission import DeclaredGRU

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .admission import Run

_NAMES = ("libdnnl.so.3", "libdnnl.3.dylib", "dnnl.dll")
_CPU, _INFERENCE, _FLOAT32, _DEFAULT_STREAM = 1, 96, 3, 1
_DIRECTIONS = {1: 1, 2: 3}
"""``dnnl_unidirectional_left2right`` and ``dnnl_bidirectional_concat`` by the number of directions."""
_ARGUMENTS = {
    "src_layer": 1,
    "src_iter": 2,
    "weights_layer": 33,
    "weights_iter": 34,
    "bias": 41,
    "dst_layer": 17,
    "dst_iter": 18,
}
"""``DNNL_ARG_...`` of each argument, in the order of descriptors of a primitive."""
_STATUS = {1: "out of memory", 2: "invalid arguments", 3: "not implemented"}


class _Argument(ctypes.Structure):
    _fields_ = (("number", ctypes.c_int), ("memory", ctypes.c_void_p))


class Primitives(DeclaredGRU):
    """The primitive ``gru`` where the reset gate is applied before, ``lbr_gru`` where after."""

    layout: ClassVar = "onednn"
    title: ClassVar = "the GRU primitives of oneDNN"
    modules: ClassVar = ()
    dtypes: ClassVar = ("float32",)

    def versions(self) -> Mapping[str, str]:
        """Return the version of the library.

        Raises
        ------
        MissingDependency
            If it is not found.
        """
        function = _library().dnnl_version
        function.restype = ctypes.POINTER(ctypes.c_int * 3)
        return {"onednn": ".".join(map(str, function().contents))}

    def _require_modules(self) -> None:
        _library()

    def _run(self, run: Run) -> NativeResult:
        batch, timesteps, _ = run.inputs.shape
        sizes = run.sizes
        stack = (sizes.layers, sizes.directions, batch, sizes.units)
        arrays = {
            "src_layer": run.inputs.swapaxes(0, 1),
            "src_iter": run.initial_state.reshape(stack),
            **run.arrays,
            "dst_layer": np.empty((timesteps, batch, sizes.directions * sizes.units), np.float32),
            "dst_iter": np.empty(stack, np.float32),
        }
        arrays = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
        execute("lbr_gru" if run.reset_after else "gru", _DIRECTIONS[sizes.directions], arrays)
        return NativeResult(
            arrays["dst_layer"].swapaxes(0, 1).copy(), arrays["dst_iter"].reshape(-1, batch, sizes.units)
        )


def execute(primitive: str, direction: int, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Run a primitive on arrays of float32, C-contiguous, by the names of its arguments; results are written there.

    Raises
    ------
    Unsupported
        If the library has no implementation for these.
    """
    library = _library()
    with ExitStack() as stack:

        def made(kind: str, function: str, *arguments: Any) -> ctypes.c_void_p:
            handle = ctypes.c_void_p()
            status = getattr(library, f"dnnl_{function}")(ctypes.byref(handle), *arguments)
            if status:
                raise Unsupported(f"{function} of oneDNN: {_STATUS.get(status, status)}")
            stack.callback(getattr(library, f"dnnl_{kind}_destroy"), handle)
            return handle

        engine = made("engine", "engine_create", _CPU, ctypes.c_size_t(0))
        stream = made("stream", "stream_create", engine, _DEFAULT_STREAM)
        descriptors = {
            name: made("memory_desc", "memory_desc_create_with_strides", *_described(values))
            for name, values in arrays.items()
        }
        description = made(
            "primitive_desc",
            f"{primitive}_forward_primitive_desc_create",
            engine,
            _INFERENCE,
            direction,
            *(descriptors.get(name) for name in _ARGUMENTS),
            0,
            None,
        )
        handle = made("primitive", "primitive_create", description)
        memories = [
            _Argument(_ARGUMENTS[name], made("memory", "memory_create", descriptors[name], engine, _address(values)))
            for name, values in arrays.items()
        ]
        given = (_Argument * len(memories))(*memories)
        for status in (
            library.dnnl_primitive_execute(handle, stream, len(memories), given),
            library.dnnl_stream_wait(stream),
        ):
            if status:
                raise Unsupported(f"{primitive} of oneDNN: {_STATUS.get(status, status)}")


def _described(values: NDArray[Any]) -> tuple[Any, ...]:
    numbers = ctypes.c_int64 * values.ndim
    strides = (stride // values.itemsize for stride in values.strides)
    return values.ndim, numbers(*values.shape), _FLOAT32, numbers(*strides)


def _address(values: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(values.ctypes.data)


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    folder = Path(sys.prefix) / ("Library/bin" if sys.platform == "win32" else "lib")
    found = ctypes.util.find_library("dnnl")
    for name in (*(str(folder / name) for name in _NAMES), *_NAMES, *([found] if found else [])):
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        if hasattr(library, "dnnl_lbr_gru_forward_primitive_desc_create"):
            return library
    raise MissingDependency("oneDNN: no libdnnl of version 3 is found; pip install onednn-cpu-gomp brings one on Linux")
