"""What the pieces of a stand-alone script are written from, and how: one call, and calls of functions as source."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from gruspec.spec import GRUSpec, WeightSettings, weight_shapes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

WIDTH = 100
"""Columns of a script."""


@dataclass(frozen=True, kw_only=True)
class ScriptedCall:
    """The arguments of a call that a script makes, which it finds as NumPy arrays under these names.

    Parameters
    ----------
    inputs, mask, initial_state, training
        As for a call of :class:`gruspec.backend.Layer`. What is None has no name in the script.
    dropout_masks
        Those that act, by kind. A dictionary in the script if ``training`` is set.
    cotangents
        Of ``outputs`` and perhaps ``state``; a dictionary in the script. None where the call is not differentiated.
    """

    inputs: NDArray[Any]
    mask: NDArray[Any] | None = None
    initial_state: NDArray[Any] | None = None
    training: bool = False
    dropout_masks: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    cotangents: Mapping[str, NDArray[Any]] | None = None

    @property
    def differentiable(self) -> tuple[str, ...]:
        """What besides the weights the call can be differentiated by."""
        return ("inputs",) if self.initial_state is None else ("inputs", "initial_state")

    @property
    def valid(self) -> str:
        """The mask with one entry for a timestep of a row, as source."""
        return "mask[..., 0]" if self.mask is not None and self.mask.ndim == 3 else "mask"

    @property
    def optional(self) -> tuple[str, ...]:
        """Which of ``mask`` and ``initial_state`` the call has."""
        return tuple(name for name in ("mask", "initial_state") if getattr(self, name) is not None)


def changed_arguments(spec: GRUSpec, defaults: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return ``units`` and the arguments that are not at their defaults.

    Parameters
    ----------
    spec
        The layer.
    defaults
        Where another layer differs from the reference layer in its defaults.

    Examples
    --------
    >>> changed_arguments(GRUSpec(units=2, reset_after=True))
    {'units': 2, 'reset_after': True}
    >>> changed_arguments(GRUSpec(units=2, reset_after=True), {"reset_after": True})
    {'units': 2}
    """
    usual = {field.name: field.default for field in fields(GRUSpec)} | dict(defaults or {})
    return {name: value for name, value in spec.to_dict().items() if name == "units" or value != usual[name]}


def changed_settings(settings: WeightSettings | None) -> dict[str, Any]:
    """Return the settings that are not at their defaults; none where there are no settings."""
    usual = asdict(WeightSettings())
    return {} if settings is None else {name: value for name, value in asdict(settings).items() if value != usual[name]}


def keywords(arguments: Mapping[str, Any]) -> list[str]:
    """Return arguments by keyword as source.

    >>> keywords({"units": 2, "activation": "relu"})
    ['units=2', "activation='relu'"]
    """
    return [f"{name}={value!r}" for name, value in arguments.items()]


def call_source(function: str, arguments: Iterable[str]) -> str:
    """Return a call of a function as source, on as many lines as it needs.

    Parameters
    ----------
    function
        What stands before the bracket, as in ``"layer = torch.nn.GRU"``.
    arguments
        Each as source.

    Examples
    --------
    >>> call_source("layer = GRU", ["2", "reset_after=True"])
    'layer = GRU(2, reset_after=True)'
    """
    given = list(arguments)
    line = f"{function}({', '.join(given)})"
    if len(line) <= WIDTH:
        return line
    lines: list[str] = []
    for argument in given:
        if lines and len(lines[-1]) + len(argument) + 6 <= WIDTH:
            lines[-1] += f" {argument},"
        else:
            lines.append(f"{argument},")
    return "\n".join([f"{function}(", *(textwrap.indent(line, "    ") for line in lines), ")"])


def dictionary_source(items: Mapping[str, str]) -> str:
    """Return a dictionary as source.

    Parameters
    ----------
    items
        Each value as source, by its key.

    Examples
    --------
    >>> dictionary_source({"kernel": "np.array(w)"})
    '{"kernel": np.array(w)}'
    """
    return "{" + ", ".join(f'"{name}": {value}' for name, value in items.items()) + "}"


def weight_names(spec: GRUSpec) -> tuple[str, ...]:
    """Return the names of a layer's weights.

    >>> weight_names(GRUSpec(units=1, use_bias=False))
    ('kernel', 'recurrent_kernel')
    """
    return tuple(weight_shapes(spec, 0))


def results_source(spec: GRUSpec) -> str:
    """Return the names that a layer's results are bound to: the outputs and, where it is returned, the state."""
    return "outputs, state" if spec.return_state else "outputs"
