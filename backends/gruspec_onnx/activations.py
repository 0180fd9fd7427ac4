"""Activations in ONNX's words: https://onnx.ai/onnx/operators/onnx__GRU.html, ``activations``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from gruspec.layouts.operators import ONNX_ACTIVATIONS

from .model import ACTIVATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

DEFAULTS = ("Sigmoid", "Tanh")
"""Of the gates and of the candidate, where an operator states none."""
PARAMETERS: Mapping[str, Mapping[str, float | None]] = {
    "Affine": {"alpha": None, "beta": None},
    "Elu": {"alpha": 1.0},
    "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
    "LeakyRelu": {"alpha": 0.01},
    "ParametricSoftplus": {"alpha": None, "beta": None},
    "ScaledTanh": {"alpha": None, "beta": None},
    "ThresholdedRelu": {"alpha": None},
}
"""The parameters of activations, and what they are where they are not given: those of the operator of the same name.

Not known for those without such an operator, and where ONNX Runtime takes 0 instead: Affine and ThresholdedRelu.
"""
_SPELLED = {name.lower(): name for name in ONNX_ACTIVATIONS}
_WRITTEN = re.compile(r"(?P<name>\w+)\((?P<parameters>[^()]*)\)")
_NEAR = 1e-6


class Activation(NamedTuple):
    """An activation in ONNX's words, with its parameters, and the bound of what goes into it."""

    name: str
    parameters: Mapping[str, float | None]
    clip: float | None = None

    @property
    def text(self) -> str:
        """The name in gruspec's words where it is an activation there; else ``"Name(alpha=..., beta=...)"``."""
        for known, (name, pair) in ACTIVATIONS.items():
            if self.name == name and self.clip is None and _same(self.parameters, pair):
                return known
        given = {**self.parameters, **({} if self.clip is None else {"clip": self.clip})}
        inside = ", ".join(f"{key}={'unknown' if value is None else f'{value:.9g}'}" for key, value in given.items())
        return f"{self.name}({inside})" if inside else self.name


def _same(parameters: Mapping[str, float | None], pair: tuple[float, float] | None) -> bool:
    values = list(parameters.values())
    return len(values) == len(pair or ()) and all(
        value is not None and abs(value - wanted) <= _NEAR for value, wanted in zip(values, pair or (), strict=True)
    )


def activation_named(text: str) -> Activation | None:
    """Return an activation by what :attr:`Activation.text` says, or None where the operator has none such.

    >>> activation_named("hard_sigmoid")
    Activation(name='HardSigmoid', parameters={'alpha': 0.2, 'beta': 0.5}, clip=None)
    >>> activation_named("HardSigmoid(alpha=0.25, beta=0.5)").text
    'HardSigmoid(alpha=0.25, beta=0.5)'
    >>> activation_named("gelu") is None
    True
    """
    if text in ACTIVATIONS:
        name, pair = ACTIVATIONS[text]
        return Activation(name, dict(zip(("alpha", "beta"), pair or (), strict=False)))
    match = _WRITTEN.fullmatch(text)
    name = match["name"] if match else text
    if name not in ONNX_ACTIVATIONS:
        return None
    pairs = re.findall(r"(\w+)=([^,\s]+)", match["parameters"]) if match else []
    try:
        given = {key: float(value) for key, value in pairs}
    except ValueError:
        return None
    clip = given.pop("clip", None)
    return Activation(name, given, clip) if set(given) == set(PARAMETERS.get(name, ())) else None


def activations_read(
    names: Iterable[str], alphas: Iterable[float], betas: Iterable[float], clip: float | None
) -> Iterator[Activation]:
    """Yield the activations that an operator states; parameters are consumed in this order, by those that have any."""
    given = {"alpha": iter(alphas), "beta": iter(betas)}
    for name in names:
        spelled = _SPELLED.get(name.lower(), name)
        parameters = {key: next(given[key], default) for key, default in PARAMETERS.get(spelled, {}).items()}
        yield Activation(spelled, parameters, clip)
