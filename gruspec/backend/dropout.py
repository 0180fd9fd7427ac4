"""Refusing dropout, for implementations that do not have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gruspec.errors import SpecError, Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gruspec.spec import GRUSpec


def refuse_dropout(spec: GRUSpec, *, training: bool, dropout_masks: Mapping[str, object] | None) -> None:
    """Refuse a call in which dropout would act.

    Parameters
    ----------
    spec
        The layer.
    training, dropout_masks
        As the call states them.

    Raises
    ------
    SpecError
        If a rate is 1 in training: nothing would be left to scale [dropout-masks].
    Unsupported
        If dropout masks are given, or would have to be drawn.
    """
    rates = {name: getattr(spec, name) if training else 0.0 for name in ("dropout", "recurrent_dropout")}
    for name, rate in rates.items():
        if rate == 1:
            raise SpecError(f"{name}={rate}: in training the rate must be less than 1")
    if dropout_masks is not None:
        raise Unsupported("dropout masks")
    if acting := [f"{name}={rate} in training" for name, rate in rates.items() if rate]:
        raise Unsupported(*acting)
