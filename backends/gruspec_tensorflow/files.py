"""TensorFlow's checkpoints and SavedModels, read and written as data: TensorFlow itself is not needed."""

from __future__ import annotations

import shutil
from collections import defaultdict
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from gruspec.errors import FileError, RefusedFile, listed
from gruspec.files import Checkpoint, Format, Tensor, find_grus
from gruspec.files.templates import check_fits, new_weights
from gruspec_tensorflow.bundle import INDEX, Bundle, index_of, is_index, prefix_of
from gruspec_tensorflow.bundle_writing import problem_of, write_bundle, write_changed_bundle
from gruspec_tensorflow.graph import OBJECT_GRAPH, SAVED_MODEL, configured_grus, object_graph

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gruspec.files import Contents, Entry, FoundGRU
    from gruspec.files.keras_config import ConfiguredGRU
    from gruspec_tensorflow.graph import TrackedObject

_VARIABLES = Path("variables") / "variables"
_FINGERPRINT = "fingerprint.pb"
_MOST_SCOPES = 8
"""How many names an optimizer may put in front of that of a variable."""


class CheckpointFormat(Format):
    """Reader and writer of checkpoints of version 2: ``PREFIX.index`` and ``PREFIX.data-00000-of-00001``.

    Those of ``tf.compat.v1.train.Saver`` name variables; those of ``tf.train.Checkpoint`` and of ``model.save_weights``
    have the path of an object as key, and a graph that gives the names too. What is written names variables, unless a
    template gives the keys and the graph.
    """

    name: ClassVar[str] = "tf-checkpoint"
    title: ClassVar[str] = "checkpoint of TensorFlow"
    suffixes: ClassVar[tuple[str, ...]] = (INDEX,)
    mapped: ClassVar[bool] = True

    def recognises(self, path: Path) -> bool:
        """Return whether a path is a prefix or a file of a checkpoint, or a folder that names its latest."""
        if path.is_dir() and (path / SAVED_MODEL).exists():
            return False
        prefix = prefix_of(path)
        return prefix is not None and (path.name.endswith(INDEX) or is_index(index_of(prefix)))

    def read(self, path: Path) -> Checkpoint:
        """Read the index; tensors are views of the mapped data."""
        prefix = prefix_of(path)
        if prefix is None:
            raise FileError(
                f"{path}: no checkpoint is there; give its prefix, one of its files, or a folder whose file "
                "'checkpoint' names one"
            )
        bundle = Bundle(prefix)
        return _checkpoint(path, self.name, bundle, files=(bundle.index, *bundle.shards))

    def write(self, path: Path, contents: Contents) -> None:
        """Write the files of a checkpoint; ``path`` is their prefix, or the name of the index."""
        prefix = path.with_name(path.name.removesuffix(INDEX))
        if contents.template is None:
            write_bundle(prefix, contents.entries)
            return
        source = prefix_of(contents.template.path)
        if source is None:
            raise FileError(f"{contents.template.path}: the template is no checkpoint")
        bundle = Bundle(source)
        write_changed_bundle(prefix, bundle, _changed(path, contents, contents.template, bundle))

    def refuses(self, entry: Entry) -> str | None:
        """Return why a variable cannot be held: its dtype, or its name."""
        return problem_of(entry)


class SavedModelFormat(Format):
    """Reader of SavedModels, and writer of the same model with other weights."""

    name: ClassVar[str] = "saved-model"
    title: ClassVar[str] = "SavedModel of TensorFlow"
    suffixes: ClassVar[tuple[str, ...]] = ()
    mapped: ClassVar[bool] = True
    folder: ClassVar[bool] = True

    def recognises(self, path: Path) -> bool:
        """Return whether a folder has a ``saved_model.pb``."""
        return path.is_dir() and (path / SAVED_MODEL).is_file()

    def read(self, path: Path) -> Checkpoint:
        """Read variables, and what legacy Keras says of its layers; no function of the model is loaded."""
        if not self.recognises(path):
            raise FileError(f"{path}: no SavedModel, which is a folder with a {SAVED_MODEL}")
        links = [str(entry.relative_to(path)) for entry in path.rglob("*") if entry.is_symlink()]
        if links:
            raise FileError(
                f"{path}: has links ({listed(links)}), which may lead out of it and are not followed; copy it with "
                "what they lead to, as cp -rL does"
            )
        if not index_of(path / _VARIABLES).is_file():
            return Checkpoint(path, self.name, {}, (), mapped=True)
        return _checkpoint(path, self.name, Bundle(path / _VARIABLES), folder=path)

    def write(self, path: Path, contents: Contents) -> None:
        """Copy the template, whose variables get the new weights.

        Its fingerprint, which no longer fits, is left out.
        """
        if contents.template is None:
            raise RefusedFile(
                f"{path}: a SavedModel has functions, which weights do not give; give the same model as template, or "
                "write a tf-checkpoint and load that into the model"
            )
        source = contents.template.path
        bundle = Bundle(source / _VARIABLES)
        changed = _changed(path, contents, contents.template, bundle)
        shutil.copytree(source, path, ignore=partial(_not_copied, source))
        write_changed_bundle(path / _VARIABLES, bundle, changed)

    def refuses(self, entry: Entry) -> str | None:
        """Return why a variable cannot be held: its dtype, or its name."""
        return problem_of(entry)


