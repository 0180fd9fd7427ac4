"""Golden data: what is written is read, what was tampered with is refused, and what stands there is as it should be."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pytest

from gruspec import GRUSpec
from gruspec.cases import (
    Call,
    Case,
    Expected,
    Flag,
    ResetStates,
    Suite,
    golden_root,
    write_manifest,
    write_topic,
)
from gruspec.cases.files import json_bytes, read_tensors, sha256, tensor_bytes
from gruspec.cases.model import gradient_names, operation_arrays
from gruspec.errors import IntegrityError, UsageError
from gruspec.generate.options import (
    COMMON,
    PARAMETERS,
    SINGLE_CALL_STRENGTH,
    STATEFUL_CALLS,
    STATEFUL_STRENGTH,
    allowed,
    common_rows,
    option_rows,
)
from gruspec.generate.topics import TOPICS
from gruspec.numerics import FORMATS, exactly_representable
from gruspec.spec import outputs_shape, state_shape, weight_shapes
from gruspec.spec.clauses import CLAUSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    Rows = Iterable[dict[str, Any]]

VERSIONS = {"suite_version": "0.0.1", "spec_version": "1", "generator": {"gruspec": "0"}, "tools": {}}
FLAGS = {"Odd": Flag("Odd", "what is odd", "even results")}
OPTION_TOPICS = ("basic", "masking", "stateful", "common")
SEMANTIC_TOPICS = ("elementary", *OPTION_TOPICS, "edge", "invalid")
SEMANTIC_BITS = 8


@pytest.fixture(scope="module")
def golden() -> Suite:
    return Suite.load()


@pytest.fixture(scope="module")
def cases(golden: Suite) -> list[Case]:
    return list(golden.cases())


def small_cases() -> list[Case]:
    """Return cases with every part that a case can have."""
    spec = GRUSpec(units=2, stateful=True, dropout=0.5)
    weights = {"kernel": np.arange(6.0).reshape(1, 6), "recurrent_kernel": np.eye(2, 6), "bias": -np.ones(6)}
    expected = Expected(np.array([[np.nan, -0.0]]), np.array([[0.0, 1.5]], np.float32))
    call = Call(
        inputs=np.array([[[1 / 3], [np.inf]]]),
        mask=np.array([[True, False]]),
        initial_state=np.array([[5e-324, -1.0]]),
        training=True,
        dropout_masks={"inputs": np.full((3, 1, 1), 2.0)},
        expected={"outputs": expected, "state": replace(expected, value=None)},
    )
    full = Case(
        "small/reset-before/full", "small", "stateful", ("Odd",), ("float32",), spec, weights,
        (call, ResetStates(), ResetStates(np.ones((1, 2))), replace(call, mask=None, training=False)),
    )  # fmt: skip
    refused = (call, replace(call, expected={}, raises="ValueError"), ResetStates(raises="AttributeError"))
    return [
        full,
        replace(full, id="small/reset-before/refused-call", result="invalid", calls=refused),
        replace(full, id="small/reset-before/refused-layer", result="invalid", raises="TypeError"),
    ]


def write(root: Path, cases: list[Case]) -> Path:
    write_topic(root, "small", "What is small", FLAGS, cases)
    files = ["cases/small.json", "tensors/small.safetensors"]
    write_manifest(root, VERSIONS, {"small": len(cases)}, files)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "golden", small_cases())


def arrays_of(case: Case) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    return {name: (array.dtype.name, array.shape, array.tobytes()) for name, array in case.arrays().items()}


def edit(path: Path, **changes: Any) -> None:
    """Change the first case of a file and let the manifest vouch for it."""
    document = json.loads(path.read_text())
    document["cases"][0] |= changes
    path.write_text(json.dumps(document))
    vouch(path.parent.parent)


def vouch(root: Path) -> None:
    """Let the manifest say what the files are, whatever they are."""
    manifest = json.loads((root / "manifest.json").read_text())
    for name, entry in manifest["files"].items():
        data = (root / name).read_bytes()
        entry |= {"sha256": sha256(data), "bytes": len(data)}
    (root / "manifest.json").write_text(json.dumps(manifest))


def read(root: Path) -> list[Case]:
    return list(Suite.load(root).cases())


def test_round_trip(root: Path) -> None:
    found = read(root)
    for case, written in zip(found, small_cases(), strict=True):
        assert arrays_of(case) == arrays_of(written)
        for one, other in zip((case, *case.calls), (written, *written.calls), strict=True):
            skipped = {"weights", "inputs", "mask", "initial_state", "dropout_masks", "expected", "states", "calls"}
            assert {k: v for k, v in vars(one).items() if k not in skipped} == {
                k: v for k, v in vars(other).items() if k not in skipped
            }
    suite = Suite.load(root)
    assert (len(suite), suite.topics, suite.flags, suite.version) == (3, ("small",), FLAGS, "0.0.1")


def test_equal_cases_give_equal_bytes(root: Path, tmp_path: Path) -> None:
    again = write(tmp_path / "again", read(root))
    for path in root.rglob("*"):
        assert path.is_dir() or path.read_bytes() == (again / path.relative_to(root)).read_bytes()


def test_arrays_that_are_not_contiguous_are_written_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(tensor_bytes({"a": np.arange(12.0).reshape(3, 4).T, "b": np.arange(9)[::-3]}))
    found = read_tensors(tmp_path / "t")
    assert np.array_equal(found["a"], np.arange(12.0).reshape(3, 4).T)
    assert found["b"].tolist() == [8, 5, 2]


def test_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_bytes({"a": float("nan")})


def test_cases_in_memory_are_a_suite() -> None:
    suite = Suite.from_cases(small_cases(), FLAGS)
    assert (len(suite), suite.topics, suite.root, suite.flags) == (3, ("small",), None, FLAGS)
    with pytest.raises(UsageError, match="none: no such topic; there are small"):
        list(suite.cases(["none"]))


@pytest.mark.parametrize("name", ["cases/small.json", "tensors/small.safetensors"])
@pytest.mark.parametrize("change", ["longer", "other", "gone", "folder"])
def test_files_that_the_manifest_does_not_vouch_for_are_refused(root: Path, name: str, change: str) -> None:
    data = (root / name).read_bytes()
    if change in ("gone", "folder"):
        (root / name).unlink()
    if change == "folder":
        (root / name).mkdir()
    if change == "longer":
        (root / name).write_bytes(data + b"\n")
    if change == "other":
        (root / name).write_bytes(bytes([*data[:-1], data[-1] ^ 1]))
    with pytest.raises(IntegrityError, match=name):
        Suite.load(root)


@pytest.mark.parametrize("name", ["../outside", "cases/../../outside", "/etc/hostname", "linked/outside"])
def test_a_manifest_that_reaches_out_is_refused(root: Path, name: str) -> None:
    (root.parent / "outside").write_bytes(b"")
    (root / "linked").symlink_to(root.parent)
    manifest = json.loads((root / "manifest.json").read_text())
    manifest["files"][name] = {"sha256": sha256(b""), "bytes": 0}
    (root / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(IntegrityError, match="lies outside"):
        Suite.load(root)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"files": 3}', '{"files": {}}', '{"files": {"a": 1}}', "\ufeff{}"]
)
def test_what_is_no_manifest_is_refused(root: Path, text: str) -> None:
    (root / "manifest.json").write_text(text, encoding="utf-8")
    (root / "a").write_bytes(b"")
    with pytest.raises(IntegrityError):
        Suite.load(root)


def test_a_folder_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="no such file"):
        Suite.load(tmp_path)


def test_a_topic_that_the_manifest_does_not_list_as_a_file_is_refused(root: Path) -> None:
    """A file that nothing vouches for must not be read."""
    manifest = json.loads((root / "manifest.json").read_text())
    manifest["topics"]["other"] = 1
    (root / "manifest.json").write_text(json.dumps(manifest))
    for path in ("cases/small.json", "tensors/small.safetensors"):
        shutil.copyfile(root / path, root / path.replace("small", "other"))
    with pytest.raises(IntegrityError, match="other"):
        read(root)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "unknown colour"),
        ({"calls": [{"op": "call", "colour": 1}]}, "unknown colour"),
        ({"calls": [{"op": "reset_states", "states": None, "inputs": 1}]}, "unknown inputs"),
        ({"calls": [{"op": "jump"}]}, "'jump': expected 'call' or 'reset_states'"),
        ({"calls": [{}]}, "missing 'op'"),
        ({"calls": [None]}, "small/reset-before/full"),
        ({"calls": 3}, "small/reset-before/full"),
        ({"weights": {"kernel": "nowhere"}}, "missing 'nowhere'"),
        ({"weights": []}, "small/reset-before/full"),
        ({"spec": {"units": 0}}, "units=0"),
        ({"spec": {"units": 1, "colour": 1}}, "colour"),
        ({"spec": {}}, "units"),
        ({"spec": 3}, "small/reset-before/full"),
        ({"flags": 3}, "small/reset-before/full"),
    ],
)
def test_a_case_that_is_none_is_refused(root: Path, changes: dict[str, Any], message: str) -> None:
    edit(root / "cases/small.json", **changes)
    with pytest.raises(IntegrityError, match=message):
        read(root)


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"flags": {}}', '{"flags": {"a": {}}, "cases": []}', "[" * 10**5, "\x00"]
)
def test_what_is_no_file_of_cases_is_refused(root: Path, text: str) -> None:
    (root / "cases/small.json").write_text(text)
    vouch(root)
    with pytest.raises(IntegrityError, match=r"small\.json"):
        read(root)


def test_a_case_without_a_part_is_refused(root: Path) -> None:
    document = json.loads((root / "cases/small.json").read_text())
    for key in ("id", "clause", "flags", "dtypes", "spec", "weights", "calls", "result"):
        first = {name: value for name, value in document["cases"][0].items() if name != key}
        (root / "cases/small.json").write_text(json.dumps(document | {"cases": [first]}))
        vouch(root)
        with pytest.raises(IntegrityError, match=f"missing '{key}'"):
            read(root)


def tensor_file(header: Any, data: bytes = bytes(24), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def tensor(dtype: str = "F64", shape: tuple[int, ...] = (3,), offsets: tuple[int, int] = (0, 24)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


HOSTILE = {
    "empty": b"",
    "truncated": tensor_file({"a": tensor()})[:-1],
    "cut in the header": tensor_file({"a": tensor()})[:20],
    "too long": tensor_file({"a": tensor()}) + b"1",
    "huge header": tensor_file({}, length=2**63),
    "header that is no JSON": tensor_file(b"{{{"),
    "header that is no text": tensor_file(b"\xff\xfe"),
    "header that is a list": tensor_file([1]),
    "overlapping tensors": tensor_file({"a": tensor(shape=(2,), offsets=(0, 16)), "b": tensor(offsets=(8, 24))}),
    "wrong shape": tensor_file({"a": tensor(shape=(4,))}),
    "negative shape": tensor_file({"a": tensor(shape=(-3,))}),
    "overflowing shape": tensor_file({"a": tensor(shape=(2**62, 8))}),
    "empty but huge shape": tensor_file({"a": tensor(shape=(0, 2**62), offsets=(0, 0))}, b""),
    "bfloat16": tensor_file({"a": tensor("BF16", shape=(12,))}),
    "float8": tensor_file({"a": tensor("F8_E4M3", shape=(24,))}),
    "unknown dtype": tensor_file({"a": tensor("F99")}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tensors_are_refused(root: Path, name: str) -> None:
    (root / "tensors/small.safetensors").write_bytes(HOSTILE[name])
    vouch(root)
    with pytest.raises(IntegrityError, match=r"small\.safetensors: not a safetensors file"):
        read(root)


def test_golden_files_validate() -> None:
    root = golden_root()
    schemas = {path.name: json.loads(path.read_text()) for path in (root / "schemas").glob("*.json")}
    for path in (root / "manifest.json", *(root / "cases").glob("*.json")):
        document = json.loads(path.read_text())
        schema = schemas[document["$schema"].rpartition("/")[2]]
        validator = jsonschema.Draft202012Validator(schema)
        validator.check_schema(schema)
        validator.validate(document)
        assert list(validator.iter_errors(document | {"colour": "red"}))


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "Upper/reset-before/x"},
        {"result": "perhaps"},
        {"dtypes": ["float8"]},
        {"dtypes": []},
        {"raises": "KeyError"},
        {"calls": []},
        {"calls": [{"op": "call"}]},
        {"colour": "red"},
        {"spec": {"units": 0}},
    ],
)
def test_schema_refuses(changes: dict[str, Any]) -> None:
    root = golden_root()
    schema = json.loads((root / "schemas/cases.schema.json").read_text())
    document = json.loads((root / "cases/edge.json").read_text())
    document["cases"] = document["cases"][:1]
    jsonschema.validate(document, schema)
    document["cases"][0] |= changes
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


def test_golden_data_is_small_enough_and_complete(golden: Suite, cases: list[Case]) -> None:
    root = golden_root()
    assert sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) <= 8 * 2**20
    manifest = json.loads((root / "manifest.json").read_text())
    present = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert present == {"manifest.json", *manifest["files"]}
    assert len(cases) == len(golden) == manifest["cases"]
    assert Counter(case.topic for case in cases) == manifest["topics"]
    assert golden.topics == tuple(TOPICS)
    assert sum(isinstance(call, Call) and bool(call.expected) for case in cases for call in case.calls) >= 400


def test_every_tensor_belongs_to_a_case(golden: Suite) -> None:
    root = golden_root()
    for topic in golden.topics:
        used = {f"{place}/{name}" for place, case in enumerate(golden.cases([topic])) for name in case.arrays()}
        assert set(read_tensors(root / f"tensors/{topic}.safetensors")) == used


def test_ids_are_unique_and_tell_topic_and_variant(cases: list[Case]) -> None:
    assert [case_id for case_id, count in Counter(case.id for case in cases).items() if count > 1] == []
    for case in cases:
        assert case.id.startswith(f"{case.topic}/{case.spec.variant}/")


def test_clauses_and_flags_are_known(golden: Suite, cases: list[Case]) -> None:
    used = {flag for case in cases for flag in case.flags}
    assert {case.clause for case in cases} <= set(CLAUSES)
    assert used == set(golden.flags)
    assert all(flag.catches and flag.effect for flag in golden.flags.values())


def test_shapes_and_types_are_those_of_the_specification(cases: list[Case]) -> None:
    for case in cases:
        for name, array in case.arrays().items():
            wanted = "float32" if name.endswith("/kappa") else "bool" if name.endswith("/mask") else "float64"
            assert array.dtype.name == wanted, f"{case.id}: {name}"
        if case.result == "invalid":
            continue
        for call in case.calls:
            if isinstance(call, Call):
                size = call.inputs.shape[2]
                assert {name: array.shape for name, array in case.weights.items()} == weight_shapes(case.spec, size)
                batch, timesteps = call.inputs.shape[:2][:: -1 if case.spec.time_major else 1]
                shapes = {
                    "outputs": outputs_shape(case.spec, batch, timesteps),
                    "state": state_shape(case.spec, batch),
                }
                given = {**case.weights, **operation_arrays(call)}
                shapes |= {f"gradients/{name}": given[name].shape for name in gradient_names(case, call)}
                found = {name: expected.kappa.shape for name, expected in call.expected.items()}
                losses = found.pop("losses", None)
                assert (losses is None) == (case.settings is None), case.id
                assert found == shapes, case.id
                assert all(value.shape == kappa.shape for value, kappa in expectations(case)), case.id


def given_arrays(case: Case) -> dict[str, Any]:
    """Return the arrays that an implementation is given."""
    parts = ("/value", "/kappa")
    return {n: a for n, a in case.arrays().items() if not n.endswith(parts) and a.dtype == np.float64}


def test_inputs_are_exact_in_every_dtype_that_is_judged(cases: list[Case]) -> None:
    for case in cases:
        assert case.dtypes
        for name, array in given_arrays(case).items():
            assert all(exactly_representable(array, FORMATS[dtype]) for dtype in case.dtypes), f"{case.id}: {name}"


def test_semantic_values_have_few_bits(cases: list[Case]) -> None:
    for case in cases:
        if case.topic in SEMANTIC_TOPICS:
            for name, array in given_arrays(case).items():
                size = np.abs(array[array != 0])
                assert exactly_representable(array, FORMATS["bfloat16"]), f"{case.id}: {name}"
                assert np.all(np.frexp(size)[0] * 2.0**SEMANTIC_BITS % 1 == 0), f"{case.id}: {name}"
                assert np.all((size >= 2.0**-14) & (size <= 2.0**10)), f"{case.id}: {name}"


def test_no_weight_stands_for_another(cases: list[Case]) -> None:
    for case in cases:
        if case.topic in OPTION_TOPICS:
            for name, array in case.weights.items():
                assert len(np.unique(array)) == array.size, f"{case.id}: {name}"


def expectations(case: Case) -> Iterator[tuple[Any, Any]]:
    """Yield the values and bounds of a case."""
    for call in case.calls:
        if isinstance(call, Call):
            for expected in call.expected.values():
                assert expected.value is not None
                yield expected.value, expected.kappa


def test_exact_values_are_numbers_of_every_dtype_that_is_judged(cases: list[Case]) -> None:
    """Where kappa is 0 an implementation must hit the value, so the value must be there to be hit."""
    exact = 0
    for case in cases:
        for value, kappa in expectations(case):
            finite = np.isfinite(value)
            assert not kappa[~finite].any()
            hit = value[finite & (kappa == 0)]
            assert all(exactly_representable(hit, FORMATS[dtype]) for dtype in case.dtypes), case.id
            exact += int(np.count_nonzero(hit))
    assert exact > 100


def test_every_element_is_judged(cases: list[Case]) -> None:
    for case in cases:
        for value, kappa in expectations(case):
            finite = np.isfinite(value)
            assert (kappa[finite] * 2.0**-24 <= np.maximum(1, np.abs(value[finite])) / 4).all(), case.id


def test_values_that_are_no_numbers_come_from_inputs_that_are_none(cases: list[Case]) -> None:
    for case in cases:
        if all(np.isfinite(array).all() for array in given_arrays(case).values()):
            assert all(np.isfinite(value).all() for value, _ in expectations(case)), case.id


def missing(rows: Rows, parameters: dict[str, tuple[Any, ...]], strength: int) -> list[Any]:
    """Return the allowed combinations of a strength that no row has."""
    rows = list(rows)
    found = []
    for names in combinations(parameters, strength):
        present = {tuple(row[name] for name in names) for row in rows}
        absent = set(product(*(parameters[name] for name in names))) - present
        found += [row for row in (dict(zip(names, chosen, strict=True)) for chosen in absent) if allowed(row)]
    return found


@pytest.mark.parametrize("variant", ["reset-before", "reset-after"])
def test_every_allowed_combination_of_options_is_covered(variant: str) -> None:
    rows = option_rows(variant)
    single = [row for row in rows if row["calls"] == "one"]
    stateful = [row for row in rows if row["calls"] != "one"]
    assert missing(single, PARAMETERS, SINGLE_CALL_STRENGTH) == []
    assert missing(stateful, PARAMETERS | {"calls": STATEFUL_CALLS}, STATEFUL_STRENGTH) == []
    assert missing(single[: len(single) // 2], PARAMETERS, SINGLE_CALL_STRENGTH)
    assert all(allowed(row) for row in rows)


def test_the_common_region_is_covered() -> None:
    assert missing(common_rows(), PARAMETERS | COMMON, SINGLE_CALL_STRENGTH) == []


def row_of(case: Case) -> dict[str, Any]:
    """Return the options of a case as far as its arguments tell them."""
    call = case.calls[0]
    assert isinstance(call, Call)
    batch, timesteps = call.inputs.shape[:2][:: -1 if case.spec.time_major else 1]
    state = call.initial_state
    options = {name: getattr(case.spec, name) for name in PARAMETERS if hasattr(case.spec, name)}
    sizes = {"batch": batch, "timesteps": timesteps, "input_size": call.inputs.shape[2]}
    kind = "none" if state is None else "non-zero" if state.any() else "zero"
    return options | sizes | {"initial_state": kind, "masked": call.mask is not None}


def test_golden_cases_have_the_options_of_the_covering_arrays(cases: list[Case]) -> None:
    def key(row: dict[str, Any]) -> str:
        return json.dumps(row, sort_keys=True)

    for variant in ("reset-before", "reset-after"):
        wanted = Counter(
            key(
                {name: value for name, value in row.items() if name not in ("mask", "calls")}
                | {"masked": row["mask"] != "none"}
            )
            for row in option_rows(variant)
        )
        found = Counter(
            key(row_of(case))
            for case in cases
            if case.topic in ("basic", "masking", "stateful") and case.spec.variant == variant
        )
        assert found == wanted
