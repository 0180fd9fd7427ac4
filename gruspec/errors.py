"""Every error that gruspec raises on purpose.

::

    GruspecError
    ├── SpecError (ValueError)          an argument whose value no GRU can have
    ├── SpecTypeError (TypeError)       an argument of the wrong type
    ├── NotStatefulError (AttributeError)  a stateful operation on a layer that keeps no state
    ├── Unsupported                     an implementation declines what it cannot do, with reasons
    ├── RefusedConversion               a layout cannot hold these weights, with reasons and layouts that could
    ├── FileError                       a file is damaged, hostile, or not what it says
    ├── RefusedFile                     a format cannot hold what is to be written, or a file would be overwritten
    ├── UsageError                      the command or call cannot mean anything: unknown names, bad expectations
    ├── IntegrityError                  data is not what its manifest or schema says
    ├── MissingDependency               a framework that is not installed, or not usable here
    ├── DeviceUnavailable               a device that this machine or this build does not have
    ├── PluginError                     a registered implementation that cannot be loaded
    └── CertificationError              no proven value exists for this case within the precision cap

Messages name the argument and its value and say what would work. ``SpecError``, ``SpecTypeError`` and
``NotStatefulError`` are also the built-in classes that the reference layer raises, so that code written for it
keeps working.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class GruspecError(Exception):
    """Base of all errors raised by gruspec."""


class SpecError(GruspecError, ValueError):
    """An argument has a value that no GRU can have."""


class SpecTypeError(GruspecError, TypeError):
    """An argument has the wrong type."""


class NotStatefulError(GruspecError, AttributeError):
    """A stateful operation was asked of a layer that keeps no state."""


class Unsupported(GruspecError):
    """An implementation declines a specification.

    Parameters
    ----------
    *reasons
        What it cannot do, one clause each, as in ``"activation='relu': only tanh"``.
    """

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


class RefusedConversion(GruspecError):
    """A layout cannot hold the weights of a GRU.

    Parameters
    ----------
    target
        The layout.
    reasons
        What it cannot hold, one clause each, with the gate and the value.
    could
        The layouts that can.
    foldable
        Whether it could if biases may be folded.
    """

    def __init__(
        self, target: str, reasons: Iterable[str], could: Iterable[str] = (), *, foldable: bool = False
    ) -> None:
        self.target, self.reasons, self.could, self.foldable = target, tuple(reasons), tuple(could), foldable
        hint = " (allow_folding adds and rounds them)" if foldable else ""
        others = listed(self.could)
        super().__init__(
            f"{target} cannot hold these weights: {'; '.join(self.reasons)}{hint}. Layouts that can: {others}"
        )


class FileError(GruspecError):
    """A file is damaged, hostile, or not what it says: the message names the file and the tensor or offset."""


class RefusedFile(GruspecError):
    """A format cannot hold what is to be written, or a file would be overwritten unasked."""


class UsageError(GruspecError):
    """The command or call cannot mean anything."""


class IntegrityError(GruspecError):
    """Data is not what its manifest or schema says."""


class MissingDependency(GruspecError):
    """A framework is not installed, or what is installed is not the one that is needed."""


class DeviceUnavailable(GruspecError):
    """A device was asked for that this machine, or this build of a framework, does not have."""


class PluginError(GruspecError):
    """A registered implementation cannot be loaded."""


class CertificationError(GruspecError):
    """No proven value exists for a case within the precision cap: draw another case."""


def listed(names: Iterable[object]) -> str:
    """Write names as a comma-separated list for a message.

    >>> listed(["torch", "jax"])
    'torch, jax'
    >>> listed([])
    'none'
    """
    return ", ".join(str(name) for name in names) or "none"
