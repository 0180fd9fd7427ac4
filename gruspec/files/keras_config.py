"""The GRUs in the configuration of a Keras model: which layers they are, and where a file keeps their weights."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gruspec.errors import FileError
from gruspec.files.keras_arguments import FLAGS, ConfiguredGRU, gru_arguments, snake_case

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["ConfiguredGRU", "configured_grus", "longest_config", "major_version", "parse_config"]

_DEEPEST = 32
_CONFIG_BYTES = 2 << 20
_SHARE = 8


def major_version(version: str | None) -> int:
    """Return 3 for Keras 3 and later, 2 for what came before and for an unknown version.

    >>> major_version("3.15.1"), major_version("2.21.0"), major_version(None)
    (3, 2, 2)
    """
    match = re.match(r"(\d{1,3})\.", version or "")
    return 3 if match and int(match[1]) >= 3 else 2


def longest_config(file_size: int) -> int:
    """Return how many bytes of configuration are read from a file: parsed JSON takes up to 25 times its text."""
    return max(_CONFIG_BYTES, file_size // _SHARE)


def parse_config(text: str, where: str, file_size: int) -> dict[str, Any]:
    """Read the JSON of a configuration.

    Parameters
    ----------
    text
        At most 2 MiB, or an eighth of the file if that is more.
    where
        The file and what in it, for messages.
    file_size
        Bytes of the file.

    Raises
    ------
    FileError
        If it is too long, nested too deeply, or no JSON object.
    """
    longest = longest_config(file_size)
    if len(text) > longest:
        raise FileError(f"{where}: {len(text)} characters of JSON, more than the {longest} that are read")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{where}: not JSON that can be read ({error})") from error
    if not isinstance(value, dict):
        raise FileError(f"{where}: {type(value).__name__}, expected an object with class_name and config")
    return value


def configured_grus(model: Mapping[str, Any], *, keras: int, where: str) -> tuple[ConfiguredGRU, ...]:
    """Return every GRU of a model, in the order of its layers: what Keras calls GRU, CuDNNGRU or RNN of GRUCell.

    Layers inside models, Bidirectional, TimeDistributed and other wrappers are found; layers of classes that Keras does
    not ship are not.

    Parameters
    ----------
    model
        ``{"class_name": ..., "config": ...}`` as Keras serialises a model or a layer.
    keras
        Which Keras wrote it, as :func:`major_version` says.
    where
        For messages.

    Raises
    ------
    FileError
        If the description of a layer is none.
    """
    return tuple(_Walk(keras, where).visit(model, (), "", 0))


class _Walk:
    """One way through a configuration."""

    def __init__(self, keras: int, where: str) -> None:
        self._keras, self._where = keras, where

    def visit(self, node: object, names: tuple[str, ...], store: str, depth: int) -> Iterator[ConfiguredGRU]:
        """Yield the GRUs of a node; ``names`` are those of the layers around it, ``store`` its own group."""
        class_name, config = self._parts(node, depth)
        own = (*names, str(config.get("name", class_name)))
        inside = names if not depth else own
        if class_name in ("GRU", "CuDNNGRU"):
            yield self._found(class_name, config, own, store if class_name == "CuDNNGRU" else f"{store}/cell")
        elif class_name == "RNN":
            yield from self._cells(config, own, f"{store}/cell", depth)
        elif class_name == "Bidirectional":
            for direction, wrapped in self._directions(config, depth):
                yield from self.visit(wrapped, own, f"{store}/{direction}_layer", depth + 1)
        elif isinstance(config.get("layers"), list):
            for layer, name in self._named(config["layers"], depth):
                yield from self.visit(layer, inside, f"{store}/layers/{name}".lstrip("/"), depth + 1)
        elif isinstance(config.get("layer"), dict):
            yield from self.visit(config["layer"], own, f"{store}/layer", depth + 1)

    def _parts(self, node: object, depth: int) -> tuple[str, Mapping[str, Any]]:
        if depth > _DEEPEST:
            raise FileError(f"{self._where}: layers nested deeper than {_DEEPEST}")
        if not isinstance(node, dict) or not isinstance(node.get("class_name"), str):
            raise FileError(f"{self._where}: {str(node)[:60]!r} in place of a layer with class_name and config")
        config = node.get("config")
        if isinstance(config, list):  # a Sequential before Keras 2.2.3
            config = {"layers": config}
        return node["class_name"], config if isinstance(config, dict) else {}

    def _found(self, class_name: str, config: Mapping[str, Any], names: tuple[str, ...], store: str) -> ConfiguredGRU:
        where = f"{self._where}, layer {'/'.join(names)}"
        if "units" not in config:
            raise FileError(f"{where}: a {class_name} without units")
        gru = gru_arguments(class_name, config, keras=self._keras, where=where)
        return replace(gru, path="/".join(names), store=store)

    def _cells(
        self, config: Mapping[str, Any], names: tuple[str, ...], store: str, depth: int
    ) -> Iterator[ConfiguredGRU]:
        """Yield the GRU cells of an RNN, each with the arguments of the RNN around it."""
        class_name, cell = self._parts(config.get("cell"), depth + 1)
        around = {name: config[name] for name in FLAGS if name in config}
        if class_name == "GRUCell":
            yield self._found(class_name, {**cell, **around, "name": config.get("name", "")}, names, store)
        elif isinstance(cell.get("cells"), list):
            for one, name in self._named(cell["cells"], depth):
                inner_class, inner = self._parts(one, depth + 1)
                if inner_class == "GRUCell":
                    own = (*names, str(inner.get("name", name)))
                    yield self._found(inner_class, {**inner, **around}, own, f"{store}/cells/{name}")

    def _named(self, nodes: Sequence[object], depth: int) -> Iterator[tuple[object, str]]:
        """Yield the members of a container, and the names that files give them: their classes, numbered."""
        used: dict[str, int] = {}
        for node in nodes:
            name = snake_case(self._parts(node, depth + 1)[0])
            used[name] = used.get(name, -1) + 1
            yield node, f"{name}_{used[name]}" if used[name] else name

    def _directions(self, config: Mapping[str, Any], depth: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the layers of a Bidirectional; one that is not given is the other with its direction turned.

        Both output zeros at masked timesteps where they return sequences, whatever they say
        (``force_zero_output_for_mask`` of ``tf_keras/src/layers/rnn/bidirectional.py``).
        """
        forward_class, forward = self._parts(config.get("layer"), depth + 1)
        backward_class: str = forward_class
        backward: Mapping[str, Any] = {**forward, "go_backwards": not forward.get("go_backwards", False)}
        if config.get("backward_layer") is not None:
            backward_class, backward = self._parts(config["backward_layer"], depth + 1)
        for direction, class_name, inner in (
            ("forward", forward_class, forward),
            ("backward", backward_class, backward),
        ):
            name = re.sub(r"^(forward|backward)_", "", str(inner.get("name", snake_case(class_name))))
            forced = {"name": f"{direction}_{name}", "zero_output_for_mask": inner.get("return_sequences", False)}
            yield direction, {"class_name": class_name, "config": {**inner, **forced}}
