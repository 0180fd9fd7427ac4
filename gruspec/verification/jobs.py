"""Conversions of files as work that can be shared out: converted, read back, verified, with a certificate beside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gruspec.errors import FileError, GruspecError, RefusedConversion, RefusedFile, SpecError, SpecTypeError, UsageError
from gruspec.files import Told, certificate_path, convert_file, open_file, read_weights, write_certificate
from gruspec.files.reading_back import weights_at
from gruspec.files.splitting import parts_of
from gruspec.files.writing import refuse_folder
from gruspec.layouts import layout_named
from gruspec.verification.documents import document
from gruspec.verification.silence import unheard
from gruspec.verification.verifying import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from gruspec.files import Checkpoint, ConvertedGRU, FileConversion
    from gruspec.layouts import Weights
    from gruspec.verification.natives import Natives
    from gruspec.verification.results import Verification

DONE, DIFFERS, MISUSE, ENVIRONMENT = 0, 1, 2, 3
"""Codes that a command ends with; the largest of many counts."""

_CODES: tuple[tuple[type[GruspecError], int], ...] = (
    (RefusedConversion, DIFFERS),
    (RefusedFile, DIFFERS),
    (SpecError, DIFFERS),
    (SpecTypeError, DIFFERS),
    (UsageError, MISUSE),
    (GruspecError, ENVIRONMENT),
)
"""What an error means for the one who asked, the first that fits."""


@dataclass(frozen=True)
class Job:
    """A file to convert.

    Parameters
    ----------
    source, target
        The files.
    layout
        Name of the layout to convert to.
    arguments
        Of :func:`gruspec.files.convert_file`, by name.
    verify
        Whether both frameworks run; None for: if both can be imported.
    """

    source: Path
    target: Path
    layout: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    verify: bool | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Parameters
    ----------
    job
        The job.
    code
        What a command ends with for it.
    error
        Why there is no output, or why it was not verified although that was asked; else empty.
    conversion, verifications
        What was done, and a verification for each GRU, where they were wanted.
    certificate
        Where the certificate is.
    """

    job: Job
    code: int
    error: str = ""
    conversion: FileConversion | None = None
    verifications: tuple[Verification, ...] = ()
    certificate: Path | None = None


def perform(job: Job, progress: Callable[[int, int], None] | None = None, natives: Natives | None = None) -> Outcome:
    """Convert a file, verify it and write its certificate; an error of gruspec becomes part of the outcome.

    File and certificate appear together once all is done: until then, what was there is as it was.

    Parameters
    ----------
    job
        What to do.
    progress
        As of :func:`gruspec.files.convert_file`.
    natives
        The frameworks to verify with; all that are registered unless given.
    """
    verifications: list[Verification] = []

    def finish(conversion: FileConversion, place: Path) -> None:
        if job.verify is not False:
            verifications.extend(_verifications(job, conversion, place, natives))
        write_certificate(conversion, document(verifications) if verifications else None, beside=place)

    try:
        _check_certificate(job)
        conversion = convert_file(
            job.source, job.target, job.layout, **job.arguments, progress=progress, finishing=finish
        )
    except GruspecError as error:
        return Outcome(job, code_of(error), str(error))
    code, message = _verdict(job, verifications)
    return Outcome(job, code, message, conversion, tuple(verifications), certificate_path(job.target))


def code_of(error: GruspecError) -> int:
    """Return what a command ends with because of an error."""
    return next(code for kind, code in _CODES if isinstance(error, kind))


def _check_certificate(job: Job) -> None:
    """Refuse before anything is done if the certificate could not be written.

    Raises
    ------
    RefusedFile
        If there is one already, a folder is in its place, or no file can have its name.
    """
    path = certificate_path(job.target)
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        raise RefusedFile(f"{path}: the certificate cannot be written: {error}") from error
    if not job.arguments.get("force"):
        raise RefusedFile(f"{path}: exists already and is left as it is; --force (force=True) replaces it")
    refuse_folder(path)


def _verdict(job: Job, verifications: Sequence[Verification]) -> tuple[int, str]:
    statuses = [verification.status for verification in verifications]
    if "differs" in statuses:
        return DIFFERS, f"{job.target}: a framework computes something else than its weights say; see the certificate"
    if job.verify and statuses.count("verified") < len(statuses):
        return ENVIRONMENT, f"{job.target}: was written, and could not be verified"
    return DONE, ""


def _verifications(
    job: Job, conversion: FileConversion, place: Path, natives: Natives | None
) -> Iterator[Verification]:
    """Run both sides of every GRU: with the weights of the source file, and with those that were written."""
    with (
        open_file(conversion.source, format=conversion.source_format) as source,
        open_file(place, format=conversion.target_format) as target,
    ):
        for gru in conversion.grus:
            with unheard():
                yield verify(
                    _weights_of(source, gru, job),
                    layout_named(gru.source_layout),
                    layout_named(gru.layout),
                    activation=gru.activation,
                    recurrent_activation=gru.recurrent_activation,
                    allow_folding=bool(job.arguments.get("allow_folding")),
                    dtype=gru.dtype,
                    written=_written(target, gru),
                    natives=natives,
                    one_side=bool(job.verify),
                )


def _written(target: Checkpoint, gru: ConvertedGRU) -> Weights:
    return weights_at(target, gru.names, layout_named(gru.layout), gru.sizes, reset_after=gru.reset_after)


def _weights_of(source: Checkpoint, gru: ConvertedGRU, job: Job) -> Weights:
    """Return the weights of the source that a GRU of the target has come from.

    Raises
    ------
    FileError
        If they are not there any more.
    """
    names = dict(gru.source_names)
    found = next((each for each in source.grus if each.path == gru.source_path and dict(each.names) == names), None)
    if found is None:
        raise FileError(f"{source.path}: changed after it was converted; convert it again")
    told = Told(gru.source_layout, gru.reset_after, job.arguments.get("units"), job.arguments.get("stack"))
    parts = parts_of(read_weights(source, found, told), layout_named(gru.layout))
    return next(part.weights for part in parts if part.cells == gru.cells)
