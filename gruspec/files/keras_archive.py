"""The ``.keras`` archives of Keras 3, and of tf_keras since 2.12: configuration, metadata and weights in a zip file."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, ClassVar

from gruspec.errors import FileError
from gruspec.files.checkpoint import Checkpoint
from gruspec.files.format import Format
from gruspec.files.hdf5 import read_hdf5, refused
from gruspec.files.keras_archive_writing import write_patched_archive, write_sequential
from gruspec.files.keras_config import configured_grus, longest_config, major_version, parse_config
from gruspec.files.keras_finding import found_grus, paired_by_group
from gruspec.files.keras_weights import KerasWeightsFormat, stored_grus
from gruspec.files.keras_zip import (
    CONFIG,
    DAMAGED,
    METADATA,
    SIGNATURE,
    WEIGHTS,
    located_weights,
    member_text,
    opened_archive,
)

if TYPE_CHECKING:
    from pathlib import Path

    from gruspec.files.checkpoint import Contents, Entry

_METADATA_BYTES = 1 << 16


class KerasArchiveFormat(Format):
    """``model.save("x.keras")``."""

    name: ClassVar[str] = "keras"
    title: ClassVar[str] = "Keras archives, whole models"
    suffixes: ClassVar[tuple[str, ...]] = (".keras",)
    modules: ClassVar[tuple[str, ...]] = ("h5py",)
    extra: ClassVar[str | None] = "files"

    def recognises(self, path: Path) -> bool:
        """Return whether a file is a zip archive with a configuration of Keras in it."""
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            if stream.read(len(SIGNATURE)) != SIGNATURE:
                return False
        try:
            with zipfile.ZipFile(path) as archive:
                return {CONFIG, WEIGHTS} <= set(archive.namelist())
        except DAMAGED:
            return False

    def read(self, path: Path) -> Checkpoint:
        """Open a file. Weights are mapped where the archive stores them plain, as Keras does.

        Raises
        ------
        FileError
            If it is damaged or hostile.
        """
        with opened_archive(path) as archive:
            size = path.stat().st_size
            version = _version(path, member_text(archive, path, METADATA, _METADATA_BYTES))
            text = member_text(archive, path, CONFIG, longest_config(size))
            config = parse_config(text, f"{path}, {CONFIG}", size)
            with located_weights(archive, path) as (place, start, length):
                file = read_hdf5(place, start=start, length=length, title=path)
        stored = tuple(stored_grus(file))
        configured = configured_grus(config, keras=major_version(version), where=f"{path}, {CONFIG}")
        return Checkpoint(
            path,
            self.name,
            file.tensors,
            found_grus(stored, paired_by_group(stored, configured), str(path)),
            {"keras_version": version},
            left={**file.left, CONFIG: "it describes the whole model, which only a template keeps"},
        )

    def write(self, path: Path, contents: Contents) -> None:
        """Write a template with new weights, or a Sequential model of one GRU where everything about it is known.

        Raises
        ------
        RefusedFile
            If the template does not fit; or if there is none, and the contents are not one GRU that every Keras
            computes alike.
        """
        if contents.template is not None:
            write_patched_archive(path, contents, contents.template)
        else:
            write_sequential(path, contents)

    def refuses(self, entry: Entry) -> str | None:
        """Return why the archive cannot hold a tensor, or None."""
        return refused(entry)

    def array_name(self, path: str, layout: str, array: str) -> str:
        """Return where the weights in the archive have an array of a GRU: as in ``.weights.h5`` files."""
        return KerasWeightsFormat().array_name(path, layout, array)


def _version(path: Path, text: str) -> str:
    """Return which Keras wrote an archive; its configuration cannot be understood without."""
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path}, {METADATA}: not JSON that can be read ({error})") from error
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    if not isinstance(version, str):
        raise FileError(f"{path}, {METADATA}: keras_version is {version!r:.60}, expected the version that wrote it")
    return version
