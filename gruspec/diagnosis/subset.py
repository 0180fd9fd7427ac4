"""A small part of a suite that catches as much as the whole: a set cover, by local search."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from gruspec.generate.draws import Draw

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gruspec.diagnosis.kills import Row

    Masks = dict[str, int]

_ROUNDS = 400
_REPLACED = 6
"""How often part of a subset is chosen anew, and how many cases of it."""


def small_subset(rows: Iterable[Row]) -> list[str]:
    """Return few cases that catch every fault in each variant and dtype in which the whole suite catches it.

    Each time, a case is taken that catches most of what is left; then, again and again, some of the chosen are given up
    and what they caught is covered anew. Where several catch equally much, a draw decides that is always the same. No
    case can be left out of what is found, but another choice of cases may be smaller.
    """
    masks = _undominated(_masks(rows))
    everything = _union(masks.values())
    best = _completed([], masks, everything, Draw("subset"))
    for number in range(_ROUNDS):
        draw = Draw(f"subset/{number}")
        kept = [best[i] for i in draw.permutation("kept", len(best))[_REPLACED:]]
        found = _completed(kept, masks, everything, draw)
        best = min(best, found, key=lambda chosen: (len(chosen), chosen is best))
    return sorted(best)


def _masks(rows: Iterable[Row]) -> Masks:
    """Return what each case catches, one bit for each fault, variant and dtype."""
    caught: Masks = {}
    bit = 1
    for row in rows:
        for cases in row.places.values():
            for case in cases:
                caught[case] = caught.get(case, 0) | bit
            bit <<= 1
    return caught


def _undominated(masks: Masks) -> Masks:
    """Leave out cases that catch nothing which another one does not catch too."""
    found: Masks = {}
    for case, mask in sorted(masks.items(), key=lambda item: (-item[1].bit_count(), item[0])):
        if all(mask & ~other for other in found.values()):
            found[case] = mask
    return found


def _completed(chosen: list[str], masks: Masks, everything: int, draw: Draw) -> list[str]:
    """Add cases until everything is caught, then leave out those that the others make redundant."""
    left = everything & ~_union(masks[case] for case in chosen)
    chosen = list(chosen)
    while left:
        gains = {case: (mask & left).bit_count() for case, mask in masks.items()}
        most = max(gains.values())
        equal = [case for case, gain in gains.items() if gain == most]
        chosen.append(equal[draw.choice(f"case/{len(chosen)}", len(equal))])
        left &= ~masks[chosen[-1]]
    return list(_irredundant([chosen[i] for i in draw.permutation("order", len(chosen))], masks))


def _irredundant(chosen: list[str], masks: Masks) -> Iterator[str]:
    covered = 0
    after = [_union(masks[case] for case in chosen[i + 1 :]) for i in range(len(chosen))]
    for case, others in zip(chosen, after, strict=True):
        if masks[case] & ~(covered | others):
            covered |= masks[case]
            yield case


def _union(masks: Iterable[int]) -> int:
    return reduce(or_, masks, 0)
