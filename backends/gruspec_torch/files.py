"""The files of ``torch.save``: state dicts, alone or in containers. Nothing of a file is executed."""

from __future__ import annotations

import io
import sys
import zipfile
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from gruspec.errors import FileError, RefusedFile, listed
from gruspec.files import Checkpoint, Entry, Format, find_grus
from gruspec.files.templates import check_fits, new_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gruspec.files import Contents, Tensor
    from gruspec.files.mapping import MappedFile

    from .archive import Archive
    from .records import Budget
    from .storages import Storages

_ZIP = b"PK\x03\x04"
_PICKLE = b"\x80"
_PROTOCOLS = range(2, 6)
_TAR = ("sys_info", "pickle", "tensors", "storages")
"""Members of the tar archives of PyTorch before 0.1.10."""
_ARCHIVED = ("data.pkl", "constants.pkl")
_LARGE = 1 << 26
"""Bytes from which a tensor to write is filled in a mapped file, and not in memory."""
_ORDERS = {b"little": "little", b"big": "big"}


class TorchFormat(Format):
    """State dicts, alone or in dicts and lists, as ``torch.save`` writes them and has written them.

    Read without PyTorch: pickles are taken for data (:mod:`gruspec_torch.unpickling`), and tensors are views of the
    mapped file. Written by ``torch.save``.
    """

    name = "torch"
    title = "state dict of PyTorch"
    suffixes = (".pth", ".bin", ".ckpt", ".pt")
    modules = ("torch",)
    extra = "torch"
    mapped = True

    def recognises(self, path: Path) -> bool:
        """Return whether a file is a zip archive with a pickle in it, a pickle, or the tar archive of old releases."""
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            start = stream.read(512)
        if start.startswith(_ZIP):
            return any(PurePosixPath(name).name in _ARCHIVED for name in _members(path))
        if start.startswith(_PICKLE):
            return len(start) > 1 and start[1] in _PROTOCOLS
        return start[257:262] == b"ustar" and start[:100].rstrip(b"\0").decode("latin-1") in _TAR

    def read(self, path: Path) -> Checkpoint:
        """Open a file.

        Raises
        ------
        FileError
            If it is damaged or hostile, or holds what would have to be executed: a module, TorchScript, objects.
        """
        from gruspec.files.mapping import MappedFile

        from .nesting import Found
        from .records import Budget

        if not path.stat().st_size:
            raise FileError(f"{path}: is empty")
        data = MappedFile(path)
        budget = Budget(path, len(data))
        value, storages = _contents(data, budget)
        found = Found(value, storages, 8 * len(data) + 16 * 2**20, str(path), budget)
        return Checkpoint(
            path,
            self.name,
            found.tensors,
            find_grus(found.tensors),
            metadata=found.metadata,
            mapped=True,
            left=found.left,
            close=data.close,
        )

    def write(self, path: Path, contents: Contents) -> None:
        """Write tensors with ``torch.save``: in one dict, or in the containers that a source of this format had.

        With a template, its tensors are written in its containers, those of the GRUs with new values.

        Raises
        ------
        RefusedFile
            If PyTorch does not have a dtype, or two tensors have one name; or if the template does not fit, or has
            what is no tensor.
        """
        import torch

        from .nesting import nested

        tensors: dict[str, torch.Tensor] = {}
        entries = contents.entries if contents.template is None else _of_template(path, contents, contents.template)
        for entry in entries:
            reason = self.refuses(entry)
            if reason or entry.name in tensors:
                raise RefusedFile(f"{path}: tensor {entry.name!r} {reason or 'is there twice'}")
            tensors[entry.name] = _tensor(entry, path.parent)
        metadata = contents.template.metadata if contents.template else contents.metadata
        torch.save(nested(tensors, metadata), path)

    def refuses(self, entry: Entry) -> str | None:
        """Return why a state dict cannot hold a tensor; None if it can."""
        import torch

        from .storages import EXTENDED, PLAIN

        known = [name for name in (*sorted(PLAIN), *EXTENDED) if hasattr(torch, name)]
        if entry.dtype.name in known and entry.dtype.isnative:
            return None
        return f"has the dtype {entry.dtype}, and PyTorch has {listed(known)}"


