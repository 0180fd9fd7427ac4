"""A failure that a sweep has found, and the stand-alone script that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from gruspec.conformance import file_stem
from gruspec.errors import UsageError
from gruspec.sweep.reproducer import reproducer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gruspec.backend import Backend
    from gruspec.cases import Case
    from gruspec.sweep.trial import Failure


@dataclass(frozen=True)
class Noticed:
    """A failure that is going to be shrunk, which may take a while."""

    implementation: str
    k: int
    dtype: str


@dataclass(frozen=True)
class Finding:
    """A failure in its simplest form.

    Parameters
    ----------
    implementation, seed, k
        Whose, and in which random case.
    original
        The random case.
    failure
        What it was shrunk to; of the random case itself where that did not fail again.
    again
        Whether it failed again.
    tried
        How many different cases were tried.
    device
        On which the implementation ran.
    versions
        What its process reported of itself.
    """

    implementation: str
    seed: int
    k: int
    original: Case
    failure: Failure
    again: bool
    tried: int
    device: str
    versions: Mapping[str, str]


def check_writable(folder: Path) -> None:
    """Check that reproducers can be written to a folder, which need not exist yet; nothing is left behind.

    Raises
    ------
    UsageError
        If no file can be written there, or the folder cannot be made.
    """
    try:
        nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        with TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from error


def write_reproducer(finding: Finding, folder: Path, backend: Backend) -> Path:
    """Write a script that shows a failure, and return its path: ``<implementation>-<seed>-<k>.py``.

    A file that is there is never replaced; the new one gets a number of its own. No framework is imported: the versions
    are those of the finding.

    Raises
    ------
    UsageError
        If the file cannot be written.
    """
    failure = finding.failure
    text = reproducer(
        failure.case,
        failure.dtype,
        finding.implementation,
        backend,
        failure.judgement,
        device=finding.device,
        versions=finding.versions,
    )
    stem = f"{file_stem(finding.implementation)}-{finding.seed}-{finding.k}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _written(text, folder, stem)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> UsageError:
    return UsageError(f"--output {folder}: scripts cannot be written here: {error}; name another folder")


def _written(text: str, folder: Path, stem: str) -> Path:
    path, number = folder / f"{stem}.py", 1
    while True:
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            number += 1
            path = folder / f"{stem}-{number}.py"
        else:
            return path
