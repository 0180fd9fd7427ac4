"""Run one case on an implementation and record what it does. This side of the wire knows no expected value."""

from __future__ import annotations

import traceback
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from gruspec.conformance.answers import answer
from gruspec.conformance.arrays import dtype_of
from gruspec.conformance.replies import Reply, Step
from gruspec.errors import DeviceUnavailable, MissingDependency, Unsupported
from gruspec.spec import GRUSpec, WeightSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gruspec.backend import Backend, Layer, RegularizingBackend
    from gruspec.conformance.wire import Frame


def perform(backend: Backend, request: Frame, *, dtype: str, device: str) -> Reply:
    """Prepare a layer and perform the operations of a case in order.

    An operation that raises does not end the case, for it may be one that must be refused; one that the
    implementation declines does.

    Parameters
    ----------
    backend
        The implementation.
    request
        From :func:`gruspec.conformance.replies.case_message`.
    dtype, device
        What to run in and on; the float64 arrays of the case are cast to ``dtype``.

    Raises
    ------
    MissingDependency, DeviceUnavailable
        If the implementation, or ml_dtypes for bfloat16, cannot be used here at all.
    """
    try:
        kind = dtype_of(dtype)
    except MissingDependency:
        if dtype in backend.capabilities().dtypes:
            raise
        return Reply((Step("unsupported", (f"dtype={dtype!r}",)),))
    arrays = {name: _cast(array, kind) for name, array in request.arrays.items()}
    spec = GRUSpec.from_dict(request.header["spec"])
    weights = {name: arrays[f"weights/{name}"] for name in request.header["weights"]}
    outputs: dict[str, NDArray[Any]] = {}
    begin = perf_counter()
    try:
        layer = _prepare(backend, request, spec, weights, dtype=dtype, device=device)
    except Exception as error:  # noqa: BLE001  any exception is an answer of the implementation
        return Reply((_failure(error),), seconds=perf_counter() - begin)
    steps, paths = [Step("returned")], dict[str, None]()
    for index, operation in enumerate(request.header["operations"]):
        given = {name.partition("/")[2]: array for name, array in arrays.items() if name.startswith(f"{index}/")}
        try:
            if operation["op"] == "reset_states":
                layer.reset_states(given.get("states"))
                step = Step("returned")
            else:
                step, found = answer(layer, operation, given, weights, losses=request.header["settings"] is not None)
                outputs |= {f"{index}/{name}": array for name, array in found.items()}
        except Exception as error:  # noqa: BLE001  as above
            step = _failure(error)
        steps.append(step)
        if path := getattr(layer, "path", None):
            paths[str(path)] = None
        if step.how == "unsupported":
            break
    return Reply(tuple(steps), outputs, perf_counter() - begin, paths=tuple(paths))


def _cast(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    return array.copy() if array.dtype == np.bool_ else array.astype(dtype)


def _prepare(
    backend: Backend, request: Frame, spec: GRUSpec, weights: Mapping[str, NDArray[Any]], *, dtype: str, device: str
) -> Layer:
    settings = request.header["settings"]
    if settings is None:
        return backend.prepare(spec, weights, dtype=dtype, device=device)
    if not backend.capabilities().losses:
        raise Unsupported("losses")
    regularizing = cast("RegularizingBackend", backend)
    return regularizing.prepare(spec, weights, dtype=dtype, device=device, settings=WeightSettings(**settings))


def _failure(error: Exception) -> Step:
    if isinstance(error, (MissingDependency, DeviceUnavailable)):
        raise error
    if isinstance(error, Unsupported):
        return Step("unsupported", tuple(map(str, error.reasons)))
    return Step(
        "raised",
        classes=tuple(cls.__name__ for cls in type(error).__mro__),
        text="".join(traceback.format_exception_only(error)).strip(),
        traceback="".join(traceback.format_exception(error)),
    )
