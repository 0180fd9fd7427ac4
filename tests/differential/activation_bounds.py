"""The number system of error arrays with every activation that tf_keras resolves by name.

The definition takes the names of five activations. Those that a specification has by default stand for the roles of a
layer's activations here: :data:`CANDIDATE` for ``activation``, :data:`GATE` for ``recurrent_activation``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from row_activations import log_softmax, pullback, softmax
from smooth_activations import ELEMENTWISE, Broken, Smooth

from gruspec.reference.error_numbers import ErrorNumbers
from gruspec.spec import ACTIVATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gruspec.reference.error_arrays import ErrorArray, Precision

CANDIDATE, GATE = "tanh", "hard_sigmoid"

ROWWISE = {"softmax": softmax, "log_softmax": log_softmax}

NAMES = (*ACTIVATIONS, *ELEMENTWISE, *ROWWISE)
"""All activations that have a name and bounds."""


class ActivationNumbers(ErrorNumbers):
    """Worst-case rounding errors for one format, with activations by role.

    Parameters
    ----------
    precision
        The format.
    roles
        The activation for each of :data:`CANDIDATE` and :data:`GATE`: a name, a configuration, or None.
    """

    def __init__(self, precision: Precision, roles: Mapping[str, Any]) -> None:
        super().__init__(precision)
        self._roles = {role: _resolved(identifier) for role, identifier in roles.items()}

    def activation(self, name: str, preactivation: ErrorArray) -> ErrorArray:
        """Apply the activation of a role to a settled sum."""
        role = self._roles[name]
        if isinstance(role, Smooth | Broken):
            return role.apply(preactivation.settled())
        if role in ROWWISE:
            return ROWWISE[role](preactivation.settled())
        return super().activation(role, preactivation)

    def slope(self, name: str, preactivation: ErrorArray, activated: ErrorArray) -> ErrorArray:
        """Return the derivative of the activation of a role, or what pulls a cotangent back through its rows."""
        role = self._roles[name]
        if isinstance(role, Smooth | Broken):
            return role.derivative(preactivation.settled())
        if role in ROWWISE:
            return pullback(role, activated.settled())
        return super().slope(role, preactivation, activated)


def _resolved(identifier: Any) -> str | Smooth | Broken:
    """Return bounds, or the name of an activation that has them elsewhere.

    Of the activation layers, whose numbers are kept in float32, there are ``LeakyReLU`` and ``ReLU`` with a maximum.
    """
    if identifier is None:
        return "linear"
    if isinstance(identifier, str):
        return ELEMENTWISE.get(identifier, identifier)
    config = {name: float(np.float32(value)) for name, value in identifier["config"].items() if name != "name"}
    if identifier["class_name"] == "LeakyReLU":
        return Broken((0.0,), (config["alpha"], 1.0))
    return Broken((0.0, config["max_value"]), (0.0, 1.0, 0.0))
