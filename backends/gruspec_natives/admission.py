"""What every native GRU has in common: a declaration of what its framework can do, checked before it runs.

Variants, stacking and fixed activations are facts of a layout and come from :data:`gruspec.layouts.LAYOUTS`; a class
adds its dtypes, and activations where the framework leaves the choice.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from gruspec.backend import NativeGRU
from gruspec.errors import MissingDependency, SpecError, Unsupported, listed
from gruspec.layouts import LAYOUTS, Sizes, recognise
from gruspec.layouts.shapes import form_shapes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from numpy.typing import NDArray

    from gruspec.backend import NativeResult
    from gruspec.layouts import Layout


@dataclass(frozen=True, eq=False)
class Run:
    """What is to be run, checked.

    Parameters
    ----------
    arrays
        Weights by the names of the layout.
    inputs
        (B, T, D).
    initial_state
        (layers * directions, B, u).
    sizes
        Input size, units, layers and directions.
    use_bias
        Whether there is any bias.
    reset_after, activation, recurrent_activation
        What is to be computed.
    """

    arrays: Mapping[str, NDArray[Any]]
    inputs: NDArray[Any]
    initial_state: NDArray[Any]
    sizes: Sizes
    use_bias: bool
    reset_after: bool
    activation: str
    recurrent_activation: str

    @property
    def dtype(self) -> str:
        """Name of the dtype of weights, inputs and state."""
        return str(self.inputs.dtype.name)

    @property
    def timesteps(self) -> Iterator[NDArray[Any]]:
        """The inputs (B, D) of one timestep after another."""
        return (np.ascontiguousarray(self.inputs[:, step]) for step in range(self.inputs.shape[1]))


class DeclaredGRU(NativeGRU):
    """A native GRU that declares what it can do."""

    dtypes: ClassVar[tuple[str, ...]]
    """Of weights and inputs."""
    activations: ClassVar[tuple[str, ...]] = ()
    """Where the layout does not fix them."""
    recurrent_activations: ClassVar[tuple[str, ...]] = ()
    """Where the layout does not fix them."""

    def versions(self) -> Mapping[str, str]:
        """Return the versions of what computes, by the names of modules.

        Raises
        ------
        MissingDependency
            If it is not installed.
        """
        self._require_modules()
        return {name: _version(name) for name in self.modules}

    def run(
        self,
        arrays: Mapping[str, NDArray[Any]],
        inputs: NDArray[Any],
        *,
        reset_after: bool,
        layers: int = 1,
        directions: int = 1,
        activation: str = "tanh",
        recurrent_activation: str = "sigmoid",
        initial_state: NDArray[Any] | None = None,
    ) -> NativeResult:
        """Run the framework's GRU; see :class:`gruspec.backend.NativeGRU`.

        Raises
        ------
        MissingDependency
            If the framework is not installed.
        SpecError
            If arrays, inputs and state do not fit one another.
        Unsupported
            If the framework's GRU cannot compute this, here or at all.
        """
        self._require_modules()
        layout = LAYOUTS[self.layout]
        gates = layout.recurrent_activations or self.recurrent_activations
        reasons = [
            f"{name}={value!r}: {self.title} has {listed(allowed)}"
            for name, value, allowed in (
                ("reset_after", reset_after, layout.reset_after),
                ("layers", layers, (max(1, layers),) if layout.stacked else (1,)),
                ("directions", directions, (1, 2) if layout.bidirectional else (1,)),
                ("activation", activation, layout.activations or self.activations),
                ("recurrent_activation", recurrent_activation, gates),
                ("dtype", inputs.dtype.name, self.dtypes),
            )
            if value not in allowed
        ]
        if layers > 1 and directions > 1 and not layout.bidirectional_stacks:
            reasons.append(f"layers={layers} with directions=2: there each direction is a stack of its own")
        if reasons:
            raise Unsupported(*reasons)
        use_bias, sizes = _sizes(layout, arrays, inputs, reset_after=reset_after, layers=layers, directions=directions)
        state_shape = (layers * directions, len(inputs), sizes.units)
        if initial_state is None:
            initial_state = np.zeros(state_shape, inputs.dtype)
        for name, values in (*arrays.items(), ("initial_state", initial_state)):
            if values.dtype != inputs.dtype:
                raise SpecError(f"{name}: dtype {values.dtype.name}; expected {inputs.dtype.name}, that of the inputs")
        if initial_state.shape != state_shape:
            raise SpecError(f"initial_state: shape {initial_state.shape}; expected {state_shape}")
        return self._run(
            Run(arrays, inputs, initial_state, sizes, use_bias, reset_after, activation, recurrent_activation)
        )

    @abstractmethod
    def _run(self, run: Run) -> NativeResult:
        """Run what the declaration admits."""

    def _require_modules(self) -> None:
        missing = [name for name in self.modules if find_spec(name) is None]
        if missing:
            hint = f"; pip install 'gruspec[{self.extra}]'" if self.extra else ""
            raise MissingDependency(f"{self.title} needs {listed(missing)}, not importable here{hint}")


def _version(module: str) -> str:
    """Return the version of a module, whose distribution may have another name, as dm-haiku and tensorflow-cpu do."""
    try:
        return version(module)
    except PackageNotFoundError:
        return version(packages_distributions()[module][0])


def _sizes(
    layout: Layout,
    arrays: Mapping[str, NDArray[Any]],
    inputs: NDArray[Any],
    *,
    reset_after: bool,
    layers: int,
    directions: int,
) -> tuple[bool, Sizes]:
    """Return whether there is a bias, and the sizes that the arrays have.

    Raises
    ------
    SpecError
        If they do not fit the layout or the inputs.
    """
    shapes = {name: values.shape for name, values in arrays.items()}
    units = _units_of_vector(layout, shapes, Sizes(inputs.shape[2], 1, layers, directions))
    form, sizes = recognise(layout, shapes, reset_after=reset_after, units=units, layers=layers, directions=directions)
    if sizes.input_size != inputs.shape[2]:
        raise SpecError(f"inputs: shape {inputs.shape}; expected (batch, timesteps, {sizes.input_size})")
    return form.has_bias, sizes


def _units_of_vector(layout: Layout, shapes: Mapping[str, tuple[int, ...]], sizes: Sizes) -> int | None:
    """Return the units of weights that are one vector, which only grows with them; None for other weights."""
    lengths = [shape[0] for shape in shapes.values() if len(shape) == 1]
    if len(shapes) > 1 or not lengths:
        return None

    def length(units: int) -> int:
        ((only,),) = form_shapes(layout, layout.forms[0], sizes._replace(units=units)).values()
        return only

    return 1 + bisect_left(range(1, lengths[0] + 1), lengths[0], key=length)
