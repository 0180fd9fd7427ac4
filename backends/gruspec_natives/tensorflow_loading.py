"""TensorFlow as these modules need it: quiet, and with products in the dtype that they are asked for."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def load_tensorflow() -> Any:
    """Return TensorFlow with TF32 switched off, and messages below errors too, unless the environment asks for them."""
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tf = import_module("tensorflow")
    tf.config.experimental.enable_tensor_float_32_execution(enabled=False)
    return tf


@contextmanager
def quiet() -> Iterator[None]:
    """Keep TensorFlow from warning that a cell is deprecated or a kernel cannot be used: both are known here."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
