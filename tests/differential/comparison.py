"""Performing an example on both layers and comparing what comes of it.

Numbers agree if they are within the sum of both layers' bounds, ``2 kappa u``, and each is within its own of the
reference. Elements for which the contract itself leaves more room than :data:`UNDECIDED_SHARE` are not judged.
Everything else must be equal: shapes, dtypes, containers, configurations, counts. A refusal must be met by a refusal
of the right class.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from bounded_layer import Bounded, BoundedLayer
from examples import ApplyConstraints, Build, Call, Construct, Inspect, Reset, SetWeights
from known_differences import KNOWN_DIFFERENCES, Alone, Mended, Omitted, Reclassed, Stricter
from original import Original
from outcomes import Refused, Returned
from rebuilt import Rebuilt
from situations import Situation

from gruspec.errors import SpecError
from gruspec.numerics import FORMATS, store_bound
from gruspec.spec import acting_dropout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from examples import Example, Operation
    from known_differences import KnownDifference
    from numpy.typing import NDArray
    from outcomes import Outcome

    Array = NDArray[Any]

UNDECIDED_SHARE = 0.25
"""An element is judged only where kappa u is at most this share of max(1, |value|) [admission]."""

CONSTRAINT_ROUNDINGS = 12.0
"""Roundings of a constrained weight beside those of the sum of squares under its norm; at most, of any constraint."""

DETERMINISTIC = ("zeros", "Zeros", "ones", "identity", "Constant")
"""Initializers that give every layer the same weights."""

FIXED_REFUSALS = (ValueError, TypeError, AttributeError)
"""Classes of errors that are kept if the original raises them on purpose; all others become one of the first two."""


@dataclass
class Comparison:
    """What a comparison of one example, or of many, has found.

    Attributes
    ----------
    difference
        The first difference that nothing explains, in words, or None.
    explained
        Names of the known differences that were met.
    judged, unjudged
        How many numbers were compared, and how many the contract leaves undecided.
    refused
        Whether both layers refused an operation, which ends an example.
    """

    difference: str | None = None
    explained: set[str] = field(default_factory=set)
    judged: int = 0
    unjudged: int = 0
    refused: bool = False


class DifferenceError(AssertionError):
    """The two layers differ, and no known difference explains it."""


def compare(example: Example) -> Comparison:
    """Perform an example on both layers until an operation is refused, and compare.

    The first unexplained difference ends it too.
    """
    return _Session(example).run()


class _Session:
    """An example being performed."""

    def __init__(self, example: Example) -> None:
        self.example = example
        self.original, self.rebuilt = Original(example), Rebuilt(example)
        self.found = Comparison()
        self.bounded: BoundedLayer | None = None
        self.recorded: Bounded | None = None

    def run(self) -> Comparison:
        for position, operation in enumerate((Construct(), *self.example.operations)):
            try:
                if not self._step(operation):
                    break
            except DifferenceError as difference:
                self.found.difference = f"operation {position}, {type(operation).__name__}: {difference}"
                break
        return self.found

    def _step(self, operation: Operation) -> bool:
        """Perform an operation; return whether to go on."""
        asked = operation
        situation = Situation(self.example, asked, self.original)
        rows = [row for row in KNOWN_DIFFERENCES if row.applies(situation)]
        self.found.explained |= {row.name for row in rows}
        with ExitStack() as stack:
            for row in rows:
                if isinstance(row, Mended):
                    operation = row.mend(Situation(self.example, operation, self.original), stack)
            theirs = self.original.perform(operation)
        if isinstance(theirs, Returned):
            asked = self._with_drawn_masks(asked)
        ours = self.rebuilt.perform(asked)
        for row in rows:
            if isinstance(row, Stricter):
                return self._stricter(row, theirs, ours)
        for row in rows:
            if isinstance(row, Alone) and row.arrays is None:
                return self._alone(row, asked, theirs, ours)
        if isinstance(theirs, Refused):
            reclassed = tuple(row.refusal for row in rows if isinstance(row, Reclassed))
            return self._refused(theirs, ours, reclassed)
        if isinstance(ours, Refused):
            raise DifferenceError(f"the original takes it, ours refuses: {ours}")
        self._compare(asked, theirs, ours, rows)
        return True

    def _with_drawn_masks(self, operation: Operation) -> Operation:
        """Return a call with the dropout masks that the original has drawn in it, if it has."""
        if not isinstance(operation, Call) or not operation.training or operation.dropout_masks is not None:
            return operation
        acting = acting_dropout(self.example.spec(), training=True)
        return replace(operation, dropout_masks=self.original.drawn_masks()) if acting else operation

    def _stricter(self, row: Stricter, theirs: Outcome, ours: Outcome) -> bool:
        if isinstance(theirs, Refused):
            raise DifferenceError(f"{row.name} says that the original takes it, but: {theirs}")
        if not isinstance(ours, Refused):
            raise DifferenceError(f"{row.name} says that ours refuses it, but it takes it")
        if not isinstance(ours.error, row.refusal):
            raise DifferenceError(f"{row.name} says that ours raises {row.refusal}, but: {ours}")
        return False

    def _alone(self, row: KnownDifference, operation: Operation, theirs: Outcome, ours: Outcome) -> bool:
        if not isinstance(theirs, Refused):
            raise DifferenceError(f"{row.name} says that the original refuses it, but it takes it")
        if isinstance(ours, Refused):
            raise DifferenceError(f"{row.name} says that ours takes it, but: {ours}")
        if isinstance(operation, Call) and self.bounded is not None:
            bounds = self._bounds(operation)
            for name, array in ours.arrays.items():
                self._judge(name, bounds[name].value, array, bounds[name])
        return False

    def _refused(self, theirs: Refused, ours: Outcome, reclassed: tuple[type[Exception], ...]) -> bool:
        kept = next((kind for kind in FIXED_REFUSALS if isinstance(theirs.error, kind)), None)
        allowed = reclassed or ((kept,) if kept is not None and theirs.on_purpose else FIXED_REFUSALS[:2])
        names = " or ".join(kind.__name__ for kind in allowed)
        if not isinstance(ours, Refused):
            raise DifferenceError(f"ours takes what the original refuses: {theirs}")
        if not isinstance(ours.error, allowed):
            raise DifferenceError(f"expected {names} as of the original, {theirs}; ours: {ours}")
        if not ours.on_purpose and not isinstance(ours.error, TypeError):
            raise DifferenceError(f"refused by accident: {ours}")
        self.found.refused = True
        return False

    def _compare(self, operation: Operation, theirs: Returned, ours: Returned, rows: Sequence[KnownDifference]) -> None:
        _require_equal(theirs.facts, ours.facts)
        _require_alike(theirs.arrays, ours.arrays)
        match operation:
            case Call():
                skipped = tuple(row.arrays for row in rows if isinstance(row, Alone) and row.arrays is not None)
                self._compare_call(operation, theirs.arrays, ours.arrays, skipped)
            case Build():
                self._compare_built(theirs.arrays, ours.arrays)
                self._agree_on_weights()
            case SetWeights():
                self._compare_exactly(theirs.arrays, ours.arrays)
                self._agree_on_weights()
            case Reset():
                self.recorded = None
                self._compare_exactly(theirs.arrays, ours.arrays)
                if self.bounded is not None:
                    self.bounded.reset(theirs.arrays["recorded"])
            case ApplyConstraints():
                self._compare_constrained(theirs.arrays, ours.arrays)
                self._agree_on_weights()
            case Inspect():
                self._compare_configurations({row.key for row in rows if isinstance(row, Omitted)})
                self._compare_activations(operation, theirs.arrays, ours.arrays)
            case _:
                self._compare_exactly(theirs.arrays, ours.arrays)

    def _compare_call(
        self, call: Call, theirs: Mapping[str, Array], ours: Mapping[str, Array], skipped: tuple[str, ...]
    ) -> None:
        if self.bounded is None:
            weights = [driver.layer.get_weights() for driver in (self.original, self.rebuilt)]
            self._compare_built(*({f"weights/{i}": array for i, array in enumerate(each)} for each in weights))
            if not all(np.array_equal(one, other) for one, other in zip(*weights, strict=True)):
                self._agree_on_weights()
                self._agree_on_states()
                return
            self._agree_on_weights()
        bounds = self._bounds(call)
        self.recorded = bounds["recorded"]
        finite = all(np.isfinite(bound.value).all() for bound in bounds.values())
        for name, array in ours.items():
            if finite or not name.startswith("gradients"):
                alone = any(name.startswith(prefix) for prefix in skipped)
                self._judge(name, bounds[name].value if alone else theirs[name], array, bounds[name])
            else:
                self.found.unjudged += array.size

    def _bounds(self, call: Call) -> dict[str, Bounded]:
        """Return what a call must give by the names of its results."""
        if self.bounded is None:
            raise DifferenceError("the weights are not known")
        try:
            bounds = self.bounded.call(call)
        except SpecError as error:
            raise DifferenceError(f"both take what the reference refuses: {error}") from error
        found = dict(bounds.arrays)
        losses = found.pop("losses", Bounded(np.zeros(0), np.zeros(0)))
        found |= {f"losses/{i}": Bounded(losses.value[i], losses.kappa[i]) for i in range(losses.value.size)}
        found["recorded"] = found["state"]
        if bounds.overflows:
            return {name: Bounded(bound.value, np.full(bound.value.shape, np.inf)) for name, bound in found.items()}
        return found

    def _judge(self, name: str, theirs: Array, ours: Array, bound: Bounded) -> None:
        """Compare numbers with each other and with the reference, which is itself off by its roundings in float64."""
        unit = FORMATS[self.example.dtype].unit_roundoff
        kappa = store_bound(np.asarray(bound.kappa)).astype(np.float64)
        finite = np.isfinite(bound.value)
        pairs = (
            (ours, theirs, 2 * unit),
            (ours, bound.value, unit + FORMATS["float64"].unit_roundoff),
            (theirs, bound.value, unit + FORMATS["float64"].unit_roundoff),
        )
        with np.errstate(invalid="ignore", over="ignore"):
            decided = finite & (kappa * unit <= UNDECIDED_SHARE * np.maximum(1.0, np.abs(bound.value)))
            near = [np.abs(one.astype(np.float64) - other) <= kappa * units for one, other, units in pairs]
        agrees = np.where(finite, np.logical_and.reduce(near), ~np.isfinite(ours) & ~np.isfinite(theirs))
        judged = decided | (~finite & (kappa < np.inf))
        self.found.judged += int(judged.sum())
        self.found.unjudged += int((~judged).sum())
        wrong = judged & ~agrees
        if wrong.any():
            where = tuple(int(index) for index in np.argwhere(wrong)[0])
            raise DifferenceError(
                f"{name}{list(where)}: original {theirs[where]!r}, ours {ours[where]!r}, "
                f"exactly {np.asarray(bound.value)[where]!r} with kappa {kappa[where]:.6g}, in which u is {unit}: "
                f"{wrong.sum()} of {wrong.size} elements differ"
            )

    def _compare_exactly(self, theirs: Mapping[str, Array], ours: Mapping[str, Array]) -> None:
        """Compare what is not computed; but the recorded state may be that of the last call."""
        for name, array in ours.items():
            if name == "recorded" and self.recorded is not None:
                self._judge(name, theirs[name], array, self.recorded)
            elif not np.array_equal(array, theirs[name], equal_nan=True):
                raise DifferenceError(f"{name}: original {theirs[name]!r}, ours {array!r}")

    def _compare_built(self, theirs: Mapping[str, Array], ours: Mapping[str, Array]) -> None:
        """Compare weights as they are after a build: those that were not drawn at random must be equal."""
        given = self.example.argument("weights") is not None
        kinds = (self.example.argument(f"{name}_initializer") for name in ("kernel", "recurrent", "bias"))
        fixed = [f"weights/{i}" for i, kind in enumerate(kinds) if given or _is_deterministic(kind)]
        _require_alike(theirs, ours)
        known = {name: array for name, array in ours.items() if name in fixed or not name.startswith("weights")}
        self._compare_exactly(theirs, known)

    def _compare_constrained(self, theirs: Mapping[str, Array], ours: Mapping[str, Array]) -> None:
        """Compare weights after their constraints: a norm over n numbers has n roundings more than other steps."""
        unit = FORMATS[self.example.dtype].unit_roundoff
        weights = {name: array for name, array in ours.items() if name.startswith("weights")}
        self._compare_exactly(theirs, {name: array for name, array in ours.items() if name not in weights})
        for name, array in weights.items():
            allowed = 2 * (CONSTRAINT_ROUNDINGS + array.size) * unit * np.abs(theirs[name].astype(np.float64))
            if not (np.abs(array.astype(np.float64) - theirs[name]) <= allowed).all():
                raise DifferenceError(f"{name} constrained: original {theirs[name]!r}, ours {array!r}")

    def _compare_configurations(self, omitted: set[str]) -> None:
        drivers = (self.original, self.rebuilt)
        theirs, ours = (driver.layer.get_config() for driver in drivers)
        theirs = {name: _without(omitted, value) for name, value in theirs.items()}
        if self.example.argument("name") is None:
            ours = {**ours, "name": theirs["name"]}
        _require_same("configuration", theirs, ours)
        again = [driver.reconfigured(configuration) for driver in drivers for configuration in (theirs, ours)]
        for configuration in again[1:]:
            _require_same("configuration of a layer made from the other's", again[0], configuration)

    def _compare_activations(self, inspection: Inspect, theirs: Mapping[str, Array], ours: Mapping[str, Array]) -> None:
        for name, bound in BoundedLayer(self.example).activated(inspection.values).items():
            self._judge(name, theirs[name], ours[name], bound)

    def _agree_on_weights(self) -> None:
        """Give ours the original's weights, and tell the reference."""
        weights = self.original.layer.get_weights()
        self.rebuilt.layer.set_weights(weights)
        if self.bounded is None:
            self.bounded = BoundedLayer(self.example)
        self.bounded.set_weights(weights)

    def _agree_on_states(self) -> None:
        self.recorded = None
        if self.example.argument("stateful"):
            for driver in (self.original, self.rebuilt):
                driver.layer.reset_states()


