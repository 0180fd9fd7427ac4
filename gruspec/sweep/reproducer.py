"""A failing case as a short script that runs without gruspec wherever the implementation does.

The script holds all arrays and expected values, uses the framework as its users do, prints what comes out beside what
must, and ends with an assertion: it fails as long as the implementation does.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from gruspec.backend import ScriptedBackend, ScriptedCall
from gruspec.cases.model import GRADIENTS, Call
from gruspec.conformance.arrays import dtype_of
from gruspec.numerics import FORMATS
from gruspec.spec import acting_dropout
from gruspec.spec.clauses import CLAUSES
from gruspec.sweep.literals import array_source, arrays_source, bound_array, comment
from gruspec.sweep.protocol_script import ProtocolScript
from gruspec.sweep.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from gruspec.backend import Backend, LayerScript, RegularizingScriptedBackend
    from gruspec.cases.model import Case, Expected, Floats, Operation
    from gruspec.conformance import Judgement

_PROOF = """\
Expected values are exact results, correctly rounded to float64 and proven by ball arithmetic. Each bound covers what
correct arithmetic in {dtype} may differ from them, in any order of summation."""

_CHECK = """\
def check(name, computed, expected, bound):
    computed = np.asarray(computed)
    print(name, "computed", computed, "expected", expected, sep="\\n")
    assert (computed.shape, computed.dtype) == (expected.shape, dtype), f"{{name}}: shape or dtype"
    right = {right}
    assert right.all(), f"{{name}}: {{(~right).sum()}} of {{right.size}} elements are out of bounds"
"""

_SHAPES = """\
def check_kind(name, computed, shape):
    computed = np.asarray(computed)
    assert (computed.shape, computed.dtype) == (shape, dtype), f"{name}: shape or dtype"
