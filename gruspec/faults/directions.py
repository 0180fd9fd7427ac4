"""Family ``direction``: ``go_backwards`` ignored, applied to a part, or undone in the results."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gruspec.faults.endings import ending, with_state
from gruspec.faults.fault import Fault
from gruspec.faults.traits import STATE_SEEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from gruspec.faults.fault import Seams
    from gruspec.reference import Arguments
    from gruspec.spec import GRUSpec

    Arrays = dict[str, NDArray[Any]]


def direction_faults() -> Iterator[Fault]:
    """Yield the faults of the family."""
    yield Fault(
        id="direction/ignored",
        does="ignores go_backwards",
        clause="go-backwards",
        where=("backwards", "several-steps"),
        reports=("tvm PR#15829",),
        spec=lambda spec: replace(spec, go_backwards=False),
    )
    yield Fault(
        id="direction/inverted",
        does="goes backwards unless go_backwards is set",
        clause="go-backwards",
        where=("several-steps",),
        spec=lambda spec: replace(spec, go_backwards=not spec.go_backwards),
    )
    yield Fault(
        id="direction/mask-only",
        does="reverses the mask under go_backwards and not the inputs",
        clause="mask-order",
        where=("backwards", "several-steps"),
        definition={"sequence": _inputs_in_order},
    )
    yield Fault(
        id="direction/batch-reversed",
        does="reverses the batch axis of time-major inputs where it should reverse time",
        clause="time-major",
        where=("backwards", "time-major", "several-rows|several-steps"),
        spec=lambda spec: replace(spec, go_backwards=False) if spec.time_major else spec,
        arguments=_rows_of_inputs_reversed,
        returned=_rows_of_gradients_reversed,
    )
    yield from _results()


def _inputs_in_order(self: Any, usual: Any, inputs: Any, state: Any, mask: Any) -> Any:
    return usual(inputs[::-1] if self.spec.go_backwards else inputs, state, mask)


def _reverses_rows(spec: GRUSpec) -> bool:
    return spec.go_backwards and spec.time_major


def _rows_of_inputs_reversed(spec: GRUSpec, arguments: Arguments) -> Arguments:
    return replace(arguments, inputs=arguments.inputs[:, ::-1]) if _reverses_rows(spec) else arguments


def _rows_of_gradients_reversed(spec: GRUSpec, arrays: Arrays) -> Arrays:
    name = "gradients/inputs"
    return arrays | {name: arrays[name][:, ::-1]} if _reverses_rows(spec) and name in arrays else arrays


def _backwards(change: Callable[[Any, Any], Any]) -> Seams:
    return ending(lambda self, done: change(self, done) if self.spec.go_backwards else done)


def _results() -> Iterator[Fault]:
    yield Fault(
        id="direction/outputs-turned-back",
        does="returns the outputs of backward processing in the order of time",
        clause="go-backwards",
        where=("backwards", "sequences", "several-steps"),
        definition=_backwards(lambda _, done: replace(done, outputs=done.outputs[::-1])),
    )
    yield Fault(
        id="direction/last-output-of-the-last-timestep",
        does="returns as last output that of timestep T - 1, which go_backwards processes first",
        clause="last-output",
        where=("backwards", "last", "several-steps"),
        reports=("pvse PR#14",),
        definition=_backwards(lambda _, done: replace(done, last=done.outputs[0])),
    )
    yield Fault(
        id="direction/state-of-the-last-timestep",
        does="returns and records as state the output of timestep T - 1, which go_backwards processes first",
        clause="return-state",
        where=("backwards", STATE_SEEN, "several-steps|mask"),
        definition=_backwards(lambda self, done: with_state(self, done, done.outputs[0])),
    )
