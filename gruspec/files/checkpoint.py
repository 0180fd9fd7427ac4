"""What is in a file: tensors by name, read when they are asked for, and the GRUs among them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

    from gruspec.layouts import Sizes


@dataclass(frozen=True)
class Tensor:
    """A tensor of a file.

    Parameters
    ----------
    name
        In the file's own words; parts of a path in a hierarchy are joined by ``"/"``.
    shape, dtype
        As declared in the file, and checked against its size before anything is allocated.
    read
        Gives the values: a read-only view of the mapped file where the format can be mapped, else a new array.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[], NDArray[Any]] = field(repr=False, compare=False)


@dataclass(frozen=True)
class FoundGRU:
    """A GRU of a file.

    Parameters
    ----------
    path
        Where it is in the model, as in ``"encoder.rnn"``; empty where the file is the GRU.
    layouts
        Names of the layouts that its tensors can be in, likeliest first. Several where only the reader can know, as
        for the two gate orders of WebNN.
    names
        Tensor of the file for each array of the (first) layout.
    reset_after
        The variant; None where the file does not tell it.
    sizes
        Input size, units, layers, directions; None where one vector does not tell them.
    use_bias
        Whether there is any bias.
    dtype
        Name of the dtype; where the tensors are of several, which no weights are, those joined by ``" and "``.
    activation, recurrent_activation
        Where the file tells them. Other names than those of :data:`gruspec.spec.ACTIVATIONS` stand as they are.
    options
        What else the file tells about the layer, by the names of the reference layer: ``go_backwards``, ``stateful``,
        ``return_sequences`` ...
    """

    path: str
    layouts: tuple[str, ...]
    names: Mapping[str, str]
    reset_after: bool | None
    sizes: Sizes | None
    use_bias: bool
    dtype: str
    activation: str | None = None
    recurrent_activation: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def layout(self) -> str:
        """The likeliest layout."""
        return self.layouts[0]

    @property
    def is_certain(self) -> bool:
        """Whether shapes tell that it is a GRU, and not only the name and the length of one vector."""
        return self.sizes is not None


@dataclass(frozen=True)
class Checkpoint:
    """An open file. A context manager; what its tensors gave must not be used after it is closed.

    Parameters
    ----------
    path
        The file or folder.
    format
        Name of its format.
    tensors
        By name, in the order of the file.
    grus
        The GRUs among them, in the order of the file.
    metadata
        Strings of the file that are no tensors and that a writer of the same format keeps.
    mapped
        Whether tensors are views of the mapped file, so that a file larger than memory can be converted.
    left
        What is in the file and cannot be given as a tensor, and why, by name: strings, objects, packed dtypes.
    files
        The files that were read, for hashing, where that is not the one at ``path`` or all in the folder there.
    close
        Gives back what the reader holds.
    """

    path: Path
    format: str
    tensors: Mapping[str, Tensor]
    grus: tuple[FoundGRU, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    mapped: bool = False
    left: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    close: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Entry:
    """A tensor to write.

    Parameters
    ----------
    name, shape, dtype
        As they are to be.
    fill
        Writes the values into an array of this shape and dtype, C-contiguous, which may be a mapped file.
    view
        Gives the values where an array has them already, as that of a mapped file; None where they are to be made.
        For writers that can do without a copy.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: Callable[[NDArray[Any]], None] = field(repr=False, compare=False)
    view: Callable[[], NDArray[Any]] | None = field(default=None, repr=False, compare=False)

    def array(self) -> NDArray[Any]:
        """Return the values in a new array."""
        import numpy as np

        values = np.empty(self.shape, self.dtype)
        self.fill(values)
        return values


@dataclass(frozen=True)
class WrittenGRU:
    """A GRU to write: what a format that describes layers, and not tensors alone, needs to know.

    Parameters
    ----------
    path
        Where it is in the model.
    layout
        Name of its layout.
    arrays
        The entries of its arrays, by the names of the layout, in the order of the layout.
    reset_after, sizes, use_bias
        As of :class:`FoundGRU`, all known.
    activation, recurrent_activation, options
        As of :class:`FoundGRU`; None where unknown.
    """

    path: str
    layout: str
    arrays: Mapping[str, Entry]
    reset_after: bool
    sizes: Sizes
    use_bias: bool
    activation: str | None = None
    recurrent_activation: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Contents:
    """Everything to write into a file.

    Parameters
    ----------
    carried
        Tensors that are no part of a converted GRU, in the order of the source.
    grus
        The converted GRUs.
    metadata
        Strings to keep, where source and target are of one format.
    template
        An open file of the format to write, whose structure is kept and whose GRUs get new weights; None for none.
    """

    carried: tuple[Entry, ...]
    grus: tuple[WrittenGRU, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    template: Checkpoint | None = None

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All tensors: those carried over, then those of the GRUs."""
        return (*self.carried, *(entry for gru in self.grus for entry in gru.arrays.values()))
