"""Which dropout masks act in a call, and the shapes that they must have [dropout-masks]."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from gruspec.errors import SpecError, listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gruspec.spec.arguments import GRUSpec
    from gruspec.spec.shapes import Dimensions, Shaped


M = TypeVar("M", bound="Shaped")

DROPOUT_RATES = {"inputs": "dropout", "recurrent": "recurrent_dropout"}
"""The argument that holds the rate of each kind of mask."""


def acting_dropout(spec: GRUSpec, *, training: bool) -> tuple[str, ...]:
    """Return the kinds of masks that act in a call: in training, those with a rate between 0 and 1.

    Examples
    --------
    >>> from gruspec.spec import GRUSpec
    >>> acting_dropout(GRUSpec(units=1, dropout=0.5), training=True)
    ('inputs',)
    >>> acting_dropout(GRUSpec(units=1, dropout=0.5), training=False)
    ()
    """
    return tuple(kind for kind, name in DROPOUT_RATES.items() if training and 0 < getattr(spec, name) < 1)


def check_rates(spec: GRUSpec, *, training: bool) -> None:
    """Refuse a rate of 1 in training: nothing would be left to scale.

    Raises
    ------
    SpecError
        If there is one.
    """
    for name in DROPOUT_RATES.values():
        if training and getattr(spec, name) == 1:
            raise SpecError(f"{name}={getattr(spec, name)}: in training the rate must be less than 1")


def dropout_mask_shapes(spec: GRUSpec, sizes: Dimensions) -> dict[str, tuple[int, int, int]]:
    """Return the shape of each kind of mask: one for each gate, or a single one for the inputs of all.

    Examples
    --------
    >>> from gruspec.spec import Dimensions, GRUSpec
    >>> sizes = Dimensions(batch=2, timesteps=7, input_size=3, units=4)
    >>> dropout_mask_shapes(GRUSpec(units=4), sizes)
    {'inputs': (3, 2, 3), 'recurrent': (3, 2, 4)}
    >>> dropout_mask_shapes(GRUSpec(units=4, implementation=2), sizes)["inputs"]
    (1, 2, 3)
    """
    gates = 3 if spec.implementation == 1 else 1
    return {"inputs": (gates, sizes.batch, sizes.input_size), "recurrent": (3, sizes.batch, sizes.units)}


def acting_masks(spec: GRUSpec, masks: Mapping[str, M] | None, *, training: bool, sizes: Dimensions) -> dict[str, M]:
    """Return those of the given masks that act in a call.

    Parameters
    ----------
    spec
        The layer.
    masks
        ``inputs`` and ``recurrent``, already scaled; those that do not act may be absent, and are ignored.
    training
        As the call states it.
    sizes
        Of the call.

    Raises
    ------
    SpecError
        If a rate is 1 in training, or a mask that would act is missing or of another shape, or a name is unknown.
    """
    check_rates(spec, training=training)
    given = masks or {}
    if unknown := [name for name in given if name not in DROPOUT_RATES]:
        raise SpecError(f"dropout_masks: unknown {listed(unknown)}; known are {listed(DROPOUT_RATES)}")
    acting = acting_dropout(spec, training=training)
    shapes = dropout_mask_shapes(spec, sizes)
    for kind in acting:
        if kind not in given:
            raise SpecError(f"dropout_masks: {kind!r} missing, which acts in training; expected shape {shapes[kind]}")
        if tuple(given[kind].shape) != shapes[kind]:
            raise SpecError(f"dropout_masks: {kind!r} has shape {tuple(given[kind].shape)}; expected {shapes[kind]}")
    return {kind: given[kind] for kind in acting}
