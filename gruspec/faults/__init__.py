"""Wrong GRUs on purpose: a catalogue of faults, many of which have shipped in real frameworks."""

from gruspec.faults.backend import FaultyBackend
from gruspec.faults.catalogue import CATALOGUE
from gruspec.faults.fault import Fault
from gruspec.faults.traits import TRAITS, traits

__all__ = ["CATALOGUE", "TRAITS", "Fault", "FaultyBackend", "traits"]
