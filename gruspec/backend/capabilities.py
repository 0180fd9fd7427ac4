"""What an implementation declares, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gruspec.backend.masks import MASKS, batch_major_mask, mask_kind
from gruspec.errors import SpecError, Unsupported, listed
from gruspec.spec import ACTIVATIONS, acting_dropout, check_rates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gruspec.spec import GRUSpec

DTYPES = ("float32", "float64", "float16", "bfloat16")
DEVICES = ("cpu", "cuda")

_KINDS = ("complete", "native")
_SUBNORMALS = ("gradual", "flush")
_EMPTY = ("timesteps", "batch", "features")
_EITHER = (False, True)
_SWITCHES = (
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "unroll",
    "time_major",
    "zero_output_for_mask",
)


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """The region of the specification that an implementation claims.

    A claim that does not hold is a failure; what lies outside counts as ``unsupported``. Every default is the whole
    specification, so that a complete implementation states only its name's worth. A value that a field cannot have is
    a :class:`~gruspec.errors.SpecError`.

    Parameters
    ----------
    summary
        One line that says what this is.
    kind
        ``"complete"`` for an implementation of the whole specification, ``"native"`` for a thin adapter over what a
        framework ships.
    modules
        Top-level modules that must be importable for it to run.
    extra
        The optional dependency group that installs them, as in ``gruspec[torch]``; None if there is none.
    dtypes, devices
        What it can compute in and on.
    reset_after
        The variants it has.
    activations, recurrent_activations
        Names from :data:`gruspec.spec.ACTIVATIONS`.
    use_bias
        Whether layers with and without bias are possible.
    switches
        The boolean arguments that may be True.
    mask
        The most general kind of mask, from :data:`gruspec.backend.MASKS`.
    initial_state
        Whether a call may state one.
    dropout
        Whether a call in training takes dropout masks.
    gradients
        Whether layers have :meth:`~gruspec.backend.DifferentiableLayer.vjp`.
    losses
        Whether layers take regularizers and report their losses, as only those do that are the reference layer.
    empty
        Which of ``"timesteps"``, ``"batch"`` and ``"features"`` may be zero.
    subnormals
        ``"gradual"``, or ``"flush"`` if an operation may replace a subnormal result by zero.
    """

    summary: str
    kind: Literal["complete", "native"] = "complete"
    modules: tuple[str, ...] = ()
    extra: str | None = None
    dtypes: tuple[str, ...] = ("float32", "float64")
    devices: tuple[str, ...] = ("cpu",)
    reset_after: tuple[bool, ...] = (False, True)
    activations: tuple[str, ...] = ACTIVATIONS
    recurrent_activations: tuple[str, ...] = ACTIVATIONS
    use_bias: tuple[bool, ...] = (False, True)
    switches: tuple[str, ...] = _SWITCHES
    mask: Literal["none", "lengths", "any"] = "any"
    initial_state: bool = True
    dropout: bool = True
    gradients: bool = True
    losses: bool = False
    empty: tuple[str, ...] = _EMPTY
    subnormals: Literal["gradual", "flush"] = "gradual"

    def __post_init__(self) -> None:
        single: dict[str, tuple[object, ...]] = {"kind": _KINDS, "mask": MASKS, "subnormals": _SUBNORMALS}
        single |= dict.fromkeys(("initial_state", "dropout", "gradients", "losses"), _EITHER)
        several: dict[str, tuple[object, ...]] = {
            "dtypes": DTYPES,
            "devices": DEVICES,
            "reset_after": _EITHER,
            "activations": ACTIVATIONS,
            "recurrent_activations": ACTIVATIONS,
            "use_bias": _EITHER,
            "switches": _SWITCHES,
            "empty": _EMPTY,
        }
        for name, known in single.items():
            if getattr(self, name) not in known:
                raise SpecError(f"{name}={getattr(self, name)!r}: expected one of {listed(known)}")
        for name, known in several.items():
            value = getattr(self, name)
            if not isinstance(value, tuple) or any(item not in known for item in value):
                raise SpecError(f"{name}={value!r}: expected a tuple of {listed(known)}")
        texts: dict[str, tuple[str, Any]] = {
            "summary": ("a text", (self.summary,)),
            "modules": ("a tuple of texts", self.modules),
            "extra": ("a text or None", () if self.extra is None else (self.extra,)),
        }
        for name, (wanted, items) in texts.items():
            if not isinstance(items, tuple) or not all(isinstance(item, str) for item in items):
                raise SpecError(f"{name}={getattr(self, name)!r}: expected {wanted}")

    def refusals(self, spec: GRUSpec, *, dtype: str, device: str) -> list[str]:
        """Return why a layer is outside the claim, one reason an item; empty if it is inside."""
        asked = (
            ("dtype", dtype, self.dtypes),
            ("device", device, self.devices),
            ("reset_after", spec.reset_after, self.reset_after),
            ("activation", spec.activation, self.activations),
            ("recurrent_activation", spec.recurrent_activation, self.recurrent_activations),
            ("use_bias", spec.use_bias, self.use_bias),
        )
        reasons = [f"{name}={value!r} (has {listed(has)})" for name, value, has in asked if value not in has]
        return reasons + [f"{name}=True" for name in _SWITCHES if getattr(spec, name) and name not in self.switches]

    def call_refusals(
        self,
        spec: GRUSpec,
        inputs: NDArray[Any],
        mask: NDArray[Any] | None,
        initial_state: NDArray[Any] | None,
        *,
        training: bool = False,
        gradients: bool = False,
    ) -> list[str]:
        """Return why a call is outside the claim, one reason an item; empty if it is inside.

        No claim leaves out inputs of another rank than 3: a layer must refuse them [invalid-arguments].
        """
        axes = ("timesteps", "batch", "features") if spec.time_major else ("batch", "timesteps", "features")
        sizes = dict(zip(axes, inputs.shape, strict=True)) if inputs.ndim == len(axes) else {}
        kind = mask_kind(None if mask is None else batch_major_mask(mask, time_major=spec.time_major))
        reasons = []
        if MASKS.index(kind) > MASKS.index(self.mask):
            reasons.append(f"mask of kind {kind!r} (has {self.mask!r})")
        if initial_state is not None and not self.initial_state:
            reasons.append("initial_state")
        if not self.dropout and acting_dropout(spec, training=training):
            reasons.append("dropout in training")
        if gradients and not self.gradients:
            reasons.append("gradients")
        return reasons + [f"zero {name}" for name in _EMPTY if sizes.get(name) == 0 and name not in self.empty]

    def require(self, spec: GRUSpec, *, dtype: str, device: str) -> None:
        """Refuse a layer outside the claim; adapters call this first in ``prepare``.

        Raises
        ------
        Unsupported
            With the reasons from :meth:`refusals`.
        """
        if reasons := self.refusals(spec, dtype=dtype, device=device):
            raise Unsupported(*reasons)

    def require_call(
        self,
        spec: GRUSpec,
        inputs: NDArray[Any],
        mask: NDArray[Any] | None,
        initial_state: NDArray[Any] | None,
        *,
        training: bool = False,
        gradients: bool = False,
    ) -> None:
        """Refuse a call outside the claim; adapters call this first in a layer's call.

        Raises
        ------
        SpecError
            If a dropout rate is 1 in training.
        Unsupported
            With the reasons from :meth:`call_refusals`.
        """
        check_rates(spec, training=training)
        if reasons := self.call_refusals(spec, inputs, mask, initial_state, training=training, gradients=gradients):
            raise Unsupported(*reasons)
