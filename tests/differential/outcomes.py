"""What came of an operation on a layer: results, as plain arrays and facts, or an exception."""

from __future__ import annotations

import linecache
import traceback
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Returned:
    """An operation was done.

    Parameters
    ----------
    arrays
        What is compared as numbers, by name.
    facts
        What must be equal, by name.
    """

    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """An operation was refused.

    Parameters
    ----------
    error
        What was raised.
    on_purpose
        Whether a ``raise`` statement raised it; otherwise an accident did, or compiled code.
    """

    error: Exception
    on_purpose: bool

    def __str__(self) -> str:
        """Class and beginning of the message."""
        return f"{type(self.error).__name__}: {' '.join(str(self.error).split())[:200]}"


Outcome: TypeAlias = Returned | Refused


def attempt(action: Callable[[], Returned], warned: Literal["error", "ignore"]) -> Outcome:
    """Return what came of an action.

    Parameters
    ----------
    action
        Performs an operation.
    warned
        Whether a warning is an error.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(warned)
            return action()
    except Exception as error:  # noqa: BLE001 - whatever is raised is the outcome
        return Refused(error, _is_on_purpose(error))


def layout(values: Any) -> Any:
    """Return how values are contained in lists and tuples.

    >>> layout([1.0, (2.0, None)])
    ['value', ('value', None)]
    """
    if isinstance(values, list):
        return [layout(value) for value in values]
    if isinstance(values, tuple):
        return tuple(layout(value) for value in values)
    return None if values is None else "value"


def _is_on_purpose(error: Exception) -> bool:
    frames = list(traceback.walk_tb(error.__traceback__))
    frame, line = frames[-1]
    return linecache.getline(frame.f_code.co_filename, line).strip().startswith("raise")
