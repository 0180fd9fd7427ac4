"""Cases as JSON documents, and back: the format of ``golden/cases/*.json``.

Arrays are named by their key in the topic's safetensors file, ``<place of the case in its topic>/<name>``; this module
moves between cases and documents and leaves files to :mod:`gruspec.cases.files`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from gruspec.cases.model import GRADIENTS, Call, Case, Expected, Flag, Operation, ResetStates, operation_arrays
from gruspec.cases.soundness import defects
from gruspec.errors import GruspecError, IntegrityError, listed
from gruspec.spec import GRUSpec, WeightSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

Document = dict[str, Any]
T = TypeVar("T")

_CASE_KEYS = ("id", "clause", "flags", "result", "raises", "dtypes", "spec", "weights", "settings", "calls")
_CALL_KEYS = ("op", "inputs", "mask", "initial_state", "training", "dropout_masks", "raises", "expected")


def case_document(case: Case, place: int) -> Document:
    """Return the JSON document of a case; keys of absent parts are left out where the schema says so.

    Parameters
    ----------
    case
        The case.
    place
        Which of the cases of its topic it is: its arrays have keys ``<place>/<name>``.
    """
    document: Document = {
        "id": case.id,
        "clause": case.clause,
        "flags": list(case.flags),
        "result": case.result,
        "dtypes": list(case.dtypes),
        "spec": case.spec.to_dict(),
        "weights": {name: f"{place}/{name}" for name in case.weights},
        "calls": [_operation_document(f"{place}/{i}", operation) for i, operation in enumerate(case.calls)],
    }
    if case.raises:
        document["raises"] = case.raises
    if case.settings is not None:
        document["settings"] = {
            name: value for name, value in asdict(case.settings).items() if name.endswith("_regularizer") and value
        }
    return document


def _operation_document(prefix: str, operation: Operation) -> Document:
    keys = {name: f"{prefix}/{name}" for name in operation_arrays(operation)}
    if isinstance(operation, ResetStates):
        document: Document = {"op": "reset_states", "states": keys.get("states")}
    else:
        document = {"op": "call", "inputs": keys["inputs"]}
        document |= {name: keys.get(name) for name in ("mask", "initial_state")}
        document["training"] = operation.training
        masks = operation.dropout_masks
        document["dropout_masks"] = None if masks is None else {name: keys[f"dropout_masks/{name}"] for name in masks}
        document["expected"] = _expected_document(operation, keys)
    if operation.raises:
        document["raises"] = operation.raises
    return document


def _expected_document(call: Call, keys: Mapping[str, str]) -> Document:
    parts = {
        name: {part: keys[f"{name}/{part}"] for part in ("value", "kappa") if f"{name}/{part}" in keys}
        for name in call.expected
    }
    document: Document = {name: part for name, part in parts.items() if not name.startswith(GRADIENTS)}
    if call.cotangents is not None:
        cotangents = {name: keys[f"{GRADIENTS}cotangents/{name}"] for name in call.cotangents}
        gradients = {name.removeprefix(GRADIENTS): part for name, part in parts.items() if name not in document}
        document["gradients"] = {"cotangents": cotangents} | gradients
    return document


def flag_documents(flags: Mapping[str, Flag]) -> Document:
    """Return the JSON document of flags by name."""
    return {name: {"catches": flag.catches, "effect": flag.effect} for name, flag in flags.items()}


def read_flags(document: Mapping[str, Any]) -> dict[str, Flag]:
    """Read flags by name."""
    return {name: Flag(name, note["catches"], note["effect"]) for name, note in document.items()}


def read_case(topic: str, document: Mapping[str, Any], array: Callable[[str], NDArray[Any]]) -> Case:
    """Read a case.

    Parameters
    ----------
    topic
        The topic of the file that the case stands in.
    document
        The case.
    array
        Gives the array of a key.

    Raises
    ------
    IntegrityError
        If the document has unknown keys, lacks one, describes no possible layer, or cannot be judged.
    """
    name = document.get("id", "a case without id")
    try:
        _refuse_unknown(name, document, _CASE_KEYS)
        for key in ("flags", "dtypes", "calls"):
            _require_kind(name, key, document[key], list)
        settings = document.get("settings")
        case = Case(
            id=document["id"],
            topic=topic,
            clause=document["clause"],
            flags=tuple(document["flags"]),
            dtypes=tuple(document["dtypes"]),
            spec=GRUSpec.from_dict(document["spec"]),
            weights={weight: array(key) for weight, key in document["weights"].items()},
            calls=tuple(_read_operation(name, operation, array) for operation in document["calls"]),
            result=document["result"],
            raises=document.get("raises"),
            settings=None if settings is None else WeightSettings(**settings),
        )
    except KeyError as error:
        raise IntegrityError(f"{topic}: {name}: missing {error}") from error
    except IntegrityError:
        raise
    except (GruspecError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{topic}: {name}: {error}") from error
    if found := list(defects(case)):
        raise IntegrityError(f"{topic}: {name}: {'; '.join(found)}")
    return case


def _read_operation(name: str, document: Mapping[str, Any], array: Callable[[str], NDArray[Any]]) -> Operation:
    raises = document.get("raises")
    if document["op"] == "reset_states":
        _refuse_unknown(name, document, ("op", "states", "raises"))
        return ResetStates(_optional(document["states"], array), raises)
    if document["op"] != "call":
        raise IntegrityError(f"{name}: op={document['op']!r}: expected 'call' or 'reset_states'")
    _refuse_unknown(name, document, _CALL_KEYS)
    _require_kind(name, "training", document["training"], bool)
    masks, expected = document["dropout_masks"], dict(document["expected"])
    gradients, cotangents = dict(expected.pop("gradients", {})), None
    if "gradients" in document["expected"]:
        cotangents = gradients.pop("cotangents")
    expected |= {f"{GRADIENTS}{name}": keys for name, keys in gradients.items()}
    for keys in expected.values():
        _refuse_unknown(name, keys, ("value", "kappa"))
    return Call(
        inputs=array(document["inputs"]),
        mask=_optional(document["mask"], array),
        initial_state=_optional(document["initial_state"], array),
        training=document["training"],
        dropout_masks=None if masks is None else {part: array(key) for part, key in masks.items()},
        cotangents=None if cotangents is None else {part: array(key) for part, key in cotangents.items()},
        expected={
            output: Expected(_optional(keys.get("value"), array), array(keys["kappa"]))
            for output, keys in expected.items()
        },
        raises=raises,
    )


def _optional(key: str | None, array: Callable[[str], T]) -> T | None:
    return None if key is None else array(key)


def _require_kind(name: str, key: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        raise IntegrityError(f"{name}: {key}={value!r}: expected a {kind.__name__}")


def _refuse_unknown(name: str, document: Mapping[str, Any], known: tuple[str, ...]) -> None:
    if unknown := [key for key in document if key not in known]:
        raise IntegrityError(f"{name}: unknown {listed(unknown)}; known are {listed(known)}")
