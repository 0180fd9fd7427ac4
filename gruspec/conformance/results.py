"""Raw results as files, written by gruspec or by any other program.

One safetensors file for each implementation and dtype, ``<implementation>.<dtype>.safetensors``, with one array for
each output: ``<case id>/<call index>/<output name>``, where the name is ``outputs``, ``state``, ``losses``
or ``gradients/<argument>``.
"""

from __future__ import annotations

from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from gruspec.cases.model import Call
from gruspec.conformance.answers import OUTPUTS
from gruspec.conformance.arrays import pack, unpack
from gruspec.conformance.events import CaseFinished
from gruspec.conformance.expectations import file_stem
from gruspec.conformance.implementation import Identity
from gruspec.conformance.replies import Reply, Step
from gruspec.errors import IntegrityError, UsageError, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from gruspec.cases.model import Case
    from gruspec.conformance.events import Event

_SHOWN = 5


def results_path(folder: Path, implementation: str, dtype: str) -> Path:
    """Return where the results of an implementation in a dtype are kept."""
    return folder / f"{file_stem(implementation)}.{dtype}.safetensors"


class ResultsWriter:
    """Collects computed arrays and writes one file for each implementation and dtype.

    Parameters
    ----------
    folder
        Created if it does not exist.
    implementations, dtypes
        Whose results will come.
    force
        Whether to replace existing files.

    Raises
    ------
    UsageError
        If a file exists and ``force`` is not set, or nothing can be written there.
    """

    def __init__(
        self, folder: Path, implementations: Iterable[str], dtypes: Sequence[str], *, force: bool = False
    ) -> None:
        self._folder = folder
        self._arrays: dict[Path, dict[str, NDArray[Any]]] = {
            results_path(folder, name, dtype): {} for name in implementations for dtype in dtypes
        }
        existing = [path for path in self._arrays if path.exists()]
        if existing and not force:
            raise UsageError(f"{listed(existing)}: exists; results are replaced only with --force")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise UsageError(f"{folder}: results cannot be written here: {error}") from error

    def add(self, event: Event) -> None:
        """Take what was computed in one case; other events say nothing."""
        if not isinstance(event, CaseFinished):
            return
        arrays = self._arrays[results_path(self._folder, event.implementation, event.dtype)]
        arrays.update({f"{event.id}/{name}": array for name, array in event.outputs.items()})

    def write(self) -> list[Path]:
        """Write the files, none for an implementation that computed nothing, and return their paths."""
        written = [path for path, arrays in self._arrays.items() if arrays]
        for path in written:
            path.write_bytes(pack(self._arrays[path]))
        return written


class Results:
    """A file of results, in the place of a running implementation.

    Nothing is known of what the program that wrote it can do: what is absent counts as unsupported, and cases that
    must be refused cannot be judged.

    Parameters
    ----------
    path
        The file. Its name without ``.<dtype>.safetensors`` becomes the name of the implementation.
    dtype
        In which all of it was computed.
    cases
        All cases of the suite, whether they are judged now or not.

    Raises
    ------
    UsageError
        If the file cannot be read, or an array belongs to no call of any case.
    IntegrityError
        If it is not a safetensors file.
    """

    def __init__(self, path: Path, dtype: str, cases: Iterable[Case]) -> None:
        if path.is_dir():
            raise UsageError(f"{path}: a folder; --results wants one file")
        self.name = path.name.removesuffix(".safetensors").removesuffix(f".{dtype}")
        self.restarts = 0
        try:
            self._arrays = unpack(path.read_bytes())
        except FileNotFoundError as error:
            raise UsageError(f"{path}: no such file") from error
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error}") from error
        except IntegrityError as error:
            raise IntegrityError(f"{path}: {error}") from error
        known = {key for case in cases for key in _keys(case)}
        unknown = [key for key in self._arrays if key not in known]
        if unknown:
            more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
            raise UsageError(
                f"{path}: {listed(unknown[:_SHOWN])}{more}: no call of any case has this output; "
                "names are <case id>/<call index>/<outputs, state, losses or gradients/argument>"
            )

    def open(self) -> Identity:
        """Return that nothing is declared."""
        return Identity()

    def perform(self, case: Case, dtypes: Sequence[str]) -> Iterator[tuple[str, Reply | None]]:
        """Look a case up."""
        outputs = {key.removeprefix(f"{case.id}/"): self._arrays[key] for key in _keys(case) if key in self._arrays}
        steps = (Step("returned"),) * (1 + len(case.calls))
        if case.result == "invalid":
            steps = (Step("unsupported", ("a file of results cannot show that a case is refused",)),)
        elif not outputs:
            steps = (Step("unsupported", ("not in the file",)),)
        for dtype in dtypes:
            yield dtype, Reply(steps, outputs)

    def close(self, *, at_once: bool = False) -> None:
        """Do nothing: the file is read."""


def _keys(case: Case) -> list[str]:
    return [
        f"{case.id}/{index}/{name}"
        for index, operation in enumerate(case.calls)
        if isinstance(operation, Call)
        for name in operation.expected or OUTPUTS
    ]
