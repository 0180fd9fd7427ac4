"""A case that cannot be judged is refused when it is read, not passed over."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gruspec import Suite
from gruspec.cases.format import case_document, read_case
from gruspec.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[dict[str, Any], dict[str, Any]], object]

CASE = next(case for case in Suite.load().cases(["elementary"]) if case.clause == "initial-state")
KEYS = {f"0/{name}": array for name, array in CASE.arrays().items()}
KAPPA = "0/0/outputs/kappa"


def read(change: Change) -> object:
    document, arrays = copy.deepcopy(case_document(CASE, 0)), dict(KEYS)
    change(document, arrays)
    return read_case("elementary", document, arrays.__getitem__)


def test_unchanged_case_is_read() -> None:
    assert read(lambda document, arrays: None) is not None  # noqa: ARG005


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, _: d.update(clause="magic"), "clause='magic'"),
        (lambda d, _: d.update(result="perhaps"), "result='perhaps'"),
        (lambda d, _: d.update(result="invalid"), "does not go with what raises"),
        (lambda d, _: d.update(dtypes=[]), "would never be judged"),
        (lambda d, _: d.update(dtypes=["float99"]), "'float99' is not a known dtype"),
        (lambda d, _: d.update(dtypes="float32"), "dtypes='float32': expected a list"),
        (lambda d, _: d.update(surprise=1), "unknown surprise"),
        (lambda d, _: d.pop("clause"), "missing 'clause'"),
        (lambda d, _: d["spec"].update(units=0), "units=0"),
        (lambda d, _: d["calls"][0].update(expected={}), "expected: has"),
        (lambda d, _: d["calls"][0].update(training="yes"), "training='yes'"),
        (lambda d, _: d["calls"][0].update(inputs="nowhere"), "missing 'nowhere'"),
        (lambda _, a: a.update({KAPPA: np.zeros(3, np.float32)}), "kappa"),
    ],
)
def test_defect_is_named(change: Change, message: str) -> None:
    with pytest.raises(IntegrityError, match=message) as caught:
        read(change)
    assert CASE.id in str(caught.value)
