"""A suite: all golden cases of a folder, read when they are needed."""

from __future__ import annotations

import itertools
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gruspec.cases.files import (
    MANIFEST,
    json_bytes,
    listing_bytes,
    read_json,
    read_tensors,
    sha256,
    tensor_bytes,
    verify,
    write_bytes,
)
from gruspec.cases.format import case_document, flag_documents, read_case, read_flags
from gruspec.errors import IntegrityError, UsageError, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gruspec.cases.model import Case, Flag

PACKAGE = Path(__file__).parent.parent
QUICK = "quick.json"


def golden_root() -> Path:
    """Return where the golden data of this installation is: in the package, or beside it in a checkout.

    Raises
    ------
    IntegrityError
        If it is in neither place.
    """
    for root in (PACKAGE / "_golden", PACKAGE.parent / "golden"):
        if (root / MANIFEST).is_file():
            return root
    raise IntegrityError(f"no golden data beside {PACKAGE}; name its folder, or run: gruspec generate --output golden")


class Suite:
    """Cases with expected values, and what a reader must know about them.

    Use :meth:`load` for a folder of golden data and :meth:`from_cases` for cases in memory.

    Attributes
    ----------
    root
        The folder, or None for cases in memory.
    version, spec_version
        Versions of the data and of the specification that it states.
    sha256
        Digest of the manifest: the identity of the suite.
    """

    def __init__(self, root: Path | None, manifest: Mapping[str, Any], digest: str) -> None:
        self.root = root
        self.version: str = manifest["suite_version"]
        self.spec_version: str = manifest["spec_version"]
        self.sha256 = digest
        self._counts: dict[str, int] = dict(manifest["topics"])
        self._loaded: dict[str, tuple[Case, ...]] = {}
        self._flags: dict[str, Flag] = {}

    @classmethod
    def load(cls, root: Path | None = None) -> Suite:
        """Open a folder of golden data after verifying every file against the manifest.

        Parameters
        ----------
        root
            The folder; by default the data of this installation.

        Raises
        ------
        IntegrityError
            If a file is missing or not what the manifest says, or is not in the manifest.
        """
        root = golden_root() if root is None else root
        manifest = read_json(root / MANIFEST)
        try:
            verify(root, manifest["files"])
            needed = [file(topic) for topic in manifest["topics"] for file in (case_file, tensor_file)]
            if unknown := [name for name in needed if name not in manifest["files"]]:
                raise IntegrityError(f"{root / MANIFEST}: vouches for no {listed(unknown)}")
            return cls(root, manifest, sha256((root / MANIFEST).read_bytes()))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise IntegrityError(f"{root / MANIFEST}: not a manifest of golden data: {error!r}") from error

    @classmethod
    def from_cases(cls, cases: Iterable[Case], flags: Mapping[str, Flag] | None = None) -> Suite:
        """Make a suite of cases in memory."""
        by_topic: dict[str, list[Case]] = {}
        for case in cases:
            by_topic.setdefault(case.topic, []).append(case)
        counts = {topic: len(found) for topic, found in by_topic.items()}
        suite = cls(None, {"suite_version": "memory", "spec_version": "memory", "topics": counts}, "memory")
        suite._loaded = {topic: tuple(found) for topic, found in by_topic.items()}
        suite._flags = dict(flags or {})
        return suite

    @property
    def topics(self) -> tuple[str, ...]:
        """Names of the topics, in order."""
        return tuple(self._counts)

    @cached_property
    def flags(self) -> dict[str, Flag]:
        """All flags by name."""
        for topic in self.topics:
            self._topic(topic)
        return self._flags

    @cached_property
    def quick(self) -> tuple[str, ...]:
        """Ids of the few cases that together catch every fault that the whole suite catches.

        Raises
        ------
        IntegrityError
            If the folder names none.
        """
        if self.root is None or not (self.root / QUICK).is_file():
            raise IntegrityError(f"{self.root or 'cases in memory'}: no {QUICK}; this suite has no quick subset")
        names = read_json(self.root / QUICK).get("cases")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise IntegrityError(f"{self.root / QUICK}: cases: expected a list of ids")
        return tuple(names)

    def __len__(self) -> int:
        return sum(self._counts.values())

    def cases(self, topics: Iterable[str] | None = None) -> Iterator[Case]:
        """Yield the cases of some or all topics in the order of the manifest.

        Raises
        ------
        UsageError
            If there is no such topic.
        """
        chosen = self.topics if topics is None else tuple(topics)
        for topic in chosen:
            if topic not in self._counts:
                raise UsageError(f"{topic}: no such topic; there are {listed(self.topics)}")
        for topic in self.topics:
            if topic in chosen:
                yield from self._topic(topic)

    def _topic(self, topic: str) -> tuple[Case, ...]:
        if topic not in self._loaded and self.root is not None:
            document = read_json(self.root / case_file(topic))
            tensors = read_tensors(self.root / tensor_file(topic))
            try:
                self._flags |= read_flags(document["flags"])
                self._loaded[topic] = tuple(read_case(topic, case, tensors.__getitem__) for case in document["cases"])
            except (KeyError, TypeError, AttributeError) as error:
                raise IntegrityError(f"{self.root / case_file(topic)}: not a file of cases: {error!r}") from error
        return self._loaded[topic]


def case_file(topic: str) -> str:
    """Return the path of a topic's cases inside the folder."""
    return f"cases/{topic}.json"


def tensor_file(topic: str) -> str:
    """Return the path of a topic's tensors inside the folder."""
    return f"tensors/{topic}.safetensors"


def write_topic(root: Path, topic: str, summary: str, flags: Mapping[str, Flag], cases: Iterable[Case]) -> None:
    """Write the two files of a topic; ``flags`` are those that its cases carry."""
    cases = tuple(cases)
    header = {
        "$schema": "../schemas/cases.schema.json",
        "topic": topic,
        "summary": summary,
        "flags": flag_documents(flags),
    }
    arrays = {f"{place}/{name}": array for place, case in enumerate(cases) for name, array in case.arrays().items()}
    write_bytes(root / case_file(topic), listing_bytes(header, "cases", map(case_document, cases, itertools.count())))
    write_bytes(root / tensor_file(topic), tensor_bytes(arrays))


def write_manifest(root: Path, versions: Mapping[str, Any], counts: Mapping[str, int], files: Iterable[str]) -> None:
    """Write the manifest over files that stand in ``root``.

    Parameters
    ----------
    root
        The folder.
    versions
        ``suite_version``, ``spec_version``, ``generator`` and ``tools``.
    counts
        Number of cases of each topic, in order.
    files
        Paths inside ``root``.
    """
    entries = {}
    for name in sorted(files):
        data = (root / name).read_bytes()
        entries[name] = {"sha256": sha256(data), "bytes": len(data)}
    for topic, count in counts.items():
        entries[case_file(topic)]["cases"] = count
    document = {
        "$schema": "schemas/manifest.schema.json",
        **versions,
        "cases": sum(counts.values()),
        "topics": dict(counts),
        "files": entries,
    }
    write_bytes(root / MANIFEST, json_bytes(document))
