"""Model files of ONNX: their tensors, and the GRU operators with their weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gruspec.errors import FileError, listed
from gruspec.files import Checkpoint, Format

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import onnx

    from gruspec.files import Contents, Entry, FoundGRU, Tensor, WrittenGRU
    from gruspec.files.mapping import MappedFile

    from .model_tensors import ModelTensors
    from .scopes import Scope

_FIRST_FIELD = 0x08
_FIELDS = b"\x12\x1a\x22\x28\x32\x3a\x42\x72"
"""The tag of ``ir_version``, which comes first in a model, and those of the fields that come behind it."""


class OnnxFormat(Format):
    """Models: initialisers and constants in the file or beside it, mapped, and GRU operators wherever they are."""

    name = "onnx"
    title = "ONNX model"
    suffixes = (".onnx",)
    modules = ("onnx",)
    extra = "onnx"
    states = frozenset({"reset_after", "go_backwards", "time_major"})

    def recognises(self, path: Path) -> bool:
        """Return whether a file begins as a model does, or is named as one."""
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            start = stream.read(3)
        begins = len(start) == 3 and start[0] == _FIRST_FIELD and 0 < start[1] < 0x80 and start[2] in _FIELDS
        return begins or path.name.lower().endswith(self.suffixes)

    def read(self, path: Path) -> Checkpoint:
        """Open a model; its external data must lie in its folder or below.

        Raises
        ------
        FileError
            If it is damaged or hostile.
        """
        from gruspec.files.mapping import MappedFile

        from .model_tensors import ModelTensors

        if not path.stat().st_size:
            raise FileError(f"{path}: is empty")
        data = MappedFile(path)
        tensors = ModelTensors(data)
        found = _Contents(parsed(data), tensors)
        return Checkpoint(
            path,
            self.name,
            found.tensors,
            tuple(found.grus),
            mapped=tensors.mapped,
            left=found.left,
            files=tensors.files,
            close=tensors.close,
        )

    def write(self, path: Path, contents: Contents) -> None:
        """Write a model: that of the template with other weights, or one with a graph of one operator for each GRU.

        Raises
        ------
        RefusedFile
            If a GRU is in another layout, has activations that the operator has not, or does not fit the template.
        """
        if contents.template is None:
            from .new_model import write_new

            write_new(path, contents)
        else:
            from .template import write_like

            write_like(path, contents, contents.template)

    def stated(self, gru: WrittenGRU) -> tuple[str, ...]:
        """Return a note on the activations and the direction that a new operator has where nobody has told them."""
        from .new_model import assumed

        return tuple(assumed(gru))

    def refuses(self, entry: Entry) -> str | None:
        """Return why a model cannot hold a tensor; None if it can."""
        from .model_tensors import kind_of, known_dtypes

        if kind_of(entry.dtype):
            return None
        return f"has the dtype {entry.dtype}, and ONNX has {listed(known_dtypes())}"


def parsed(data: MappedFile) -> onnx.ModelProto:
    """Return the structure of a model; ``raw_data`` says where the numbers are.

    Raises
    ------
    FileError
        If it is damaged, or no model.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it comes without types

    from .wire import skeleton

    model = onnx.ModelProto()
    try:
        model.ParseFromString(skeleton(data))
    except DecodeError as error:
        raise FileError(f"{data.path}: is no ONNX model: {error}") from error
    if not model.HasField("graph"):
        raise FileError(f"{data.path}: is no ONNX model: it has no graph")
    return model


class _Contents:
    """The tensors and the GRUs of a model."""

    def __init__(self, model: onnx.ModelProto, tensors: ModelTensors) -> None:
        from .scopes import references, scopes

        self.tensors: dict[str, Tensor] = {}
        self.left: dict[str, str] = {}
        self.grus: list[FoundGRU] = []
        self._source = tensors
        self._initialisers: set[str] = set()
        self._parts: dict[str, set[str]] = {}
        self._joining: set[str] = set()
        for scope in scopes(model):
            self._take_stored(scope)
            self._take_grus(scope)
        self._hide_parts(references(model))

    def _take_stored(self, scope: Scope) -> None:
        """Take the tensors that a graph keeps."""
        for name, proto in scope.stored.items():
            self._take(scope.prefix + name, self._source.tensor(proto, scope.prefix + name))
        if scope.graph is not None:
            self._initialisers.update(scope.prefix + proto.name for proto in scope.graph.initializer)
            for proto in scope.graph.sparse_initializer:
                self._take(scope.prefix + proto.values.name, "is sparse")

    def _take(self, name: str, found: Tensor | str) -> None:
        if name in self.tensors or name in self.left:
            raise FileError(f"{self._source.files[0]}: two tensors have the name {name!r}")
        if isinstance(found, str):
            self.left[name] = found
        else:
            self.tensors[name] = found

    def _take_grus(self, scope: Scope) -> None:
        """Take the GRU operators of a graph, and the weights that are put together for them."""
        from .operators import Unfit, found_gru, is_gru
        from .scopes import label

        for node in filter(is_gru, scope.nodes):
            try:
                gru, sources = found_gru(node, scope, self._source)
            except Unfit as reason:
                self._take(f"{scope.prefix}{label(node)}", str(reason))
                continue
            if any(gru.path == other.path for other in self.grus):
                raise FileError(f"{self._source.files[0]}: two GRUs have the name {gru.path!r}")
            self.grus.append(gru)
            for source in sources.values():
                self.tensors.setdefault(source.tensor.name, source.tensor)
                self._joining.update(source.nodes)
                for name in source.stored if source.nodes else ():
                    self._parts.setdefault(name, set()).add(source.tensor.name)

    def _hide_parts(self, taken: Mapping[str, set[str]]) -> None:
        """Leave stored tensors that are parts of weights and nothing else; constants say how these are cut."""
        weights = {name for gru in self.grus for name in gru.names.values()}
        for name, into in self._parts.items():
            if name not in weights and taken.get(name, set()) <= self._joining:
                del self.tensors[name]
                if name in self._initialisers:
                    self.left[name] = f"is a part of {listed(sorted(into))}"