"""


def reproducer(
    case: Case,
    dtype: str,
    implementation: str,
    backend: Backend,
    judgement: Judgement,
    *,
    device: str = "cpu",
    versions: Mapping[str, str] | None = None,
) -> str:
    """Return a Python script that fails as long as an implementation fails a case, and ends with 0 afterwards.

    Parameters
    ----------
    case
        With its expected values.
    dtype, device
        In and on which the implementation fails it.
    implementation
        Its name, or a reference ``module:attribute``.
    backend
        The implementation. If it is a :class:`gruspec.backend.ScriptedBackend`, the script uses its framework and
        nothing else; any other is used through the backend protocol.
    judgement
        The verdict. The script checks the array with the worst element if that fails, and everything otherwise.
    versions
        Of the implementation, if they are known; else it is asked, and imports its framework.

    Raises
    ------
    MissingDependency
        If ``dtype`` is bfloat16, and ml_dtypes is not installed.
    """
    writer = _Writer(case, dtype, _layer_script(case, dtype, implementation, backend, device), backend, judgement)
    header = _header(case, dtype, implementation, judgement, backend.versions() if versions is None else versions)
    return "\n".join([header, *writer.parts()]) + "\n"


def _layer_script(case: Case, dtype: str, implementation: str, backend: Backend, device: str) -> LayerScript:
    if not isinstance(backend, ScriptedBackend):
        return ProtocolScript(implementation, case.spec, dtype, device, case.settings)
    if case.settings is None:
        return backend.script(case.spec, dtype=dtype, device=device)
    regularizing = cast("RegularizingScriptedBackend", backend)
    return regularizing.script(case.spec, dtype=dtype, device=device, settings=case.settings)


def _header(case: Case, dtype: str, implementation: str, judgement: Judgement, versions: Mapping[str, str]) -> str:
    """Return what differs from which rule, where, and why the expected values are right, as a comment."""
    found = judgement.message or "no difference found"
    used = ", ".join(f"{name} {version}" for name, version in versions.items())
    return comment(
        f"{implementation} ({used}), case {case.id} in {dtype}:\n{found}\n"
        f"Rule of the GRU specification [{case.clause}], {CLAUSES[case.clause]}:\n{RULES[case.clause]}\n"
        + _PROOF.replace("\n", " ").format(dtype=dtype)
    )


@dataclass(frozen=True)
class _Writer:
    """What the parts of a script are written from."""

    case: Case
    dtype: str
    script: LayerScript
    backend: Backend
    judgement: Judgement

    def parts(self) -> Iterator[str]:
        """Yield the script after its header in order."""
        case = self.case
        yield f'import numpy as np\n{self.script.imports}\n\ndtype = "{self.script.dtype}"\n'
        yield from self._checks()
        for name, array in case.weights.items():
            yield bound_array(name, self._cast(array))
        if case.raises is not None:
            yield self._refused(
                [self.script.construction, *(self._performed(each) for each in case.calls)], case.raises
            )
            return
        early = bool(case.calls) and case.calls[0].raises is not None
        if not early:
            yield self.script.construction
        for index, operation in enumerate(case.calls[: self._length]):
            yield ""
            if operation.raises is None:
                yield self._performed(operation)
                yield from self._checked(index, operation)
            else:
                first = [self.script.construction] if early and index == 0 else []
                yield self._refused([*first, self._performed(operation)], operation.raises)

    @property
    def _single(self) -> tuple[int, str] | None:
        """The call and the name of the only array to check; None if all are."""
        worst = self.judgement.worst
        return (worst.call, worst.output) if worst is not None and worst.element.fraction > 1 else None

    @property
    def _length(self) -> int:
        """Number of operations to perform: nothing that follows the failing call matters."""
        return len(self.case.calls) if self._single is None else self._single[0] + 1

    def _chosen(self, index: int, operation: Operation) -> dict[str, Expected]:
        """Return what is checked after an operation, by name."""
        expected = operation.expected if isinstance(operation, Call) else {}
        return {
            name: each
            for name, each in expected.items()
            if self._single in {None, (index, name)} and (name != "state" or self.case.spec.return_state)
        }

    def _checks(self) -> Iterator[str]:
        """Yield the functions that check results, as far as they are needed."""
        chosen = [each for i, operation in enumerate(self.case.calls) for each in self._chosen(i, operation).values()]
        if values := [each for each in chosen if each.value is not None]:
            right = "abs(computed.astype(float) - expected) <= bound"
            if not all(np.isfinite(cast("Floats", each.value)).all() for each in values):
                yield '@np.errstate(invalid="ignore")'
                same = "(computed == expected) | (np.isnan(computed) & np.isnan(expected))"
                right = f"({right}) | {same}"
            if any(np.isinf(self._bounds(each)).any() for each in values):
                right = f"({right}) | (bound == np.inf)"
            yield _CHECK.format(right=right)
        if any(each.value is None for each in chosen):
            yield _SHAPES

    def _checked(self, index: int, operation: Operation) -> Iterator[str]:
        for name, expected in self._chosen(index, operation).items():
            short = name.removeprefix(GRADIENTS)
            computed = short if short == name else f'gradients["{short}"]'
            label = f'"{name} of call {index}"'
            if expected.value is None:
                yield f"check_kind({label}, {computed}, {expected.kappa.shape})"
            else:
                yield f"expected = {array_source(expected.value, '', len('expected = '))}"
                yield f"bound = {array_source(self._bounds(expected), '', len('bound = '))}"
                yield f"check({label}, {computed}, expected, bound)"

    def _bounds(self, expected: Expected) -> Floats:
        """Return the bound of each element, rounded up: V1 to V3 [verdict], and infinite where it is not judged.

        Three digits are enough, unless the failure is so narrow that they would hide it.
        """
        value, kappa = cast("Floats", expected.value), expected.kappa.astype(np.float64)
        size, slack = np.abs(value), kappa * FORMATS[self.dtype].unit_roundoff
        with np.errstate(invalid="ignore"):
            bound = np.where(np.isfinite(value) & (kappa > 0), np.nextafter(slack + size * 2.0**-53, np.inf), 0.0)
        bound[np.isfinite(value) & (slack > np.maximum(1.0, size) / 4)] = np.inf
        narrow = 1 < self.judgement.fraction < 1.01
        return bound if narrow else np.vectorize(_three_digits, otypes=[float])(bound)

    def _performed(self, operation: Operation) -> str:
        """Return what binds the arguments of an operation, and performs it."""
        if not isinstance(operation, Call):
            stated = operation.states is not None
            bound = [bound_array("states", self._cast(cast("Floats", operation.states)))] if stated else []
            return "\n".join([*bound, self.script.reset_states(stated=stated)])
        call = self._scripted(operation)
        lines = [bound_array(name, getattr(call, name)) for name in ("inputs", *call.optional)]
        if call.training:
            lines.append(f"dropout_masks = {arrays_source(call.dropout_masks) if call.dropout_masks else '{}'}")
        if call.cotangents is not None:
            lines.append(f"cotangents = {arrays_source(call.cotangents)}")
        return "\n".join([*lines, self.script.call(call)])

    def _scripted(self, call: Call) -> ScriptedCall:
        acting = acting_dropout(self.case.spec, training=call.training)
        masks = {kind: mask for kind, mask in (call.dropout_masks or {}).items() if kind in acting}
        return ScriptedCall(
            inputs=self._cast(call.inputs),
            mask=call.mask,
            initial_state=None if call.initial_state is None else self._cast(call.initial_state),
            training=call.training,
            dropout_masks=self._cast_all(masks),
            cotangents=None if call.cotangents is None else self._cast_all(call.cotangents),
        )

    def _refused(self, pieces: list[str], raises: str) -> str:
        """Return pieces of which one must raise: of a native layer any exception will do."""
        complete = self.backend.capabilities().kind == "complete"
        return "\n".join(
            [
                "try:",
                textwrap.indent("\n".join(pieces), "    "),
                f"except {raises if complete else 'Exception'} as error:",
                '    print("refused, as it must be:", error)',
                "else:",
                f'    raise AssertionError("accepted what must be refused with {raises}")',
            ]
        )

    def _cast(self, array: NDArray[Any]) -> NDArray[Any]:
        return array.astype(dtype_of(self.dtype)).astype(dtype_of(self.script.dtype))

    def _cast_all(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return {name: self._cast(array) for name, array in arrays.items()}


def _three_digits(bound: float) -> float:
    """Return a number of three digits that is not smaller."""
    return float(Context(prec=3, rounding=ROUND_CEILING).create_decimal(bound))
