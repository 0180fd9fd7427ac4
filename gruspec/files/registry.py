"""File formats by name: those of gruspec, and those of the entry-point group ``gruspec.formats``."""

from __future__ import annotations

import difflib
import stat
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from gruspec.errors import FileError, MissingDependency, PluginError, RefusedFile, UsageError, listed
from gruspec.files.format import GROUP, Format

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from gruspec.files.checkpoint import Checkpoint

_OWN = "gruspec"
BUILT_IN = {
    "safetensors": "gruspec.files.safetensors:SafetensorsFormat",
    "npz": "gruspec.files.npz:NpzFormat",
    "keras-h5": "gruspec.files.keras_h5:KerasH5Format",
    "keras-weights": "gruspec.files.keras_weights:KerasWeightsFormat",
    "keras": "gruspec.files.keras_archive:KerasArchiveFormat",
    "flax-msgpack": "gruspec.files.flax_msgpack:FlaxMsgpackFormat",
}
"""The formats that need no framework."""


@dataclass(frozen=True)
class FormatRegistration:
    """A name and where its format comes from; nothing is imported until :meth:`load`."""

    name: str
    reference: str
    distribution: str | None = None

    def load(self) -> Format:
        """Import the format. What it reads with is not imported.

        Raises
        ------
        PluginError
            If the reference cannot be imported, or does not give a format of this name.
        """
        module, _, attribute = self.reference.partition(":")
        try:
            kind = getattr(import_module(module), attribute)
            loaded = kind()
        except Exception as error:
            raise PluginError(
                f"{self.name}: {self.reference} cannot be loaded: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(loaded, Format):
            raise PluginError(f"{self.name}: {self.reference} gives {type(loaded).__name__}, which is not a Format")
        if loaded.name != self.name:
            raise PluginError(f"{self.name}: {self.reference} names itself {loaded.name!r}")
        return loaded

    def load_usable(self) -> Format:
        """Import the format and check that what it reads with is installed.

        Raises
        ------
        MissingDependency
            If a module that it needs is not importable; the message says what to install.
        PluginError
            As from :meth:`load`, or if a module that it needs cannot even be looked for.
        """
        loaded = self.load()
        missing = self._missing(loaded)
        if missing:
            hint = f"; pip install '{self.distribution or _OWN}[{loaded.extra}]'" if loaded.extra else ""
            raise MissingDependency(f"{self.name} files need {listed(missing)}, which cannot be imported{hint}")
        return loaded

    def _missing(self, loaded: Format) -> list[str]:
        try:
            return [module for module in loaded.modules if not _importable(module)]
        except (ImportError, ValueError) as error:
            raise PluginError(f"{self.name}: modules={loaded.modules!r}: {error}") from error


def _importable(module: str) -> bool:
    """Return whether a module is installed, without importing it; packages above a dotted name are."""
    package, _, _ = module.rpartition(".")
    return (not package or _importable(package)) and find_spec(module) is not None


class FormatRegistry:
    """The formats that there are in this environment, by name.

    Parameters
    ----------
    points
        Entry points of other packages; those that are installed for None.

    Raises
    ------
    PluginError
        If two distributions register the same name.
    """

    def __init__(self, points: Iterable[EntryPoint] | None = None) -> None:
        self._registrations = {name: FormatRegistration(name, reference, _OWN) for name, reference in BUILT_IN.items()}
        for point in entry_points(group=GROUP) if points is None else points:
            found = FormatRegistration(point.name, point.value, point.dist.name if point.dist else None)
            other = self._registrations.get(found.name)
            if other is not None and other != found:
                raise PluginError(
                    f"{found.name}: registered by {other.distribution} as {other.reference} and by "
                    f"{found.distribution} as {found.reference}; uninstall one of them"
                )
            self._registrations[found.name] = found

    def names(self) -> list[str]:
        """Return all names, those of gruspec first, without importing anything."""
        return list(self._registrations)

    def get(self, name: str) -> FormatRegistration:
        """Return a registration by name.

        Raises
        ------
        UsageError
            If there is no such format. The message lists those there are.
        """
        if name not in self._registrations:
            near = difflib.get_close_matches(name, self._registrations, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UsageError(f"{name}: no such file format; {hint}there are {listed(self.names())}")
        return self._registrations[name]

    def loaded(self) -> tuple[list[Format], list[str]]:
        """Return every format that can be loaded, and what is wrong with the others."""
        good, broken = [], []
        for registration in self._registrations.values():
            try:
                good.append(registration.load())
            except PluginError as error:
                broken.append(str(error))
        return good, broken

    def open_file(self, path: str | os.PathLike[str], *, format: str | None = None) -> Checkpoint:  # noqa: A002  the word of the command line
        """Open a file in the format that it has; see :func:`open_file`."""
        place = Path(path)
        _check_readable(place)
        if format is not None:
            return self._read(self.get(format), place)
        good, broken = self.loaded()
        for candidate in _likeliest_first(good, place):
            try:
                recognised = candidate.recognises(place)
            except OSError as error:
                raise FileError(f"{place}: cannot be read: {error}") from error
            if recognised:
                return self._read(self.get(candidate.name), place)
        if not place.exists():
            raise FileError(f"{place}: there is no such file")
        endings = [(_suffix(found, place), found.name) for found in _likeliest_first(good, place)]
        longest = endings[0][0] if endings else ""
        if longest:
            named = " or ".join(name for suffix, name in endings if suffix == longest)
            raise FileError(
                f"{place}: ends in {longest} but is not a file of format {named}: it is damaged, or something else"
                f"{_reported(broken)}"
            )
        raise FileError(
            f"{place}: not a file that gruspec knows; it knows {_titles(good)}{_reported(broken)}; format names one"
        )

    def format_for_writing(self, path: str | os.PathLike[str], format: str | None = None) -> Format:  # noqa: A002  the word of the command line
        """Return the format that a new file is to have; see :func:`format_for_writing`."""
        if format is None:
            good, broken = self.loaded()
            matching = [found for found in _likeliest_first(good, Path(path)) if _suffix(found, Path(path))]
            if not matching:
                suffixes = listed(f"{suffix} ({found.name})" for found in good for suffix in found.suffixes)
                raise UsageError(
                    f"{path}: its name tells no format; those that do end in {suffixes}{_reported(broken)}"
                )
            format = matching[0].name  # noqa: A001  the word of the command line
        usable = self.get(format).load_usable()
        if not usable.writable:
            raise RefusedFile(f"{path}: {usable.name} files are read, not written")
        return usable

    @staticmethod
    def _read(registration: FormatRegistration, path: Path) -> Checkpoint:
        try:
            return registration.load_usable().read(path)
        except OSError as error:
            raise FileError(f"{path}: cannot be read: {error}") from error


@cache
def formats() -> FormatRegistry:
    """Return the formats of this environment."""
    return FormatRegistry()


def open_file(path: str | os.PathLike[str], *, format: str | None = None) -> Checkpoint:  # noqa: A002  the word of the command line
    """Open a checkpoint or model file, whatever its format.

    Parameters
    ----------
    path
        The file or folder; what the format calls so, as the prefix of a TensorFlow checkpoint.
    format
        Name of the format; found by looking at the file for None.

    Returns
    -------
    Checkpoint
        Its tensors and GRUs. A context manager.

    Raises
    ------
    FileError
        If there is no such file, it is of no known format, or it is damaged or hostile.
    MissingDependency
        If its format needs a module that is not installed.
    UsageError
        If there is no format of this name.
    """
    return formats().open_file(path, format=format)


def format_for_writing(path: str | os.PathLike[str], format: str | None = None) -> Format:  # noqa: A002  the word of the command line
    """Return the format of a file to be written, by the ending of its name unless the format is given.

    Raises
    ------
    UsageError
        If the ending is none that is known, or there is no format of this name.
    RefusedFile
        If the format has no writer.
    MissingDependency
        If it needs a module that is not installed.
    """
    return formats().format_for_writing(path, format)


def _check_readable(path: Path) -> None:
    """Refuse what cannot be a checkpoint and might never end.

    Raises
    ------
    FileError
        If the path is a pipe, a device or a socket, an empty file, or not accessible.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        raise FileError(f"{path}: cannot be read: {error}") from error
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise FileError(f"{path}: is neither a file nor a folder")
    if stat.S_ISREG(status.st_mode) and status.st_size == 0:
        raise FileError(f"{path}: is empty")


def _likeliest_first(good: Iterable[Format], path: Path) -> list[Format]:
    """Return formats, those whose ending the name has before the others, the longest ending first."""
    return sorted(good, key=lambda found: -len(_suffix(found, path)))


def _suffix(found: Format, path: Path) -> str:
    """Return the longest ending of a format that a name has, or the empty string."""
    matching = (suffix for suffix in found.suffixes if path.name.lower().endswith(suffix.lower()))
    return max(matching, key=len, default="")


def _titles(good: Iterable[Format]) -> str:
    return listed(f"{found.name} ({found.title})" for found in good)


def _reported(broken: Iterable[str]) -> str:
    return "".join(f"; {text}" for text in broken)
