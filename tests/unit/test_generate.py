"""Draws are the same everywhere, covering arrays cover, and what is drawn is what its name says."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import regeneration

from gruspec import GRUSpec
from gruspec.cases import Call, Case, ResetStates
from gruspec.cases.files import json_bytes
from gruspec.certify import bounded
from gruspec.errors import CertificationError, IntegrityError
from gruspec.generate import differences, generate
from gruspec.generate.covering import covering_array
from gruspec.generate.draws import Draw
from gruspec.generate.finish import ATTEMPTS, explicit_state_effect, finished, shrinkage
from gruspec.generate.flags import FLAGS, observed_flags
from gruspec.generate.layers import arranged_call, draw_call, draw_weights
from gruspec.generate.masks import MASK_KINDS, MINIMAL_TIMESTEPS, draw_mask
from gruspec.generate.random_cases import MOST, comparable_case, drawn_case, random_case

REGENERATION = Path(regeneration.__file__)


def test_first_draws() -> None:
    """Golden data hangs on these numbers: they must never change."""
    draw = Draw("doc")
    assert draw.bits("a", 3).tolist() == [0x0B1D4FF3817CAA3E, 0x56D74325C2B96100, 0x1877E5DA0E797163]
    assert draw.integers("b", (2, 3), 10).tolist() == [[3, 2, 2], [5, 6, 7]]
    assert draw.choice("c", 7) == 1
    assert draw.permutation("d", 6).tolist() == [4, 2, 3, 0, 1, 5]
    assert draw.distinct("e", (2, 2)).tolist() == [[1.8125, 1.390625], [0.134765625, 0.3984375]]
    assert draw.distinct("e", (3,), -1).tolist() == [0.90625, 0.6953125, 0.0673828125]
    single = [value.hex() for value in draw.full_precision("f", (2,), bits=24).tolist()]
    assert single == ["0x1.7c646a0000000p+0", "-0x1.1266d60000000p-2"]
    double = [value.hex() for value in draw.full_precision("f", (2,), bits=53, top=-1).tolist()]
    assert double == ["0x1.7c64694a14051p-1", "-0x1.1266d714c120fp-3"]


def test_draws_depend_on_key_and_name_alone() -> None:
    draw = Draw("key")
    first = draw.bits("name", 4)
    draw.bits("other", 100)
    assert np.array_equal(draw.bits("name", 6)[:4], first)
    assert not np.array_equal(Draw("other").bits("name", 4), first)
    assert not np.array_equal(draw.bits("other", 4), first)


@pytest.mark.parametrize("below", [1, 2, 3, 10, 2**31])
def test_integers_are_uniform(below: int) -> None:
    found = Draw("uniform").integers("i", (4000,), below)
    assert found.min() >= 0
    assert found.max() < below
    assert abs(float(found.mean()) - (below - 1) / 2) < 0.05 * below


def test_permutations_are_permutations() -> None:
    assert sorted(Draw("p").permutation("p", 50).tolist()) == list(range(50))


@pytest.mark.parametrize("count", [1, 1023, 1024, 1025, 3000])
def test_distinct_values_are_distinct_and_have_8_bits(count: int) -> None:
    found = Draw("distinct").distinct("d", (count,))
    size = np.abs(found)
    assert len(np.unique(found)) == count
    assert (np.frexp(size)[0] * 2.0**8 % 1 == 0).all()
    assert size.max() < 2
    assert size.min() >= (2.0**-3 if count <= 1024 else 2.0**-14)


@pytest.mark.parametrize("bits", [24, 53])
def test_values_of_full_precision_use_every_bit(bits: int) -> None:
    found = np.abs(Draw("full").full_precision("f", (500,), bits=bits, top=1))
    assert ((np.frexp(found)[0] * 2.0**bits) % 2 == 1).all()
    assert found.min() >= 2.0**-2
    assert 2 < found.max() < 4


VALUES = {"a": (0, 1, 2), "b": "xyz", "c": (False, True), "d": (1, 2, 3, 4)}


def fits(row: Any) -> bool:
    return not (row.get("a") == 0 and row.get("d") == 4)


@pytest.mark.parametrize("strength", [1, 2, 3])
def test_covering_arrays_cover_what_is_allowed_and_nothing_else(strength: int) -> None:
    rows = covering_array(VALUES, strength, fits, "test")
    for names in combinations(VALUES, strength):
        present = {tuple(row[name] for name in names) for row in rows}
        possible = set(product(*(VALUES[name] for name in names)))
        assert present == {chosen for chosen in possible if fits(dict(zip(names, chosen, strict=True)))}
    assert all(fits(row) and list(row) == list(VALUES) for row in rows)
    assert len(rows) < len(list(product(*VALUES.values())))
    assert rows == covering_array(VALUES, strength, fits, "test")


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("kind", MASK_KINDS[1:])
def test_masks_are_what_their_names_say(kind: str, *, backwards: bool) -> None:
    for timesteps in range(MINIMAL_TIMESTEPS.get(kind, 1), 9):
        for i in range(20):
            mask = draw_mask(Draw(f"{kind}/{i}"), kind, 3, timesteps, backwards=backwards)
            assert mask is not None
            assert mask.shape == (3, timesteps)
            in_order = mask[:, ::-1] if kind == "left-padded" else mask
            rising = (in_order[:, 1:] & ~in_order[:, :-1]).any()
            first, last = (-1, 0) if backwards else (0, -1)
            properties = {
                "right-padded": mask.any(1).all() and not mask.all() and not rising,
                "left-padded": mask.any(1).all() and not mask.all() and not rising,
                "gaps": mask[:, [0, -1]].all() and not mask.all(1).any(),
                "all-masked-row": (~mask.any(1)).any(),
                "first-step-masked": not mask[:, first].any() and mask[:, last].all(),
            }
            assert properties[kind]


def test_no_mask() -> None:
    assert draw_mask(Draw("none"), "none", 2, 3, backwards=False) is None


def layer(**arguments: Any) -> tuple[GRUSpec, dict[str, Any]]:
    spec = GRUSpec(units=2, **arguments)
    return spec, draw_weights(Draw("layer"), spec, 3)


def flags(mask: Any = None, state: Any = None, **arguments: Any) -> set[str]:
    spec, weights = layer(**arguments)
    inputs = Draw("inputs").distinct("inputs", (2, 3, 3))
    return set(observed_flags(spec, weights, [arranged_call(spec, inputs, mask, state)]))


PADDED, LATE, EMPTY = [[1, 1, 0], [1, 1, 1]], [[0, 1, 1], [1, 0, 1]], [[1, 1, 0], [0, 0, 0]]


def test_flags_follow_from_arguments() -> None:
    assert flags() == set()
    assert flags(PADDED) == {"RightPadded"}
    assert flags(LATE) == {"ArbitraryMask", "MaskedStart"}
    assert flags(LATE, go_backwards=True) == {"ArbitraryMask", "Backwards"}
    assert flags(PADDED, go_backwards=True) == {"RightPadded", "Backwards", "MaskedStart"}
    assert flags(EMPTY) == {"ArbitraryMask", "AllMaskedRow", "MaskedStart"}
    assert flags(PADDED, time_major=True) == {"RightPadded", "TimeMajor"}
    assert flags(PADDED, return_sequences=True) == {"RightPadded", "HeldOutput"}
    assert flags(PADDED, zero_output_for_mask=True) == {"RightPadded", "ZeroOutput"}
    assert flags(PADDED, zero_output_for_mask=True, unroll=True) == {"RightPadded", "ZeroOutput", "UnrollZeroLast"}
    assert flags(state=np.ones((2, 2))) == {"InitialState"}
    assert flags(stateful=True) == {"Stateful"}
    backwards = {"return_sequences": True, "go_backwards": True, "zero_output_for_mask": True, "unroll": True}
    assert "UnrollZeroBackwards" in flags(PADDED, **backwards)
    symmetric = [[1, 0, 1], [1, 1, 1]]
    assert "UnrollZeroBackwards" not in flags(symmetric, **backwards)


def test_flags_of_several_operations() -> None:
    spec, weights = layer(stateful=True, return_state=True)
    call = draw_call(Draw("call"), spec, (2, 3, 3))
    given = replace(call, initial_state=np.full((2, 2), 0.75))
    assert set(observed_flags(spec, weights, [call, ResetStates(), call])) == {"Stateful", "ResetStates"}
    assert set(observed_flags(spec, weights, [call, given])) == {"Stateful", "InitialState", "ExplicitState"}
    assert explicit_state_effect(spec, weights, [call, given]) > 0.1
    assert explicit_state_effect(spec, weights, [call, ResetStates(), given]) == 0
    assert explicit_state_effect(spec, weights, [given, call]) == 0


def test_every_flag_says_what_it_catches() -> None:
    for name, flag in FLAGS.items():
        assert (flag.name, bool(flag.catches), bool(flag.effect)) == (name, True, True)


def test_later_attempts_have_smaller_weights() -> None:
    assert [shrinkage(attempt) for attempt in (0, 3, 4, 8, ATTEMPTS - 1)] == [0, 0, 1, 2, 3]
    tried = []

    def draw(attempt: int) -> Case:
        tried.append(attempt)
        return drawn_case(0, 0, attempt)

    def refuse(case: Case) -> Case:
        raise CertificationError(f"{case.id}: no")

    with pytest.raises(CertificationError, match=f"{ATTEMPTS} attempts failed; the last: random/.*: no"):
        finished(draw, refuse)
    assert tried == list(range(ATTEMPTS))


def test_a_case_that_hardly_judges_is_drawn_again() -> None:
    """The first attempt amplifies errors by thousands."""
    spec = GRUSpec(units=1, activation="linear", return_state=True, use_bias=False)
    attempts = []

    def draw(attempt: int) -> Case:
        attempts.append(attempt)
        above, scale = 1 + 2.0**-23, 2.0 ** (15 - attempt)
        weights = {"kernel": np.array([[0, 0, scale * above]]), "recurrent_kernel": np.zeros((1, 3))}
        call = Call(np.full((1, 1, 1), above))
        return Case("wide", "wide", "verdict", (), (), spec, weights, (call,))

    case = finished(draw, bounded)
    (call,) = case.calls
    assert isinstance(call, Call)
    assert attempts == list(range(len(attempts)))
    assert len(attempts) > 3
    assert 500 < call.expected["state"].kappa < 2000


def test_random_cases_depend_on_seed_and_number_alone() -> None:
    for k in range(4):
        case = random_case(3, k)
        assert regeneration.content(case) == regeneration.content(random_case(3, k))
        bare = comparable_case(3, k)
        for one, other in zip(case.calls, bare.calls, strict=True):
            if isinstance(one, Call) and isinstance(other, Call):
                assert np.array_equal(one.inputs, other.inputs)
                for name, expected in one.expected.items():
                    assert np.array_equal(expected.kappa, other.expected[name].kappa)
                    assert other.expected[name].value is None
        (first, *_) = case.calls
        assert isinstance(first, Call)
        assert case.spec.units <= MOST["units"]
        assert max(first.inputs.shape) <= max(MOST.values())
    assert random_case(3, 0).spec != random_case(4, 0).spec


def test_a_sample_of_the_golden_data_comes_out_the_same_again() -> None:
    count, *different = regeneration.differing()
    assert int(count) > 80
    assert different == []


def dispatched() -> str:
    """Return the vector units that NumPy would choose at run time on this machine."""
    return " ".join(np.show_config(mode="dicts")["SIMD Extensions"]["found"])


@pytest.mark.parametrize(
    "environment",
    [{"OPENBLAS_CORETYPE": "Prescott", "NPY_DISABLE_CPU_FEATURES": dispatched()}, {"OPENBLAS_CORETYPE": "Haswell"}],
)
def test_it_does_so_on_other_machines(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, str(REGENERATION)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    count, *different = done.stdout.split()
    assert int(count) > 80
    assert different == []


def test_golden_data_is_written_into_an_empty_folder_only(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("text")
    with pytest.raises(IntegrityError, match="not empty"):
        generate(tmp_path)


def test_differences_are_files_of_other_content(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for root, version in ((one, "1"), (other, "2")):
        root.mkdir()
        for name, text in (("same", ""), ("changed", version), (f"only{version}", "")):
            (root / name).write_text(text)
        files = ["same", "changed", f"only{version}"]
        (root / "manifest.json").write_bytes(json_bytes({"tools": {"numpy": version}, "files": files}))
    assert differences(one, other) == ["changed", "manifest.json", "only1", "only2"]
    assert differences(one, one) == []


def test_versions_of_tools_are_no_difference(tmp_path: Path) -> None:
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        document = {"suite": "1", "tools": {"numpy": version}, "files": {}}
        (tmp_path / version / "manifest.json").write_bytes(json_bytes(document))
    assert differences(tmp_path / "1", tmp_path / "2") == []
    (tmp_path / "2" / "manifest.json").write_bytes(json_bytes(document | {"suite": "2"}))
    assert differences(tmp_path / "1", tmp_path / "2") == ["manifest.json"]
