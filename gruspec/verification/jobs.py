"""Conversions of files as work that can be shared out: converted, read back, verified, with a certificate beside."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gruspec.errors import FileError, GruspecError, RefusedConversion, RefusedFile, SpecError, SpecTypeError, UsageError
from gruspec.files import Told, certificate_path, convert_file, open_file, read_weights, write_certificate
from gruspec.files.hashing import files_of
from gruspec.files.splitting import parts_of
from gruspec.layouts import layout_named
from gruspec.verification.documents import document
from gruspec.verification.silence import unheard
from gruspec.verification.verifying import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from gruspec.files import FileConversion
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

    Parameters
    ----------
    job
        What to do.
    progress
        As of :func:`gruspec.files.convert_file`.
    natives
        The frameworks to verify with; all that are registered unless given.
    """
    try:
        _check_certificate(job)
        conversion = convert_file(job.source, job.target, job.layout, **job.arguments, progress=progress)
        with _whole_or_nothing(conversion):
            return _proven(job, conversion, natives)
    except GruspecError as error:
        return Outcome(job, code_of(error), str(error))


@contextmanager
def _whole_or_nothing(conversion: FileConversion) -> Iterator[None]:
    """Remove what was written if Ctrl-C comes before the certificate is there."""
    try:
        yield
    except KeyboardInterrupt:
        with open_file(conversion.target, format=conversion.target_format) as written:
            files = list(written.files) or files_of(conversion.target)
        for file in files:
            file.unlink()
        if conversion.target.is_dir():
            shutil.rmtree(conversion.target)
        raise


def _proven(job: Job, conversion: FileConversion, natives: Natives | None) -> Outcome:
    verifications = () if job.verify is False else _verifications(job, conversion, natives)
    shown = document(verifications) if verifications else None
    try:
        path = write_certificate(conversion, shown, force=bool(job.arguments.get("force")))
    except (GruspecError, OSError) as error:
        message = f"{job.target}: was written, but its certificate cannot be: {error}"
        return Outcome(job, ENVIRONMENT, message, conversion, verifications)
    code, message = _verdict(job, verifications)
    return Outcome(job, code, message, conversion, verifications, path)


def code_of(error: GruspecError) -> int:
    """Return what a command ends with because of an error."""
    return next(code for kind, code in _CODES if isinstance(error, kind))


def _check_certificate(job: Job) -> None:
    path = certificate_path(job.target)
    if path.exists() and not job.arguments.get("force"):
        raise RefusedFile(f"{path}: exists already and is left as it is; --force (force=True) replaces it")


def _verdict(job: Job, verifications: tuple[Verification, ...]) -> tuple[int, str]:
    statuses = [verification.status for verification in verifications]
    if "differs" in statuses:
        return DIFFERS, f"{job.target}: a framework computes something else than its weights say; see the certificate"
    if job.verify and statuses.count("verified") < len(statuses):
        return ENVIRONMENT, f"{job.target}: was written, and could not be verified"
    return DONE, ""


def _verifications(job: Job, conversion: FileConversion, natives: Natives | None) -> tuple[Verification, ...]:
    """Run both sides of every GRU, with the weights of the source file."""
    arguments = job.arguments
    found = []
    with open_file(conversion.source, format=conversion.source_format) as checkpoint:
        by_path = {(gru.path, frozenset(gru.names.values())): gru for gru in checkpoint.grus}
        for gru in conversion.grus:
            source = by_path.get((gru.source_path, frozenset(gru.source_names.values())))
            if source is None:
                raise FileError(f"{conversion.source}: changed after it was converted; convert it again")
            told = Told(gru.source_layout, gru.reset_after, arguments.get("units"), arguments.get("stack"))
            layout = layout_named(gru.layout)
            (part,) = (
                part for part in parts_of(read_weights(checkpoint, source, told), layout) if part.cells == gru.cells
            )
            with unheard():
                verification = verify(
                    part.weights,
                    layout_named(gru.source_layout),
                    layout,
                    activation=gru.activation,
                    recurrent_activation=gru.recurrent_activation,
                    allow_folding=bool(arguments.get("allow_folding")),
                    dtype=gru.dtype,
                    natives=natives,
                    one_side=bool(job.verify),
                )
            found.append(verification)
    return tuple(found)
