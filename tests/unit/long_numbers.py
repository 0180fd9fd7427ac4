"""A GRU of single numbers of 1000 bits, row by row and step by step, which shares nothing with the definition."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import mpmath
import numpy as np

from gruspec.cases import ResetStates
from gruspec.cases.model import GRADIENTS, gradient_names
from gruspec.spec import acting_dropout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from gruspec import GRUSpec
    from gruspec.cases import Call, Case

    Objects = NDArray[Any]

mp = mpmath.MPContext()
mp.prec = 1000
STEP, NOTHING = mp.mpf(2) ** -500, mp.mpf(2) ** -400

Row = list[Any]
Matrix = list[Row]


def relu(x: Any) -> Any:
    return x if mp.isnan(x) or x > 0 else mp.zero


def hard_sigmoid(x: Any) -> Any:
    line = (x + mp.mpf("2.5")) / 5
    return line if mp.isnan(line) else min(max(line, mp.zero), mp.one)


FUNCTIONS = {
    "tanh": mp.tanh,
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "hard_sigmoid": hard_sigmoid,
    "relu": relu,
    "linear": lambda x: x,
}


class Layer:
    """A GRU of one row at a time, written from the equations of the specification.

    Weights, and the arrays of calls, are of floats or of long numbers.
    """

    def __init__(self, spec: GRUSpec, weights: Mapping[str, Any]) -> None:
        self.spec = spec
        self.kernel = numbers(weights["kernel"])
        self.recurrent_kernel = numbers(weights["recurrent_kernel"])
        zeros = [mp.zero] * (3 * spec.units)
        self.bias, self.recurrent_bias = zeros, zeros
        if spec.use_bias:
            rows = numbers(np.atleast_2d(weights["bias"]))
            self.bias, self.recurrent_bias = rows if spec.reset_after else (rows[0], zeros)

    def step(self, x: Row, h: Row, dropped: Dropped) -> Row:
        u, spec = self.spec.units, self.spec
        gate, candidate = FUNCTIONS[spec.recurrent_activation], FUNCTIONS[spec.activation]
        xs, hs = ([times(row, mask) for mask in masks] for row, masks in ((x, dropped.inputs), (h, dropped.recurrent)))
        both = [
            dot(xs[j // u], self.kernel, j)
            + self.bias[j]
            + dot(hs[j // u], self.recurrent_kernel, j)
            + self.recurrent_bias[j]
            for j in range(2 * u)
        ]
        z, r = [gate(total) for total in both[:u]], [gate(total) for total in both[u:]]
        new = []
        for j in range(u):
            k = 2 * u + j
            if spec.reset_after:
                recurrent = r[j] * (dot(hs[2], self.recurrent_kernel, k) + self.recurrent_bias[k])
            else:
                recurrent = dot(times(r, hs[2]), self.recurrent_kernel, k)
            c = candidate(dot(xs[2], self.kernel, k) + self.bias[k] + recurrent)
            new.append(z[j] * h[j] + (1 - z[j]) * c)
        return new

    def row(self, x: Matrix, valid: list[bool], h: Row, dropped: Dropped) -> tuple[Matrix, Row]:
        """Return the outputs of a row in the order of processing, and its state."""
        zeros = [mp.zero] * self.spec.units
        held, outputs = zeros, []
        steps = reversed(range(len(x))) if self.spec.go_backwards else range(len(x))
        for t in steps:
            if valid[t]:
                held = h = self.step(x[t], h, dropped)
            outputs.append(zeros if self.spec.zero_output_for_mask and not valid[t] else held)
        return outputs, h

    def call(self, call: Call, recorded: Matrix | None = None) -> dict[str, Objects]:
        """Return outputs and state of a call, as they are laid out, of long numbers."""
        swapped = (1, 0) if self.spec.time_major else (0, 1)
        inputs = call.inputs.transpose(*swapped, 2)
        valid = (
            np.ones(inputs.shape[:2], bool)
            if call.mask is None
            else call.mask.reshape(call.mask.shape[:2]).transpose(*swapped)
        )
        zeros = [[mp.zero] * self.spec.units] * len(inputs)
        start = numbers(call.initial_state) if call.initial_state is not None else recorded or zeros
        rows = [
            self.row(numbers(x), v.tolist(), h, Dropped(self.spec, call, b))
            for b, (x, v, h) in enumerate(zip(inputs, valid, start, strict=True))
        ]
        sequence = shaped([outputs for outputs, _ in rows], (*inputs.shape[:2], self.spec.units))
        return {
            "outputs": sequence.transpose(*swapped, 2) if self.spec.return_sequences else last(sequence),
            "state": shaped([state for _, state in rows], (len(inputs), self.spec.units)),
        }

    def calls(self, case: Case) -> Iterator[tuple[Call, Matrix | None, dict[str, Objects]]]:
        """Yield each call with the state that was recorded before it, and what it gives."""
        recorded = None
        for call in case.calls:
            if isinstance(call, ResetStates):
                recorded = None if call.states is None else numbers(call.states)
                continue
            found = self.call(call, recorded)
            yield call, recorded, found
            recorded = found["state"].tolist() if self.spec.stateful else None

    def pairing(self, call: Call, recorded: Matrix | None) -> Any:
        """Return the sum of cotangents times results, which gradients are the derivatives of."""
        found, cotangents = self.call(call, recorded), call.cotangents or {}
        return sum(((array * found[name]).sum() for name, array in cotangents.items()), mp.zero)

    def gradients(self, case: Case, call: Call, recorded: Matrix | None) -> dict[str, Objects]:
        """Return the derivatives of the pairing by each argument, as quotients of differences: off by about 2^-500."""
        found: dict[str, Objects] = {}
        for name in gradient_names(case, call):
            array = case.weights[name] if name in case.weights else getattr(call, name)
            slopes = found[f"{GRADIENTS}{name}"] = np.empty(array.shape, dtype=object)
            for index in np.ndindex(array.shape):
                moved = array.astype(object)
                moved[index] += STEP
                changed: Any = {name: moved}
                beside = Layer(self.spec, {**case.weights, **changed}) if name in case.weights else self
                at = call if name in case.weights else replace(call, **changed)
                slope = (beside.pairing(at, recorded) - self.pairing(call, recorded)) / STEP
                slopes[index] = slope if abs(slope) > NOTHING else mp.zero
        return found

    def results(self, case: Case) -> Iterator[dict[str, NDArray[np.float64]]]:
        """Yield all that each call of a case gives, rounded to float64 once."""
        for call, recorded, found in self.calls(case):
            arrays = found | self.gradients(case, call, recorded)
            if case.settings is not None:
                arrays["losses"] = losses(case, found)
            yield {name: rounded(array) for name, array in arrays.items()}


def losses(case: Case, found: Mapping[str, Objects]) -> Objects:
    """Return the losses of a call by their clause."""
    names = ("outputs", "state") if case.spec.return_state else ("outputs",)
    penalized = [("activity", found[name], len(found[name])) for name in names]
    weights = (("kernel", "kernel"), ("recurrent", "recurrent_kernel"), ("bias", "bias"))
    penalized += [(place, case.weights[name], 1) for place, name in weights if name in case.weights]
    totals = []
    for place, array, divisor in penalized:
        regularizer: Any = getattr(case.settings, f"{place}_regularizer")
        if regularizer is not None:
            l1, l2 = (mp.mpf(regularizer["config"][factor]) for factor in ("l1", "l2"))
            totals.append(sum((l1 * abs(w) + l2 * w * w for w in map(mp.mpf, array.flat)), mp.zero) / divisor)
    return np.array(totals, dtype=object)


class Dropped:
    """The dropout masks of a row by kind and gate, of ones where none acts."""

    def __init__(self, spec: GRUSpec, call: Call, row: int) -> None:
        acting = acting_dropout(spec, training=call.training)
        sizes = {"inputs": call.inputs.shape[2], "recurrent": spec.units}
        masks = call.dropout_masks or {}
        self.inputs, self.recurrent = (
            [numbers(masks[kind][:, row])[min(gate, len(masks[kind]) - 1)] for gate in range(3)]
            if kind in acting
            else [[mp.one] * size] * 3
            for kind, size in sizes.items()
        )


def numbers(array: Objects) -> Matrix:
    return [[mp.mpf(value) for value in row] for row in array.tolist()]


def times(row: Row, other: Row) -> Row:
    return [a * b for a, b in zip(row, other, strict=True)]


def dot(vector: Row, matrix: Matrix, column: int) -> Any:
    return sum((value * row[column] for value, row in zip(vector, matrix, strict=True)), mp.zero)


def last(sequence: Objects) -> Objects:
    batch, timesteps, units = sequence.shape
    return sequence[:, -1] if timesteps else np.full((batch, units), mp.zero)


def shaped(values: Any, shape: tuple[int, ...]) -> Objects:
    return np.array(values, dtype=object).reshape(shape)


def rounded(values: Objects) -> NDArray[np.float64]:
    """Round to the nearest float64."""
    return np.array([nearest(value) for value in values.ravel()], dtype=np.float64).reshape(values.shape)


def nearest(number: Any) -> float:
    """Round to the nearest float64 by dividing integers, which Python does correctly."""
    if not mp.isfinite(number):
        return float(number)
    sign, mantissa, exponent, _ = number._mpf_
    if exponent + mp.prec < -1100:
        return 0.0
    return float((-1) ** sign * int(mantissa) * Fraction(2) ** int(exponent))
