"""TensorFlow and legacy Keras: how they are loaded, which classes are meant, which settings change a result."""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gruspec.errors import MissingDependency

if TYPE_CHECKING:
    from collections.abc import Iterator

_INSTALL = "pip install 'gruspec[tensorflow]'"
_INFORMATION = re.compile(rb"I\d{4} |WARNING: All log messages before absl::InitializeLog\(\)")


@dataclass(frozen=True)
class KerasClass:
    """A layer class by where users find it and where it must have been defined.

    Parameters
    ----------
    public
        Module that hands the class out, as ``tf_keras.api._v1.keras.layers``, which is what
        ``tf.compat.v1.keras.layers`` resolves to under ``TF_USE_LEGACY_KERAS=1``
        (``tensorflow/python/util/lazy_loader.py``).
    defined_in
        Module of the definition.
    name
        Name in both.
    """

    public: str
    defined_in: str
    name: str = "GRU"

    def resolve(self) -> Any:
        """Return the class.

        Raises
        ------
        MissingDependency
            If it cannot be imported, or what stands under its name is another class.
        """
        load_tensorflow()
        try:
            found = getattr(import_module(self.public), self.name)
        except (ImportError, AttributeError) as error:
            raise MissingDependency(f"{self.public}.{self.name} cannot be imported ({error}); {_INSTALL}") from error
        if (found.__module__, found.__qualname__) != (self.defined_in, self.name):
            raise MissingDependency(
                f"{self.public}.{self.name} is {found.__module__}.{found.__qualname__}; expected the class that legacy "
                f"Keras defines in {self.defined_in}; {_INSTALL} into an environment where nothing replaces tf_keras"
            )
        return found


def load_tensorflow() -> Any:
    """Return TensorFlow with TF32 switched off; imported at the first use.

    TF32 has 10 bits of precision, so that products under it are not float32. Memory on a GPU is taken as needed, to
    share it with other implementations in the same process. Messages are kept to fatal ones unless
    ``TF_CPP_MIN_LOG_LEVEL`` says otherwise: what goes wrong in an operation raises as well.

    Raises
    ------
    MissingDependency
        If TensorFlow is not installed, or eager execution has been disabled in this process.
    """
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    try:
        with _without_start_messages():
            tf = import_module("tensorflow")
    except ImportError as error:
        raise MissingDependency(f"tensorflow cannot be imported ({error}); {_INSTALL}") from error
    if not tf.executing_eagerly():
        raise MissingDependency(
            "tensorflow: eager execution is disabled in this process, by disable_v2_behavior() or a graph that is "
            "being built; call outside of it, in a process with TensorFlow 2 behaviour"
        )
    tf.config.experimental.enable_tensor_float_32_execution(enabled=False)
    return tf


def versions() -> dict[str, str]:
    """Return the versions of the packages, of what they were built with, and the settings that change a result."""
    tf = load_tensorflow()
    from importlib.metadata import version

    build = tf.sysconfig.get_build_info()
    libraries = {name: str(build[f"{name}_version"]) for name in ("cuda", "cudnn") if f"{name}_version" in build}
    return {
        "tensorflow": tf.__version__,
        "tf_keras": version("tf_keras"),
        **libraries,
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        "tf32": "on" if tf.config.experimental.tensor_float_32_execution_enabled() else "off",
    }


@contextmanager
def without_warnings() -> Iterator[None]:
    """Keep TensorFlow's logger from warning, as layers do at their construction about kernels they cannot use."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _without_start_messages() -> Iterator[None]:
    """Drop the informational lines that TensorFlow prints while it is imported; pass everything else on.

    TensorFlow 2.21 prints them from C++ before it reads ``TF_CPP_MIN_LOG_LEVEL``, so only the file descriptor can be
    held.
    """
    if "tensorflow" in sys.modules:
        yield
        return
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            os.write(2, b"".join(line for line in held if not _INFORMATION.match(line)))
