"""Family ``results``: wrong steps taken for outputs and state, axes exchanged, other shapes and dtypes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.faults.endings import ending, with_state
from gruspec.faults.fault import Fault
from gruspec.faults.traits import STATE_SEEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import DTypeLike, NDArray

    from gruspec.faults.fault import Seams
    from gruspec.reference import Arguments
    from gruspec.spec import GRUSpec

    Array = NDArray[Any]
    Arrays = dict[str, Array]


def result_faults() -> Iterator[Fault]:
    """Yield the faults of the family."""
    yield from _states()
    yield from _last_outputs()
    yield from _sequences()
    yield from _axes()
    yield from _shapes()
    yield from _dtypes()


def _one_early(done: Any) -> Any:
    return done.outputs[-2] if len(done.outputs) > 1 else None


def _state_one_early(self: Any, done: Any) -> Any:
    early = _one_early(done)
    return done if early is None else with_state(self, done, early)


def _last_one_early(_: Any, done: Any) -> Any:
    early = _one_early(done)
    return done if early is None else replace(done, last=early)


def _states() -> Iterator[Fault]:
    yield Fault(
        id="results/state-is-the-last-output",
        does="returns and records the last output as the state",
        clause="return-state",
        where=(STATE_SEEN, "masked-end", "masked-row|zero-output"),
        definition=ending(lambda self, done: with_state(self, done, done.last)),
    )
    yield Fault(
        id="results/state-one-step-early",
        does="returns and records as state the output of the last timestep but one",
        clause="return-state",
        where=(STATE_SEEN, "several-steps"),
        definition=ending(_state_one_early),
    )
    yield Fault(
        id="results/state-of-the-first-row",
        does="returns the state of the first row for all rows",
        clause="return-state",
        where=("state", "several-rows"),
        returned=_on("state", lambda _, state: np.repeat(state[:1], len(state), axis=0)),
    )


def _last_outputs() -> Iterator[Fault]:
    yield Fault(
        id="results/last-output-is-the-state",
        does="returns the state as last output, which under a mask is another",
        clause="last-output",
        where=("last", "masked-end", "masked-row|zero-output"),
        definition=ending(lambda _, done: replace(done, last=done.state)),
    )
    yield Fault(
        id="results/last-output-one-step-early",
        does="returns as last output that of the last timestep but one",
        clause="last-output",
        where=("last", "several-steps"),
        definition=ending(_last_one_early),
    )
    yield Fault(
        id="results/last-output-is-the-first",
        does="returns as last output that of the timestep that is processed first",
        clause="last-output",
        where=("last", "several-steps"),
        definition=ending(lambda _, done: replace(done, last=done.outputs[0])),
    )
    yield Fault(
        id="results/last-output-summed",
        does="returns as last output the sum of all outputs",
        clause="last-output",
        where=("last", "several-steps"),
        definition=ending(lambda _, done: replace(done, last=sum(done.outputs[1:], done.outputs[0]))),
    )


def _delayed(_: Any, usual: Any, inputs: Any, state: Any, mask: Any) -> Any:
    done = usual(inputs, state, mask)
    return replace(done, outputs=[state, *done.outputs[:-1]]) if inputs else done


def _sequences() -> Iterator[Fault]:
    yield Fault(
        id="results/last-output-at-every-step",
        does="returns the last output at every timestep of a sequence",
        clause="return-sequences",
        where=("sequences", "several-steps"),
        definition=ending(lambda _, done: replace(done, outputs=[done.last] * len(done.outputs))),
    )
    yield Fault(
        id="results/outputs-before-the-step",
        does="returns a sequence of the states before each timestep, so that it begins with the initial state",
        clause="timesteps",
        where=("sequences",),
        definition={"sequence": _delayed},
    )
    for name, does, where, given in (
        ("sequence-not-returned", "returns the last output alone under return_sequences", "sequences", False),
        ("sequence-always-returned", "returns the sequence without return_sequences", "last", True),
    ):
        yield Fault(
            id=f"results/{name}", does=does, clause="return-sequences", where=(where,), layer=_as_if_sequences(given)
        )


def _as_if_sequences(given: bool) -> Seams:  # noqa: FBT001  the value of the argument that it stands for
    def call(_: Any, usual: Any, arguments: Any) -> Any:
        result = usual(arguments)
        return replace(result, spec=replace(result.spec, return_sequences=given))

    return {"call": call}


def _inputs_not_transposed(spec: GRUSpec, arguments: Arguments) -> Arguments:
    inputs = arguments.inputs
    if not spec.time_major or inputs.ndim != 3:
        return arguments
    timesteps, batch, size = inputs.shape
    return replace(arguments, inputs=np.ascontiguousarray(inputs).reshape(batch, timesteps, size).swapaxes(0, 1))


def _axes() -> Iterator[Fault]:
    yield Fault(
        id="results/inputs-not-transposed",
        does="reads the memory of time-major inputs as if they were batch-major",
        clause="time-major",
        where=("time-major", "several-rows", "several-steps"),
        arguments=_inputs_not_transposed,
    )
    yield Fault(
        id="results/time-major-ignored",
        does="takes the first axis of time-major inputs for the batch",
        clause="time-major",
        where=("time-major",),
        spec=lambda spec: replace(spec, time_major=False),
    )
    yield Fault(
        id="results/time-major-always",
        does="takes the first axis of inputs for time unless time_major is set",
        clause="time-major",
        where=("batch-major",),
        spec=lambda spec: replace(spec, time_major=True),
    )
    yield Fault(
        id="results/outputs-not-transposed-back",
        does="returns a sequence with the batch first though it is time-major",
        clause="time-major",
        where=("time-major", "sequences"),
        returned=_on("outputs", lambda spec, array: array.swapaxes(0, 1) if _time_first(spec) else array),
    )
    yield Fault(
        id="results/outputs-time-first",
        does="returns a sequence with time first though it is batch-major",
        clause="time-major",
        where=("batch-major", "sequences"),
        returned=_on(
            "outputs",
            lambda spec, array: array.swapaxes(0, 1) if spec.return_sequences and not spec.time_major else array,
        ),
    )
    yield Fault(
        id="results/outputs-in-other-memory-order",
        does="returns a time-major sequence in the memory order of a batch-major one",
        clause="time-major",
        where=("time-major", "sequences", "several-rows", "several-steps"),
        returned=_on(
            "outputs",
            lambda spec, array: array.swapaxes(0, 1).reshape(array.shape) if _time_first(spec) else array,
        ),
    )


def _time_first(spec: GRUSpec) -> bool:
    return spec.time_major and spec.return_sequences


def _on(name: str, change: Callable[[GRUSpec, Array], Array]) -> Callable[[GRUSpec, Arrays], Arrays]:
    """Change the outputs, or the state where it is returned."""

    def returned(spec: GRUSpec, arrays: Arrays) -> Arrays:
        if name == "state" and not spec.return_state:
            return arrays
        return arrays | {name: change(spec, arrays[name])}

    return returned


def _shapes() -> Iterator[Fault]:
    shapes: tuple[tuple[str, str, str, tuple[str, ...], tuple[str, ...], str, Any], ...] = (
        (
            "outputs-flattened",
            "returns the outputs of a row one after another in a single axis",
            "return-sequences",
            ("sequences",),
            ("candle#1723", "candle PR#2542"),
            "outputs",
            lambda spec, array: (
                array.reshape(len(array), array.shape[1] * array.shape[2]) if spec.return_sequences else array
            ),
        ),
        (
            "outputs-with-an-axis",
            "returns outputs with another axis in front, as of layers",
            "symbols",
            (),
            (),
            "outputs",
            lambda _, array: array[None],
        ),
        (
            "state-with-an-axis",
            "returns the state with another axis in front, as of layers or directions",
            "return-state",
            ("state",),
            (),
            "state",
            lambda _, array: array[None],
        ),
        (
            "state-transposed",
            "returns the state as (u, B)",
            "return-state",
            ("state", "several-rows|several-units|no-rows"),
            (),
            "state",
            lambda _, array: array.T,
        ),
        (
            "state-without-batch",
            "returns the rows of the state apart, so that the state that is taken is that of the first row alone",
            "return-state",
            ("state",),
            ("keras#20173",),
            "state",
            lambda _, array: array[0] if len(array) else array.sum(axis=0),
        ),
    )
    for name, does, clause, where, reports, array, change in shapes:
        yield Fault(
            id=f"results/{name}",
            does=does,
            clause=clause,
            where=where,
            reports=reports,
            returned=_on(array, change),
        )
    yield Fault(
        id="results/state-is-the-sequence",
        does="returns the sequence of outputs in the place of the state",
        clause="return-state",
        where=("state", "sequences"),
        reports=("keras#10661",),
        returned=lambda spec, arrays: (
            arrays | {"state": arrays["outputs"]} if spec.return_state and spec.return_sequences else arrays
        ),
    )


def _dtypes() -> Iterator[Fault]:
    kinds: tuple[tuple[str, DTypeLike], ...] = (("float32", np.float64), ("float64", np.float32))
    for dtype, other in kinds:
        for array, where in (("outputs", ()), ("state", ("state",))):
            name = np.dtype(other).name
            yield Fault(
                id=f"results/{array}-of-{dtype}-in-{name}",
                does=f"returns {'its outputs' if array == 'outputs' else 'the state'} in {name} from a {dtype} layer",
                clause="verdict",
                where=where,
                dtypes=(dtype,),
                returned=_on(array, _cast(dtype, other)),
            )


def _cast(dtype: str, other: DTypeLike) -> Callable[[GRUSpec, Array], Array]:
    return lambda _, array: array.astype(other) if array.dtype == np.dtype(dtype) else array
