"""Examples of right use, drawn by hypothesis: whole constructors and sequences of operations.

Arrays come from a generator whose seed hypothesis draws; every number is one of float32, so that each layer takes it as
it is. What is rare among users, and what a known difference explains, is rare here.

Symbols: ``B`` batch, ``T`` timesteps, ``D`` input size, ``u`` units.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from activation_bounds import NAMES
from examples import ApplyConstraints, Assign, Build, Call, Example, Inspect, Reset, SetWeights
from hypothesis import strategies as st

from gruspec.spec import Dimensions, acting_dropout, dropout_mask_shapes, outputs_shape, state_shape, weight_shapes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from examples import Operation
    from hypothesis.strategies import DrawFn, SearchStrategy
    from numpy.typing import NDArray

    Array = NDArray[Any]

SHAPED_INITIALIZERS = (
    "identity",
    "orthogonal",
    {"class_name": "Orthogonal", "config": {"gain": 2.0}},
)
"""Those that need two axes, which a bias may lack."""

INITIALIZERS = (
    "zeros",
    "ones",
    "Zeros",
    "random_normal",
    "he_uniform",
    "lecun_normal",
    "truncated_normal",
    {"class_name": "Constant", "config": {"value": 0.25}},
    {"class_name": "RandomUniform", "config": {"minval": -0.5, "maxval": 0.5, "seed": 3}},
    {"class_name": "VarianceScaling", "config": {"scale": 2.0, "mode": "fan_in", "distribution": "uniform"}},
)

REGULARIZERS = (
    "l1",
    "l2",
    "l1_l2",
    {"class_name": "L1", "config": {"l1": 0.5}},
    {"class_name": "L2", "config": {"l2": 0.125}},
    {"class_name": "L1L2", "config": {"l1": 0.25, "l2": 0.1}},
)

CONSTRAINTS = (
    "non_neg",
    "NonNeg",
    "unit_norm",
    "max_norm",
    {"class_name": "MaxNorm", "config": {"max_value": 0.5, "axis": 0}},
    {"class_name": "MinMaxNorm", "config": {"min_value": 0.5, "max_value": 1.0, "rate": 0.5, "axis": 0}},
)
"""All of them along the first axis, which a bias has too."""

CHOICES = {
    "kernel_initializer": SHAPED_INITIALIZERS + INITIALIZERS,
    "recurrent_initializer": SHAPED_INITIALIZERS + INITIALIZERS,
    "bias_initializer": INITIALIZERS,
    **{f"{weight}_regularizer": REGULARIZERS for weight in ("kernel", "recurrent", "bias", "activity")},
    **{f"{weight}_constraint": CONSTRAINTS for weight in ("kernel", "recurrent", "bias")},
    "dropout": (0.5, 0.25, 0.3, 0.0, -0.5, 1.0, 1.5),
    "recurrent_dropout": (0.5, 0.25, 0.3, 0.0, -0.5, 1.0),
    "implementation": (2, 1, 0, 3),
    "dtype": ("float32", "float64", "float64", "float", "double"),
    "name": ("gru", "encoder", "a_b_7"),
    "trainable": (True, False),
}

SHAPE_ARGUMENTS: tuple[dict[str, Any], ...] = (
    {"input_shape": (None, 3)},
    {"input_shape": (4, 3), "batch_size": 2},
    {"batch_input_shape": (2, None, 3)},
    {"input_dim": 3},
    {"input_dim": 3, "input_length": 4},
    {"enable_caching_device": False},
    {"enable_caching_device": True},
)
"""Arguments that a layer by itself only writes into its configuration."""

SHARES = {
    "use_bias": 15,
    "return_sequences": 50,
    "return_state": 50,
    "go_backwards": 30,
    "stateful": 35,
    "unroll": 30,
    "time_major": 30,
    "reset_after": 50,
    "zero_output_for_mask": 12,
    **{name: 12 if name.endswith(("_initializer", "_constraint")) else 20 for name in CHOICES},
    "implementation": 50,
    "dtype": 50,
    "name": 50,
    "trainable": 10,
}
"""How often in a hundred an argument other than ``units`` and the activations is stated; a flag is then reversed."""

ACTIVATION_LAYERS = (
    {"class_name": "LeakyReLU", "config": {"name": "leaky", "alpha": 0.3}},
    {"class_name": "ReLU", "config": {"name": "clipped", "max_value": 1.5}},
)
"""Activations by configuration; in tf_keras they are layers of single precision, and have a name of their own."""

ROUNDED_IN_FLOAT64 = ("gelu", "leaky_relu", "non_neg", "NonNeg")
"""Activations and constraints for which a known difference explains what is computed in float64; mostly left out."""


def seldom(percent: float) -> SearchStrategy[bool]:
    """Return True in so many cases of a hundred; False is the simpler one.

    Hypothesis draws integers uniformly only from short ranges, so the number is drawn in two halves.
    """
    halves = st.tuples(st.integers(0, 31), st.integers(0, 31))
    return halves.map(lambda drawn: 32 * drawn[0] + drawn[1] >= 1024 * (1 - percent / 100))


@dataclass
class Arrays:
    """A source of numbers that float32 holds exactly.

    Parameters
    ----------
    seed
        Of the generator.
    coarse
        Whether numbers are multiples of 1/4, so that corners of activations are met exactly.
    """

    seed: int
    coarse: bool

    def __post_init__(self) -> None:
        self.generator = np.random.default_rng(self.seed)

    def numbers(self, shape: Sequence[int], dtype: str, scale: float = 1.0) -> Array:
        """Return normal numbers, or multiples of 1/4 up to 1."""
        if self.coarse:
            return np.asarray(self.generator.integers(-4, 5, shape) / 4, dtype)
        return np.asarray(self.generator.normal(size=shape) * scale, np.float32).astype(dtype)

    def weights(self, example: Example, input_size: int) -> list[Array]:
        """Return weights in the order of the layer."""
        shapes = weight_shapes(example.spec(), input_size).values()
        return [self.numbers(shape, example.dtype, scale=0.7) for shape in shapes]

    def mask(self, shape: tuple[int, ...], kind: str) -> Array:
        """Return a mask of any pattern: bool, also with a last axis, or of numbers, also with NaN for valid."""
        valid: Array = self.generator.random(shape) < self.generator.choice([0.0, 0.3, 0.7, 0.7, 1.0])
        if kind == "last axis":
            return np.asarray(valid[..., None])
        if kind == "int64":
            return np.asarray(np.where(valid, self.generator.choice([-1, 2], shape), 0), np.int64)
        if kind == "float32":
            return np.asarray(np.where(valid, self.generator.choice([0.25, -1.0, np.nan], shape), 0), np.float32)
        return valid

    def sprinkled(self, inputs: Array, where: Array) -> Array:
        """Return inputs (B, T, D) with NaN and infinities in some places of the timesteps where (B, T) is True."""
        hit = where[..., None] & (self.generator.random(inputs.shape) < 0.5)
        return np.asarray(
            np.where(hit, self.generator.choice([np.nan, np.inf, -np.inf], inputs.shape), inputs), inputs.dtype
        )

    def dropout_masks(self, example: Example, sizes: Dimensions) -> dict[str, Array]:
        """Return masks of the kinds that act in training, scaled."""
        spec = example.spec()
        shapes = dropout_mask_shapes(spec, sizes)
        rates = {"inputs": spec.dropout, "recurrent": spec.recurrent_dropout}
        return {
            kind: np.where(
                self.generator.random(shapes[kind]) < rates[kind], 0.0, np.float32(1 / (1 - rates[kind]))
            ).astype(example.dtype)
            for kind in acting_dropout(spec, training=True)
        }


@st.composite
def arguments(draw: DrawFn) -> dict[str, Any]:
    """Return constructor arguments; those that have their default are mostly left out."""
    found: dict[str, Any] = {"units": draw(st.integers(1, 5))}
    for name, common in (("activation", "tanh"), ("recurrent_activation", "hard_sigmoid")):
        if draw(st.booleans()):
            found[name] = draw(st.sampled_from((common, None, *NAMES)))
    for name, percent in SHARES.items():
        if draw(seldom(percent)):
            found[name] = draw(st.sampled_from(CHOICES[name])) if name in CHOICES else name != "use_bias"
    if draw(seldom(1)):
        found["kernel_regularizer"] = "orthogonal_regularizer"
    if draw(seldom(5)):
        found |= draw(st.sampled_from(SHAPE_ARGUMENTS))
    if found.get("dtype") in (None, "float32", "float") and draw(seldom(0.5)):
        found[draw(st.sampled_from(("activation", "recurrent_activation")))] = draw(st.sampled_from(ACTIVATION_LAYERS))
    rounded = any(name in ROUNDED_IN_FLOAT64 for name in found.values() if isinstance(name, str))
    if rounded and found.get("dtype") in ("float64", "double") and not draw(seldom(5)):
        del found["dtype"]
    if "zero_output_for_mask" in found and found.get("unroll") and not draw(seldom(12)):
        del found["unroll"]
    return found


@dataclass
class Plan:
    """An example in the making.

    Parameters
    ----------
    example
        What there is of it.
    arrays
        Where its numbers come from.
    batch, input_size
        Of every call.
    carries
        Whether the layer may have recorded a state that is not zero.
    """

    example: Example
    arrays: Arrays
    batch: int
    input_size: int
    carries: bool = False

    def sizes(self, timesteps: int) -> Dimensions:
        """Return the sizes of a call."""
        return Dimensions(self.batch, timesteps, self.input_size, self.example.argument("units"))

    def ordered(self, array: Array) -> Array:
        """Return an array (B, T, ...) in the layout of the layer."""
        return array.swapaxes(0, 1) if self.example.argument("time_major") else array

    def inputs(self, timesteps: int, dtype: str | None = None) -> Array:
        """Return inputs in the layout of the layer."""
        shape = (self.batch, timesteps, self.input_size)
        return self.ordered(self.arrays.numbers(shape, dtype or self.example.dtype))

    def state(self, dtype: str | None = None) -> Array:
        """Return a state (B, u)."""
        return self.arrays.numbers((self.batch, self.example.argument("units")), dtype or self.example.dtype)

    def shape(self, timesteps: int) -> tuple[int, int, int]:
        """Return the shape of inputs."""
        a, b = (timesteps, self.batch) if self.example.argument("time_major") else (self.batch, timesteps)
        return (a, b, self.input_size)


@st.composite
def plans(draw: DrawFn, arguments: SearchStrategy[dict[str, Any]] = arguments()) -> Plan:  # noqa: B008 - a strategy
    """Return an example with a constructor and no operations."""
    positional = draw(st.sampled_from((0, 0, 0, 0, 1, 3, 22)))
    example = Example(draw(arguments), [], positional)
    arrays = Arrays(draw(st.integers(0, 2**32 - 1)), draw(seldom(15)))
    batch = 0 if draw(seldom(0.4)) else draw(st.integers(1, 4))
    return Plan(example, arrays, batch, 0 if draw(seldom(2)) else draw(st.integers(1, 4)))


@st.composite
def calls(draw: DrawFn, plan: Plan, *, differentiable: bool = True) -> Call:
    """Return a valid call."""
    example, arrays = plan.example, plan.arrays
    timesteps = 0 if draw(seldom(0.05)) else draw(st.integers(1, 6))
    sizes = plan.sizes(timesteps)
    call = Call(plan.inputs(timesteps))
    if draw(seldom(35)):
        kind = draw(st.sampled_from(("bool", "bool", "bool", "last axis", "int64", "float32")))
        form = draw(st.sampled_from(("array", "array", "array", "array", "list", "pair")))
        call = replace(call, mask=plan.ordered(arrays.mask((plan.batch, timesteps), kind)), mask_form=form)
    if draw(seldom(1 if plan.carries else 40)):
        form = draw(st.sampled_from(("array", "array", "list", "tuple", "inputs")))
        call = replace(call, initial_state=plan.state(), state_form=form, numpy_state=draw(seldom(0.3)))
    call = replace(call, training=draw(st.sampled_from((None, None, None, False, True, 0, 1))))
    if call.training and 1.0 in (example.spec().dropout, example.spec().recurrent_dropout):
        call = replace(call, training=None)
    if call.training and acting_dropout(example.spec(), training=True) and not draw(seldom(30)):
        call = replace(call, dropout_masks=arrays.dropout_masks(example, sizes))
    differentiated = differentiable and draw(seldom(35))
    call = draw(nonfinite(plan, call, rarely=differentiated))
    if not differentiated:
        return draw(cast(plan, call))
    cotangents = {"outputs": arrays.numbers(outputs_shape(example.spec(), plan.batch, timesteps), example.dtype)}
    if example.argument("return_state") and not draw(seldom(20)):
        cotangents["state"] = arrays.numbers(state_shape(example.spec(), plan.batch), example.dtype)
    return replace(call, cotangents=cotangents, losses=draw(st.booleans()))


@st.composite
def nonfinite(draw: DrawFn, plan: Plan, call: Call, *, rarely: bool) -> Call:
    """Return a call that may have NaN and infinities at masked timesteps, or at one valid one."""
    inputs, mask = plan.ordered(call.inputs), None if call.mask is None else plan.ordered(call.mask).astype(bool)
    if mask is not None and draw(seldom(1 if rarely else 20)):
        masked = ~mask.reshape(inputs.shape[:2])
        return replace(call, inputs=plan.ordered(plan.arrays.sprinkled(inputs, masked)))
    if draw(seldom(3)):
        hit = plan.arrays.generator.random(inputs.shape[:2]) < 0.2
        return replace(call, inputs=plan.ordered(plan.arrays.sprinkled(inputs, hit)))
    return call


@st.composite
def cast(draw: DrawFn, plan: Plan, call: Call) -> Call:
    """Return a call that may have inputs or a state of another dtype than the layer."""
    other = "float64" if plan.example.dtype == "float32" else "float32"
    if draw(seldom(10)):
        call = replace(call, inputs=call.inputs.astype(other))
    if call.initial_state is not None and draw(seldom(10 if plan.example.argument("stateful") else 0.3)):
        dtype = draw(st.sampled_from((other, "int64", "bool")))
        state = np.where(np.abs(call.initial_state) < 0.5, 0, call.initial_state)
        call = replace(call, initial_state=state.astype(dtype))
    return call


@st.composite
def beginnings(draw: DrawFn, plan: Plan) -> list[Operation]:
    """Return what builds the layer and gives it weights; mostly a build of its own."""
    timesteps = draw(st.integers(1, 4))
    weights = plan.arrays.weights(plan.example, plan.input_size)
    match draw(st.sampled_from(("build", "build", "build", "build", "call", "weights", "reset"))):
        case "call":
            return [draw(calls(plan, differentiable=False))]
        case "weights":
            plan.example = replace(plan.example, arguments={**plan.example.arguments, "weights": weights})
            return []
        case "reset" if plan.example.argument("stateful"):
            state = plan.state()
            plan.carries = True
            return [Build(plan.shape(timesteps)), SetWeights(weights), Reset(draw(st.sampled_from((state, [state]))))]
        case _:
            shape: tuple[int | None, ...] = plan.shape(timesteps)
            if not plan.example.argument("stateful") and draw(st.booleans()):
                shape = (None, None, plan.input_size)
            return [Build(shape), SetWeights(weights)]


@st.composite
def further(draw: DrawFn, plan: Plan) -> list[Operation]:
    """Return operations on a layer that may have been called before."""
    stateful = plan.example.argument("stateful")
    others = ("reset", "weights", "constraints", "trainable")
    kind = draw(st.sampled_from((*("call",) * 6, *others)))
    if kind == "trainable":
        return [Assign("trainable", draw(st.booleans()))]
    if kind == "reset" and stateful:
        states = plan.state(draw(st.sampled_from((plan.example.dtype, "float64", "float32", "int64"))))
        chosen = draw(st.sampled_from((None, states, [states], (states,))))
        plan.carries = chosen is not None
        return [Reset(chosen)]
    if kind in ("weights", "constraints"):
        plan.carries = False
        weights = SetWeights(plan.arrays.weights(plan.example, plan.input_size))
        changed: list[Operation] = [weights] if kind == "weights" else [ApplyConstraints()]
        return [*changed, Reset()] if stateful else changed
    call = draw(calls(plan))
    plan.carries = stateful
    return [call]


@st.composite
def right_uses(draw: DrawFn, plans: SearchStrategy[Plan] = plans()) -> Plan:  # noqa: B008 - a strategy
    """Return an example of right use, which ends with an inspection."""
    plan = draw(plans)
    operations = draw(beginnings(plan))
    built = any(isinstance(operation, Build) for operation in operations)
    if not built and not operations:
        operations = [draw(calls(plan, differentiable=False))]
    plan.carries = plan.carries or (plan.example.argument("stateful") and not built)
    for _ in range(draw(st.integers(1, 3))):
        operations += draw(further(plan))
    timesteps = draw(st.sampled_from((None, 0, 3)))
    batch = draw(st.sampled_from((None, 2)))
    shape = (timesteps, batch) if plan.example.argument("time_major") else (batch, timesteps)
    mask = plan.ordered(plan.arrays.mask((plan.batch, 3), "bool"))
    values = plan.arrays.numbers((2, 4), plan.example.dtype, scale=3.0)
    operations.append(Inspect(mask if draw(st.booleans()) else None, (*shape, plan.input_size), values))
    plan.example = replace(plan.example, operations=operations)
    return plan
