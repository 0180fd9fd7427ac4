"""Proof of a conversion by running it: both frameworks with the weights, judged by proven values and bounds.

A conversion moves numbers; whether a framework reads them as its layout says is a fact about the framework. Here each
side runs its own GRU with the weights in its own layout, and every output is held against the exact real result within
the bound of the arithmetic contract.
"""

from gruspec.verification.natives import Natives
from gruspec.verification.results import Run, Side, Verification
from gruspec.verification.verifying import verify

__all__ = ["Natives", "Run", "Side", "Verification", "verify"]
