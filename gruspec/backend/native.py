"""A framework's own GRU, run with weights in the framework's own layout: the two sides of a proof of a conversion."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import NDArray

NATIVES_GROUP = "gruspec.natives"


class NativeResult(NamedTuple):
    """What was computed: ``outputs`` (B, T, directions * u), and ``state`` (layers * directions, B, u) or None."""

    outputs: NDArray[Any]
    state: NDArray[Any] | None


class NativeGRU(ABC):
    """The GRU of a framework as it is: no weight is moved, no equation written; what it refuses is unsupported.

    Implementations register under the entry-point group ``gruspec.natives`` by the name of their layout. Importing one
    imports no framework.
    """

    layout: ClassVar[str]
    """Name of the layout of its weights."""
    title: ClassVar[str]
    """What runs, as in ``"torch.nn.GRU"``."""
    modules: ClassVar[tuple[str, ...]]
    """Modules that must be importable."""
    extra: ClassVar[str | None] = None
    """The extra that brings them, where there is one."""

    @abstractmethod
    def versions(self) -> Mapping[str, str]:
        """Return the versions of what computes, by name."""

    @abstractmethod
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
        """Run the framework's GRU.

        Parameters
        ----------
        arrays
            Weights by the names of the layout.
        inputs
            (B, T, D), of the dtype of the weights.
        reset_after, layers, directions, activation, recurrent_activation
            What is to be computed. Backward directions read the inputs from the end, and their outputs stand at the
            timestep that they belong to.
        initial_state
            (layers * directions, B, u), directions of a layer together; zeros for None.

        Raises
        ------
        Unsupported
            If the framework's GRU cannot compute this, here or at all: dtype, variant, activation, device.
        """
