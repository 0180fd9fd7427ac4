"""Covering arrays: few rows in which every allowed combination of few parameters occurs.

A set of rows has strength t where every combination of values of every t parameters stands together in some row. The
construction is the greedy one of Cohen, Dalal, Fredman and Patton, "The AETG system", IEEE Transactions on Software
Engineering 23(7), 1997.
"""

from __future__ import annotations

from itertools import combinations, product
from typing import TYPE_CHECKING, Any

from gruspec.generate.draws import Draw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Row = dict[str, Any]
    Combination = tuple[tuple[str, Any], ...]
    Allowed = Callable[[Mapping[str, Any]], bool]

_CANDIDATES = 6


def covering_array(parameters: Mapping[str, Sequence[Any]], strength: int, allowed: Allowed, key: str) -> list[Row]:
    """Return rows that cover every allowed combination of a strength.

    Parameters
    ----------
    parameters
        Values of each parameter.
    strength
        Number t of parameters of which every allowed combination of values stands in some row.
    allowed
        Whether an assignment, which may be partial, is free of forbidden combinations.
    key
        Seed of the random choices.

    Examples
    --------
    >>> values = {"a": (0, 1), "b": (0, 1), "c": (0, 1)}
    >>> len(covering_array(values, 2, lambda row: True, "doc"))
    4
    """
    subsets = list(combinations(sorted(parameters), strength))
    # a dictionary without values: a set that keeps its order, which must not depend on hashes
    missing = {
        combination: None
        for chosen in subsets
        for values in product(*(parameters[name] for name in chosen))
        if allowed(dict(combination := tuple(zip(chosen, values, strict=True))))
    }
    rows: list[Row] = []
    while missing:
        seed = dict(next(iter(missing)))
        candidates = [
            _complete(seed, parameters, missing, subsets, allowed, Draw(f"{key}/{len(rows)}/{i}"))
            for i in range(_CANDIDATES)
        ]
        best = max(candidates, key=lambda row: len(_covered(row, missing, subsets)))
        for combination in _covered(best, missing, subsets):
            del missing[combination]
        rows.append({name: best[name] for name in parameters})
    return rows


def _covered(row: Row, missing: Mapping[Combination, None], subsets: Iterable[Sequence[str]]) -> list[Combination]:
    """Return the missing combinations that a row, which may be partial, covers."""
    found = (tuple((name, row[name]) for name in chosen) for chosen in subsets if all(name in row for name in chosen))
    return [combination for combination in found if combination in missing]


def _complete(
    seed: Row,
    parameters: Mapping[str, Sequence[Any]],
    missing: Mapping[Combination, None],
    subsets: Sequence[Sequence[str]],
    allowed: Allowed,
    draw: Draw,
) -> Row:
    """Extend a partial row, parameter by parameter in random order, by the value that covers most."""
    names = list(parameters)
    row = dict(seed)
    for i in draw.permutation("order", len(names)):
        name = names[i]
        if name in row:
            continue
        concerned = [chosen for chosen in subsets if name in chosen]
        values = [parameters[name][j] for j in draw.permutation(name, len(parameters[name]))]
        fitting = [value for value in values if allowed(row | {name: value})]
        row[name] = max(fitting, key=lambda value: len(_covered(row | {name: value}, missing, concerned)))
    return row
