"""What the configuration of a Keras GRU says, in the words of the reference layer."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any

from gruspec.errors import FileError
from gruspec.layouts.activations import HARD_SIGMOID_6

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

FLAGS = (
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "unroll",
    "time_major",
    "zero_output_for_mask",
)
"""Arguments of the layer around a cell."""
_RATES = ("dropout", "recurrent_dropout")
_CUDNN = {"activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True, "reset_after": True}
"""What a CuDNNGRU always is; its configuration does not say it."""
_OLDEST = {"activation": "tanh", "recurrent_activation": "hard_sigmoid", "use_bias": True, "reset_after": False}
"""What a configuration means that does not say it: Keras wrote ``reset_after`` only from 2.1.3 on."""


@dataclass(frozen=True)
class ConfiguredGRU:
    """A GRU as the configuration of a layer describes it.

    Parameters
    ----------
    path
        Names of the layers around it and its own, joined by ``"/"``, as in ``"encoder/both/forward_gru"``.
    store
        The group of a ``.weights.h5`` file that holds its weights, without the last ``vars``.
    class_name
        ``"GRU"``, ``"CuDNNGRU"`` or ``"GRUCell"``.
    units, reset_after, use_bias, activation, recurrent_activation
        Of the layer. Activations are names, as :func:`activation_name` gives them.
    options
        The other arguments of the reference layer that are given, and ``name``.
    """

    path: str
    store: str
    class_name: str
    units: int
    reset_after: bool
    use_bias: bool
    activation: str
    recurrent_activation: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def layout(self) -> str:
        """Name of the layout of its weights."""
        return "cudnn-gru" if self.class_name == "CuDNNGRU" else "keras"


def gru_arguments(class_name: str, config: Mapping[str, Any], *, keras: int, where: str) -> ConfiguredGRU:
    """Return what the configuration of one GRU says; its path is its name.

    Raises
    ------
    FileError
        If an argument has a value that no layer can have.
    """
    known = {**_OLDEST, **config, **(_CUDNN if class_name == "CuDNNGRU" else {})}
    for names, fits, kind in _KINDS:
        for name in names:
            if name in known and not fits(known[name]):
                raise FileError(f"{where}: {name}={str(known[name])[:60]!r}, expected {kind}")
    options = {name: known[name] for name in ("name", *FLAGS, *_RATES, "implementation") if name in known}
    return ConfiguredGRU(
        str(known.get("name", "")),
        "",
        class_name,
        known["units"],
        known["reset_after"],
        known["use_bias"],
        activation_name(known["activation"], keras=keras),
        activation_name(known["recurrent_activation"], keras=keras),
        options,
    )


def activation_name(value: object, *, keras: int) -> str:
    """Return the name of an activation as a configuration has it.

    >>> activation_name("hard_sigmoid", keras=2), activation_name("hard_sigmoid", keras=3)
    ('hard_sigmoid', 'hard_sigmoid_6')
    >>> activation_name({"class_name": "function", "config": "swish2"}, keras=3), activation_name(None, keras=2)
    ('swish2', 'linear')
    """
    if isinstance(value, dict):
        inner = value.get("config")
        value = inner if isinstance(inner, str) else value.get("class_name", "unknown")
    name = "linear" if value is None else str(value)
    return HARD_SIGMOID_6 if keras >= 3 and name == "hard_sigmoid" else name


def snake_case(class_name: str) -> str:
    """Return the name that Keras derives from a class (``to_snake_case`` of ``keras/src/utils/naming.py``).

    >>> snake_case("CuDNNGRU"), snake_case("TimeDistributed"), snake_case("GRU")
    ('cu_dnngru', 'time_distributed', 'gru')
    """
    name = re.sub(r"\W+", "", class_name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_rate(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


_KINDS: tuple[tuple[Sequence[str], Callable[[object], bool], str], ...] = (
    ((*FLAGS, "reset_after", "use_bias"), _is_flag, "true or false"),
    (_RATES, _is_rate, "a number"),
    (("implementation",), _is_integer, "an integer"),
    (("units",), _is_positive, "a positive integer"),
)