def _of_template(path: Path, contents: Contents, template: Checkpoint) -> tuple[Entry, ...]:
    """Return all tensors of a template, those of its GRUs with new values.

    Raises
    ------
    RefusedFile
        If it does not fit, or has what is no tensor and would be lost.
    """
    check_fits(
        path,
        template,
        [
            f"{name} {reason}, and tensors alone can be written; save the state dict alone as template"
            for name, reason in template.left.items()
        ],
    )
    changed = new_weights(path, contents, template)
    return tuple(
        replace(changed[name], name=name) if name in changed else _as_it_is(tensor)
        for name, tensor in template.tensors.items()
    )


def _as_it_is(tensor: Tensor) -> Entry:
    """Return an entry with the values of a tensor of a mapped file."""

    def fill(values: NDArray[Any]) -> None:
        values[...] = tensor.read()

    return Entry(tensor.name, tensor.shape, tensor.dtype, fill, tensor.read)


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, EOFError):
        return []


def _contents(data: MappedFile, budget: Budget) -> tuple[Any, Storages]:
    """Return what a file holds and where its tensors are kept."""
    start = data.bytes(0, 512)
    if start.startswith(_ZIP):
        return _archived(data, budget)
    if start.startswith(_PICKLE):
        from .legacy import read_legacy

        return read_legacy(data, budget)
    old = start[257:262] == b"ustar"
    raise FileError(
        f"{data.path}: is a tar archive of PyTorch before 0.1.10; where it is trusted, load it with torch.load(..., "
        "weights_only=False) and save it again"
        if old
        else f"{data.path}: is no file of torch.save: it begins with {start[:8]!r}"
    )


def _archived(data: MappedFile, budget: Budget) -> tuple[Any, Storages]:
    from .archive import Archive
    from .unpickling import unpickled

    archive = Archive(data, budget)
    folder = archive.folder()
    name = f"{folder}data.pkl"
    pickled = archive.array(name, "the pickle").tobytes()
    return unpickled(io.BytesIO(pickled), f"{data.path}: {name}", budget).value, _ArchivedStorages(
        data.path, archive, folder
    )


class _ArchivedStorages:
    """Storage as records ``data/<key>`` of an archive."""

    def __init__(self, path: Path, archive: Archive, folder: str) -> None:
        self._archive, self._folder = archive, folder
        order = f"{folder}byteorder"
        written = archive.array(order, "the byte order").tobytes() if order in archive.records else b"little"
        if written not in _ORDERS:
            raise FileError(f"{path}: record {order!r}: {written[:40]!r} is no byte order")
        self.swapped = _ORDERS[written] != sys.byteorder

    def size(self, key: str, what: str) -> int:
        name = f"{self._folder}data/{key}"
        if name not in self._archive.records:
            raise FileError(f"{what} is said to be in record {name!r}, which there is not")
        return self._archive.records[name].size

    def array(self, key: str, what: str) -> NDArray[np.uint8]:
        return self._archive.array(f"{self._folder}data/{key}", what)


def _tensor(entry: Entry, folder: Path) -> Any:
    """Return the tensor of an entry; where it is large, in a file without a name in a folder, mapped."""
    import warnings

    import torch

    from .storages import EXTENDED

    values = _values(entry, folder)
    extended = entry.dtype.name in EXTENDED
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)  # it is saved alone
        tensor = torch.from_numpy(values.view(f"i{entry.dtype.itemsize}") if extended else values)
    return tensor.view(getattr(torch, entry.dtype.name)) if extended else tensor


def _values(entry: Entry, folder: Path) -> NDArray[Any]:
    """Return the values of an entry, contiguous and aligned."""
    import tempfile

    import numpy as np

    from gruspec.files.mapping import byte_count

    if entry.view is not None:
        return np.require(entry.view(), requirements=["C", "A"])
    if byte_count(entry.shape, entry.dtype) < _LARGE:
        return entry.array()
    with tempfile.TemporaryFile(dir=folder) as scratch:
        mapped = np.memmap(scratch, entry.dtype, "w+", shape=entry.shape)
    entry.fill(mapped)
    return np.asarray(mapped)
