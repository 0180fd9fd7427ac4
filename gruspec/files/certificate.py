"""Certificates of conversions: what was done, with hashes, as JSON beside the written file."""

from __future__ import annotations

import json
import math
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from gruspec.files.writing import appearing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gruspec.files.converted import ConvertedGRU, FileConversion

CERTIFICATE_VERSION = 1
ENDING = ".gruspec.json"


def certificate(conversion: FileConversion, verification: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the certificate of a conversion, of JSON's types alone.

    Parameters
    ----------
    conversion
        What :func:`gruspec.files.conversion.convert_file` returned.
    verification
        What came out when both frameworks were run, of JSON's types; None where they were not.

    Returns
    -------
    dict
        Valid by :func:`schema`.
    """
    return {
        "certificate": CERTIFICATE_VERSION,
        "source": {
            "name": conversion.source.name,
            "format": conversion.source_format,
            "sha256": conversion.source_sha256,
        },
        "target": {
            "name": conversion.target.name,
            "format": conversion.target_format,
            "sha256": conversion.target_sha256,
        },
        "template": None if conversion.template is None else conversion.template.name,
        "grus": [_gru(gru) for gru in conversion.grus],
        "carried": dict(conversion.carried),
        "left": dict(conversion.left),
        "read_back": "bit for bit",
        "verification": None if verification is None else dict(verification),
        "versions": dict(conversion.versions),
    }


def _gru(gru: ConvertedGRU) -> dict[str, Any]:
    return {
        "source": {
            "path": gru.source_path,
            "layout": gru.source_layout,
            "dtype": gru.source_dtype,
            "cells": [list(cell) for cell in gru.cells],
            "names": dict(gru.source_names),
        },
        "target": {"path": gru.path, "layout": gru.layout, "dtype": gru.dtype, "names": dict(gru.names)},
        "exactness": gru.exactness.value,
        "folding_bound": {str(steps): None if math.isinf(bound) else bound for steps, bound in gru.folding.items()},
        "reset_after": gru.reset_after,
        "use_bias": gru.use_bias,
        "sizes": gru.sizes._asdict(),
        "activation": gru.activation,
        "recurrent_activation": gru.recurrent_activation,
        "notes": list(gru.notes),
    }


def certificate_path(target: Path) -> Path:
    """Return where the certificate of a file belongs.

    >>> from pathlib import Path
    >>> certificate_path(Path("model.pt")).name
    'model.pt.gruspec.json'
    """
    return target.with_name(target.name + ENDING)


def write_certificate(
    conversion: FileConversion,
    verification: Mapping[str, Any] | None = None,
    *,
    force: bool = False,
    beside: Path | None = None,
) -> Path:
    """Write the certificate of a conversion beside the written file, and return where.

    Parameters
    ----------
    conversion, verification
        As of :func:`certificate`.
    force
        Replace one that is there.
    beside
        Where the file is, if that is not yet where it will be.

    Raises
    ------
    RefusedFile
        If there is one already, and ``force`` is not given.
    """
    path = certificate_path(conversion.target if beside is None else beside)
    text = json.dumps(certificate(conversion, verification), indent=2, ensure_ascii=False, allow_nan=False)
    with appearing(path, force=force) as place:
        place.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    return path


def schema() -> dict[str, Any]:
    """Return the JSON Schema of certificates."""
    text = files("gruspec.files").joinpath("certificate.schema.json").read_text(encoding="utf-8")
    parsed: dict[str, Any] = json.loads(text)
    return parsed
