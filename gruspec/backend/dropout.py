"""Refusing dropout, for implementations that do not have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gruspec.errors import Unsupported
from gruspec.spec import DROPOUT_RATES, acting_dropout, check_rates

if TYPE_CHECKING:
    from gruspec.spec import GRUSpec


def refuse_dropout(spec: GRUSpec, *, training: bool) -> None:
    """Refuse a call in which dropout would act.

    Parameters
    ----------
    spec
        The layer.
    training
        As the call states it.

    Raises
    ------
    SpecError
        If a rate is 1 in training: nothing would be left to scale [dropout-masks].
    Unsupported
        If dropout masks would act.
    """
    check_rates(spec, training=training)
    if acting := acting_dropout(spec, training=training):
        names = (DROPOUT_RATES[kind] for kind in acting)
        raise Unsupported(*(f"{name}={getattr(spec, name)} in training" for name in names))
