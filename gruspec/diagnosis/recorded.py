"""Files of arrays from anywhere: weights, and inputs with the outputs that somebody recorded for them.

Symbols: ``B`` batch, ``T`` timesteps, ``D`` input size, ``u`` units.
"""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.conformance.arrays import dtype_of, unpack
from gruspec.errors import IntegrityError, SpecError, listed
from gruspec.numerics import FORMATS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]
    Floats = NDArray[np.float64]

LARGEST = 2**31
"""Bytes of a file, and of all arrays in it, beyond which it is refused unread."""

_NPY_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of a file by name. Nothing in it is executed, and nothing larger than it claims is allocated.

    Parameters
    ----------
    path
        ``.safetensors`` or ``.npz``.

    Raises
    ------
    IntegrityError
        If it cannot be read, is of another kind, truncated, larger than :data:`LARGEST`, or holds pickled objects.
    MissingDependency
        If it holds bfloat16, and ml_dtypes is not installed.
    """
    readers = {".safetensors": unpack, ".npz": _unzipped}
    if path.suffix not in readers:
        raise IntegrityError(f"{path}: expected a file {' or '.join(readers)}; a pickle is never read")
    try:
        return readers[path.suffix](_bytes(path))
    except OSError as error:
        raise IntegrityError(f"{path}: cannot be read: {error.strerror}") from error
    except IntegrityError as error:
        raise IntegrityError(f"{path}: {error}") from error


def _bytes(path: Path) -> bytes:
    if (size := path.stat().st_size) > LARGEST:
        raise IntegrityError(f"{size} bytes; at most {LARGEST} are read")
    return path.read_bytes()


def _unzipped(data: bytes) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {member.filename.removesuffix(".npy"): _array(archive, member) for member in _members(archive)}
    except IntegrityError:
        raise
    except Exception as error:  # what zipfile and numpy raise on damaged data is of many classes
        raise IntegrityError(f"not an archive of arrays, as numpy.savez writes it: {error}") from error


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    if sum(member.file_size for member in members) > LARGEST:
        raise IntegrityError(f"its arrays have more than {LARGEST} bytes")
    return members


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """Read one array, after its header has been checked against the size of the member."""
    with archive.open(member) as file:
        try:
            version = np.lib.format.read_magic(file)
            shape, _, dtype = _NPY_HEADERS[version](file)
        except (ValueError, KeyError) as error:
            raise IntegrityError(f"{member.filename}: no header of an array: {error}") from error
        if dtype.hasobject:
            raise IntegrityError(f"{member.filename}: pickled objects, which are never read; expected numbers")
        start = file.tell()
    if math.prod(shape) * dtype.itemsize != member.file_size - start:
        raise IntegrityError(f"{member.filename}: {member.file_size - start} bytes of data for the shape {shape}")
    read: NDArray[Any] = np.lib.format.read_array(io.BytesIO(archive.read(member)), allow_pickle=False)
    return read


def finite_floats(arrays: Arrays, dtype: str) -> dict[str, Floats]:
    """Return arrays rounded to a dtype, as float64.

    Raises
    ------
    SpecError
        If one is not of a floating-point dtype of the specification, or not finite there.
    """
    found = {}
    for name, array in arrays.items():
        if array.dtype.name not in FORMATS:
            raise SpecError(f"{name}: dtype {array.dtype}; expected one of {listed(FORMATS)}")
        with np.errstate(over="ignore"):
            found[name] = array.astype(dtype_of(dtype)).astype(np.float64)
        if not np.isfinite(found[name]).all():
            raise SpecError(f"{name}: NaN, infinities or numbers beyond {dtype}; expected finite numbers")
    return found


@dataclass(frozen=True)
class Recorded:
    """Inputs and recorded outputs, batch-major, under one reading of their axes.

    Parameters
    ----------
    inputs
        (B, T, D).
    outputs
        (B, T, u) where ``sequence``, else (B, u).
    sequence, time_major
        Whether the outputs are those of every timestep, and whether inputs and sequences had the time first.
    dtype
        That of the recorded outputs.
    initial, state
        Initial and final state (B, u), if recorded.
    mask
        (B, T), if there is one; outputs at masked timesteps of a sequence are not compared, as what fills them says
        nothing about weights.
    """

    inputs: Floats
    outputs: Floats
    sequence: bool
    time_major: bool
    dtype: str
    initial: Floats | None = None
    state: Floats | None = None
    mask: NDArray[np.bool_] | None = None

    @property
    def units(self) -> int:
        """The number of units."""
        return int(self.outputs.shape[-1])

    def rows(self, count: int) -> Recorded:
        """Return rows of the batch, those with the most valid timesteps first."""
        if count >= len(self.inputs):
            return self
        valid = np.ones(self.inputs.shape[:2]) if self.mask is None else self.mask
        chosen = np.argsort(-valid.sum(axis=1), kind="stable")[:count]
        return self._taken(chosen, slice(None), state=self.state)

    def first(self, timesteps: int) -> Recorded:
        """Return the first timesteps; of a record of last outputs, everything."""
        if not self.sequence or timesteps >= self.inputs.shape[1]:
            return self
        return self._taken(slice(None), slice(timesteps), state=None)

    def _taken(self, rows: slice | NDArray[np.intp], timesteps: slice, state: Floats | None) -> Recorded:
        return Recorded(
            self.inputs[rows, timesteps],
            self.outputs[rows, timesteps] if self.sequence else self.outputs[rows],
            self.sequence,
            self.time_major,
            self.dtype,
            None if self.initial is None else self.initial[rows],
            None if state is None else state[rows],
            None if self.mask is None else self.mask[rows, timesteps],
        )


def recordings(arrays: Arrays) -> list[Recorded]:
    """Return every reading of recorded pairs that their shapes permit, batch-major first.

    Parameters
    ----------
    arrays
        ``inputs`` (B, T, D) or (T, B, D); ``outputs`` (B, u), or a sequence in the order of the inputs; and, where
        there are such, ``initial_state`` and ``state`` (B, u) and ``mask`` (B, T) or (T, B), non-zero where it is True.

    Raises
    ------
    SpecError
        If an array is missing, unknown, of another dtype, empty or not finite, or if no reading fits the shapes.
    """
    known = ("inputs", "outputs", "initial_state", "state", "mask")
    if unknown := [name for name in arrays if name not in known]:
        raise SpecError(f"{listed(unknown)}: unknown in a file of pairs; known are {listed(known)}")
    for name in known[:2]:
        if name not in arrays:
            raise SpecError(f"{name}: missing in the file of pairs, which has {listed(arrays)}")
    for name, array in arrays.items():
        if not array.size:
            raise SpecError(f"{name}: shape {array.shape} has no elements")
    if arrays["inputs"].ndim != 3:
        raise SpecError(f"inputs: shape {arrays['inputs'].shape}; expected (batch, timesteps, input size)")
    dtype = arrays["outputs"].dtype.name
    floats = finite_floats({name: array for name, array in arrays.items() if name != "mask"}, dtype)
    mask = None
    if "mask" in arrays:
        if arrays["mask"].dtype.kind not in "biuf":
            raise SpecError(f"mask: dtype {arrays['mask'].dtype}; expected bool")
        mask = arrays["mask"] != 0
    found = [each for time_major in (False, True) if (each := _read(floats, mask, dtype, time_major=time_major))]
    if not found:
        shapes = listed(f"{name} {array.shape}" for name, array in arrays.items())
        raise SpecError(
            f"shapes of pairs do not fit each other: {shapes}; expected inputs (B, T, D) or (T, B, D), outputs (B, u), "
            "(B, T, u) or (T, B, u) in the order of the inputs, initial_state and state (B, u), mask like the inputs"
        )
    return found


def _read(
    floats: Mapping[str, Floats], mask: NDArray[np.bool_] | None, dtype: str, *, time_major: bool
) -> Recorded | None:
    inputs, outputs = floats["inputs"], floats["outputs"]
    leading = inputs.shape[:2]
    batch, sequence = leading[1 if time_major else 0], outputs.ndim == 3
    fitting = outputs.shape[:-1] == (leading if sequence else (batch,))
    states = (batch, outputs.shape[-1])
    fitting &= all(floats[name].shape == states for name in ("initial_state", "state") if name in floats)
    fitting &= mask is None or mask.shape in (leading, (*leading, 1))
    if not fitting:
        return None
    mask = None if mask is None else mask.reshape(leading)
    if time_major:
        inputs, mask = inputs.swapaxes(0, 1), None if mask is None else mask.T
        outputs = outputs.swapaxes(0, 1) if sequence else outputs
    return Recorded(
        inputs, outputs, sequence, time_major, dtype, floats.get("initial_state"), floats.get("state"), mask
    )
