"""A checkpoint in one file, its GRUs in another layout in another file."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gruspec.errors import FileError, RefusedFile
from gruspec.files.certificate import certificate_path
from gruspec.files.converted import FileConversion, converted_gru, versions_used
from gruspec.files.hashing import Beside, files_of
from gruspec.files.mapping import byte_count
from gruspec.files.planning import Wish, plan_file
from gruspec.files.reading_back import check_written
from gruspec.files.registry import format_for_writing, formats, open_file
from gruspec.files.renaming import Renames
from gruspec.files.replacing import check_apart, check_replaceable, files_read
from gruspec.files.selecting import Told
from gruspec.files.writing import appearing
from gruspec.layouts import layout_named

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Future
    from typing import Any

    from numpy.typing import NDArray

    from gruspec.files.checkpoint import Checkpoint, Contents, Entry
    from gruspec.files.format import Format
    from gruspec.files.planning import FilePlan

    Progress = Callable[[int, int], None]
    Finishing = Callable[[FileConversion, Path], None]


def convert_file(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    layout: str,
    *,
    layers: Iterable[str] = (),
    rename: Iterable[str] = (),
    source_layout: str | None = None,
    source_format: str | None = None,
    target_format: str | None = None,
    template: str | os.PathLike[str] | None = None,
    reset_after: bool | None = None,
    units: int | None = None,
    stack: tuple[int, int] | None = None,
    allow_folding: bool = False,
    dtype: str | None = None,
    activation: str | None = None,
    recurrent_activation: str | None = None,
    force: bool = False,
    progress: Progress | None = None,
    finishing: Finishing | None = None,
) -> FileConversion:
    """Write a file with the GRUs of another in another layout; everything else is carried over untouched.

    The target appears whole or not at all. It is read back before it does, and every weight and every carried tensor
    compared bit for bit with what was meant.

    Parameters
    ----------
    source
        Checkpoint or model file.
    target
        File to write. Its ending tells the format unless ``target_format`` does.
    layout
        Name of the layout of the GRUs in the target.
    layers
        Paths of the GRUs to convert, wildcards allowed; all for none. Others are carried over as they are.
    rename
        Rules ``old=new`` for paths of GRUs and names of tensors; see :class:`gruspec.files.renaming.Renames`.
    source_layout
        Where the tensors could be in several, and would be another GRU in each.
    source_format, target_format
        Names of formats, where the files do not tell.
    template
        File in the format of the target whose structure is kept: its GRUs get the weights.
    reset_after, units, stack, activation, recurrent_activation
        What the source does not tell; ``stack`` is the numbers of layers and directions of one vector of everything.
    allow_folding
        Whether an input and a recurrent bias may be added, and rounded, where the target keeps one for both.
    dtype
        Of the weights of the GRUs; theirs unless given.
    force
        Replace the target if it is there, and remove its certificate. A folder is replaced only where it is a
        checkpoint of the format.
    progress
        Is called with bytes done and bytes to do, while tensors are written and read back.
    finishing
        Is called with what was done, and the place of the file before it appears. Files that it writes beside that
        place appear with the file; what it raises keeps it from appearing.

    Returns
    -------
    FileConversion
        What was done, for a certificate.

    Raises
    ------
    RefusedConversion
        If the layout cannot hold a GRU. Nothing is written.
    RefusedFile
        If the format cannot hold it, or the target is there already, or is the source or something else that must stay.
    FileError
        If the source is damaged, or the target did not read back as it was meant.
    UsageError, SpecError, SpecTypeError
        If an argument is wrong or missing.
    MissingDependency
        If a format needs a module that is not installed.
    """
    source, target = Path(source), Path(target)
    wish = Wish(
        layout_named(layout),
        Told(source_layout, reset_after, units, stack, activation, recurrent_activation),
        allow_folding,
        dtype,
    )
    renames = Renames(rename)
    if source_layout is not None:
        layout_named(source_layout)
    writer = format_for_writing(target, target_format)
    with ExitStack() as opened:
        read = opened.enter_context(open_file(source, format=source_format))
        kept = None if template is None else opened.enter_context(open_file(template, format=writer.name))
        check_apart(target, _by_role(read, kept))
        filed = plan_file(read, writer, wish, layers=layers, renames=renames, template=kept)
        return _written(read, target, writer, filed, force=force, progress=progress, finishing=finishing)


def _by_role(source: Checkpoint, template: Checkpoint | None) -> dict[str, Checkpoint]:
    return {"source": source} if template is None else {"source": source, "template": template}


def _written(
    read: Checkpoint,
    target: Path,
    writer: Format,
    filed: FilePlan,
    *,
    force: bool,
    progress: Progress | None,
    finishing: Finishing | None,
) -> FileConversion:
    files = files_read(read)
    before = _stamps(files)
    steps = _Steps(2 * sum(byte_count(entry.shape, entry.dtype) for entry in filed.contents.entries), progress)
    check = partial(check_replaceable, writer=writer, read=_by_role(read, filed.contents.template))
    with Beside() as beside:
        source_sha256 = beside.digest(files, read.path.parent)
        try:
            with (
                appearing(target, force=force, check=check, obsolete=[certificate_path(target)]) as place,
                _naming(place, target),
            ):
                target_sha256 = _write(place, writer, _reporting(filed.contents, steps), beside)
                names = check_written(place, writer, filed, read.tensors, steps)
                if _stamps(files) != before:
                    raise FileError(f"{read.path}: changed while it was read; convert it again")
                digests = source_sha256.result(), target_sha256.result()
                done = _done(read, target, writer, filed, names, digests)
                if finishing is not None:
                    finishing(done, place)
                return done
        except OSError as error:
            raise FileError(f"{target}: cannot be written: {error}") from error


def _done(
    read: Checkpoint,
    target: Path,
    writer: Format,
    filed: FilePlan,
    names: Iterable[Mapping[str, str]],
    digests: tuple[str, str],
) -> FileConversion:
    return FileConversion(
        source=read.path,
        target=target,
        source_format=read.format,
        target_format=writer.name,
        source_sha256=digests[0],
        target_sha256=digests[1],
        grus=tuple(converted_gru(gru, named) for gru, named in zip(filed.grus, names, strict=True)),
        carried=filed.carried,
        left=filed.left,
        template=None if filed.contents.template is None else filed.contents.template.path,
        versions=versions_used((formats().get(read.format).load(), writer)),
    )


@contextmanager
def _naming(place: Path, target: Path) -> Iterator[None]:
    """Let errors name the file that was to be, and not the place where it was written."""
    try:
        yield
    except (FileError, RefusedFile) as error:
        raise type(error)(str(error).replace(str(place), str(target))) from error
    except OSError as error:
        raise OSError(error.errno, error.strerror) from error


def _write(place: Path, writer: Format, contents: Contents, beside: Beside) -> Future[str]:
    """Write a file, and return its SHA-256 to be."""
    if writer.sequential:
        digest, finished = beside.growing_digest(place)
        writer.write(place, contents)
        finished()
    else:
        writer.write(place, contents)
        digest = beside.digest(_files_below(place), place.parent)
    beside.synchronise(_files_below(place))
    return digest


def _files_below(place: Path) -> list[Path]:
    """Return every file that a format wrote."""
    return [path for entry in place.parent.iterdir() for path in files_of(entry)]


def _stamps(files: Iterable[Path]) -> list[tuple[int, int]]:
    return [(status.st_size, status.st_mtime_ns) for status in (path.stat() for path in files)]


class _Steps:
    """Counts the bytes that were written and read back, and reports them."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total, self._progress, self._done = total, progress, 0

    def __call__(self, count: int) -> None:
        self._done += count
        if self._progress is not None:
            self._progress(min(self._done, self._total), self._total)


def _reporting(contents: Contents, steps: _Steps) -> Contents:
    """Return contents that report each tensor once it was written."""

    def reporting(entry: Entry) -> Entry:
        def fill(values: NDArray[Any]) -> None:
            entry.fill(values)
            steps(values.nbytes)

        return replace(entry, fill=fill, view=None if entry.view is None else partial(viewed, entry.view))

    def viewed(view: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        values = view()
        steps(values.nbytes)
        return values

    return replace(
        contents,
        carried=tuple(reporting(entry) for entry in contents.carried),
        grus=tuple(
            replace(gru, arrays={array: reporting(entry) for array, entry in gru.arrays.items()})
            for gru in contents.grus
        ),
    )
