"""Names of layers that are given none, as the reference layer forms them (tf_keras ``engine/base_layer.py``)."""

from __future__ import annotations

import re
from collections import Counter
from threading import Lock

_given: Counter[str] = Counter()
_lock = Lock()


def automatic_name(class_name: str) -> str:
    """Return the class's name in snake case, with a number from the second layer of that class on: gru, gru_1, ...

    Examples
    --------
    >>> [automatic_name("MyGRU") for _ in range(3)]
    ['my_gru', 'my_gru_1', 'my_gru_2']
    """
    words = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", class_name)
    snake = re.sub("([a-z])([A-Z])", r"\1_\2", words).lower()
    stem = f"private{snake}" if snake.startswith("_") else snake
    with _lock:
        number = _given[stem]
        _given[stem] += 1
    return f"{stem}_{number}" if number else stem