def _without(keys: set[str], value: Any) -> Any:
    return {key: each for key, each in value.items() if key not in keys} if isinstance(value, dict) else value


def _is_deterministic(initializer: Any) -> bool:
    return (initializer["class_name"] if isinstance(initializer, dict) else initializer) in DETERMINISTIC


def _require_equal(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    for name in {**theirs, **ours}:
        _require_same(name, theirs.get(name), ours.get(name))


def _require_same(name: str, theirs: Any, ours: Any) -> None:
    """Require equal values of equal types, in dicts with their keys in the same order."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        if list(theirs) != list(ours):
            raise DifferenceError(f"{name}: keys of the original {list(theirs)}, ours {list(ours)}")
        for key, value in theirs.items():
            _require_same(f"{name}, {key}", value, ours[key])
    elif type(theirs) is not type(ours) or theirs != ours:
        raise DifferenceError(f"{name}: original {theirs!r}, ours {ours!r}")


def _require_alike(theirs: Mapping[str, Array], ours: Mapping[str, Array]) -> None:
    if set(theirs) != set(ours):
        raise DifferenceError(f"results of the original {sorted(theirs)}, ours {sorted(ours)}")
    for name, array in theirs.items():
        if (array.shape, array.dtype) != (ours[name].shape, ours[name].dtype):
            raise DifferenceError(
                f"{name}: original {array.dtype} {array.shape}, ours {ours[name].dtype} {ours[name].shape}"
            )
