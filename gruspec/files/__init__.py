"""Checkpoints and model files: what is in them, and the weights of their GRUs in another layout, in another file.

Formats that need no framework are here; the others come with the package of their framework, under the entry-point
group ``gruspec.formats``.
"""

from gruspec.files.certificate import certificate, certificate_path, write_certificate
from gruspec.files.checkpoint import Checkpoint, Contents, Entry, FoundGRU, Tensor, WrittenGRU
from gruspec.files.conversion import convert_file
from gruspec.files.converted import ConvertedGRU, FileConversion
from gruspec.files.finding import find_grus
from gruspec.files.format import Format
from gruspec.files.inspection import InspectedGRU, inspect_file
from gruspec.files.registry import FormatRegistry, format_for_writing, formats, open_file
from gruspec.files.selecting import Told, read_weights
from gruspec.files.writing import appearing

__all__ = [
    "Checkpoint",
    "Contents",
    "ConvertedGRU",
    "Entry",
    "FileConversion",
    "Format",
    "FormatRegistry",
    "FoundGRU",
    "InspectedGRU",
    "Tensor",
    "Told",
    "WrittenGRU",
    "appearing",
    "certificate",
    "certificate_path",
    "convert_file",
    "find_grus",
    "format_for_writing",
    "formats",
    "inspect_file",
    "open_file",
    "read_weights",
    "write_certificate",
]