def _not_copied(source: Path, folder: str, names: list[str]) -> list[str]:
    """Return what is not copied of a folder of a SavedModel: what is written anew, and what no longer fits."""
    if Path(folder) == source:
        return [_FINGERPRINT]
    if Path(folder) == source / _VARIABLES.parent:
        return [name for name in names if name.startswith(f"{_VARIABLES.name}.")]
    return []


def _checkpoint(
    path: Path, form: str, bundle: Bundle, *, folder: Path | None = None, files: tuple[Path, ...] = ()
) -> Checkpoint:
    tensors, left = {}, {}
    for name, record in bundle.records.items():
        if record.dtype is None:
            left[name] = f"its dtype {record.dtype_name} is none of numbers"
        else:
            tensors[name] = Tensor(name, record.shape, record.dtype, partial(bundle.array, name))
    objects = _objects(bundle)
    configured = {} if folder is None else configured_grus(folder, objects)
    grus = tuple(_described(gru, configured) for gru in _found(tensors, objects))
    return Checkpoint(path, form, tensors, grus, mapped=True, left=left, files=files, close=bundle.close)


def _objects(bundle: Bundle) -> tuple[TrackedObject, ...]:
    """Return the objects of a checkpoint; none where it names variables."""
    if OBJECT_GRAPH not in bundle.records:
        return ()
    return object_graph(bundle.string(OBJECT_GRAPH), str(bundle.prefix))


def _found(tensors: Mapping[str, Tensor], objects: tuple[TrackedObject, ...]) -> list[FoundGRU]:
    """Return the GRUs by the keys of variables, then those that only the names of variables tell."""
    by_key = find_grus(tensors)
    taken = {name for gru in by_key for name in gru.names.values()}
    keys: dict[str, str] = {}
    for tracked in objects:
        if tracked.key in tensors:
            keys.setdefault(tracked.name, tracked.key)
    own = {name: key for name, key in keys.items() if key not in taken and not _is_slot(name, keys)}
    by_name = find_grus({name: tensors[key] for name, key in own.items()})
    return [
        *by_key,
        *(replace(gru, names={array: own[name] for array, name in gru.names.items()}) for gru in by_name),
    ]


def _is_slot(name: str, names: Mapping[str, str]) -> bool:
    """Return whether a variable is what an optimizer keeps of another, as ``Adam/m/gru/gru_cell/kernel``."""
    parts = name.split("/", _MOST_SCOPES)
    return any("/".join(parts[start:]) in names for start in range(1, len(parts)))


def _described(gru: FoundGRU, configured: Mapping[frozenset[str], ConfiguredGRU]) -> FoundGRU:
    """Return a GRU with what Keras says of its layer, where it does and the shapes agree."""
    config = configured.get(frozenset(gru.names.values()))
    if config is None or gru.sizes is None or config.units != gru.sizes.units or config.layout not in gru.layouts:
        return gru
    return replace(
        gru,
        layouts=(config.layout,),
        reset_after=config.reset_after if gru.reset_after is None else gru.reset_after,
        activation=config.activation,
        recurrent_activation=config.recurrent_activation,
        options=config.options,
    )


def _changed(path: Path, contents: Contents, template: Checkpoint, bundle: Bundle) -> dict[str, Entry]:
    """Return the new values of variables of a template, by key.

    Raises
    ------
    RefusedFile
        If a GRU is none of the template, or differs from it; or the variables there are partitioned.
    """
    given = new_weights(path, contents, template)
    check_fits(
        path,
        template,
        [f"{key} is cut into parts there, where nothing can be replaced" for key in given if bundle.records[key].parts],
    )
    copies = _copies(bundle)
    return {copy: entry for key, entry in given.items() for copy in copies.get(key, (key,))}


def _copies(bundle: Bundle) -> dict[str, list[str]]:
    """Return, by key, the keys of all variables of the same name and bytes: Keras 3 exports models with copies."""
    alike: dict[tuple[str, int, tuple[int, ...]], list[str]] = defaultdict(list)
    for tracked in _objects(bundle):
        record = bundle.records.get(tracked.key)
        if record is not None:
            alike[tracked.name, record.checksum, record.shape].append(tracked.key)
    return {key: keys for keys in alike.values() for key in keys}
