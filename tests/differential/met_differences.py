"""For each known difference, by name, a small example that meets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from demonstrations import MASK, STATE, X
from examples import ApplyConstraints, Build, Call, Example, Inspect, Reset, SetWeights

from gruspec.spec import weight_shapes

if TYPE_CHECKING:
    from examples import Operation
    from numpy.typing import NDArray


def weights(example: Example, input_size: int = 1) -> list[NDArray[Any]]:
    """Return weights that no two gates share."""
    shapes = weight_shapes(example.spec(), input_size).values()
    rng = np.random.default_rng(3)
    return [rng.normal(size=shape).astype(np.float32).astype(example.dtype) for shape in shapes]


def built(*operations: Operation, inputs: Any = X, **arguments: Any) -> Example:
    """Return an example that begins with a built layer."""
    example = Example({"units": 1, **arguments}, [])
    beginning: list[Operation] = [Build(inputs.shape), SetWeights(weights(example, inputs.shape[-1]))]
    return Example(example.arguments, [*beginning, *operations])


def constructed(**arguments: Any) -> Example:
    """Return an example that only constructs a layer."""
    return Example({"units": 1, **arguments}, [])


def doubled(*operations: Operation, **arguments: Any) -> Example:
    """Return an example in double precision."""
    return built(*operations, dtype="float64", **arguments)


NAN = np.where(MASK[..., None], X, np.float32(np.nan))
COTANGENTS = {"outputs": np.array([[1.0], [0.5]], np.float32)}
CONFIG = {"name": "leaky", "alpha": 0.3}

MET = {
    "recorded-state-wins": built(Call(X), Call(X, initial_state=STATE), stateful=True),
    "unrolled-zero-output-fails": built(Call(X, mask=MASK), unroll=True, zero_output_for_mask=True),
    "unrolled-zero-output-misplaced": built(
        Call(X, mask=MASK), unroll=True, zero_output_for_mask=True, go_backwards=True, return_sequences=True
    ),
    "numpy-state": built(Call(X, initial_state=STATE, numpy_state=True)),
    "state-not-cast": built(Call(X, initial_state=STATE.astype(np.float64))),
    "masked-nonfinite-gradients": built(Call(NAN, mask=MASK, cotangents=COTANGENTS)),
    "gelu-float64": doubled(Call(X.astype(np.float64)), activation="gelu"),
    "leaky-relu-float64": doubled(Call(-np.abs(X.astype(np.float64))), recurrent_activation="leaky_relu"),
    "non-negative-float64": doubled(ApplyConstraints(), kernel_constraint="non_neg"),
    "no-timesteps": built(Call(X[:, :0], initial_state=STATE), return_state=True),
    "no-rows-stateful": Example({"units": 1, "stateful": True}, [Call(X[:0])]),
    "penalty-of-a-single-row": built(Call(X), kernel_regularizer="orthogonal_regularizer"),
    "activation-build": built(
        Call(X), Inspect(None, (2, 3, 1), X[..., 0]), activation={"class_name": "LeakyReLU", "config": CONFIG}
    ),
    "setting-type": constructed(kernel_initializer=3),
    "units-type": constructed(units=2.0),
    "activation-weight": constructed(activation="PReLU"),
    "regularizer-name": constructed(kernel_regularizer="l3"),
    "dtype-late": constructed(dtype="int32"),
    "rate-nan": constructed(dropout=float("nan")),
    "rate-type": constructed(dropout=True),
    "implementation-type": constructed(implementation="1"),
    "flag-type": constructed(return_sequences=1),
    "batch-size-alone": constructed(batch_size=2),
    "mask-broadcast": built(Call(X, mask=MASK[1:])),
    "mask-by-unit": built(Call(X, mask=np.stack([MASK, ~MASK], axis=-1)), units=2),
    "mask-cut": built(Call(X, mask=np.concatenate([MASK, MASK], axis=1)), unroll=True),
    "mask-complex": built(Call(X, mask=MASK.astype(np.complex64))),
    "state-dtype": built(Reset(STATE.astype(np.complex64)), stateful=True),
    "state-broadcast": built(Call(X, initial_state=STATE[:1]), unroll=True),
    "weights-dtype": Example(
        {"units": 1}, [Build(X.shape), SetWeights([weight.astype(str) for weight in weights(constructed())])]
    ),
    "build-axes": Example({"units": 1}, [Build((2, 3))]),
    "training-type": built(Call(X, training="yes")),
}
