"""Generating the golden data: the only way its files come about.

Every case is drawn from its own id, certified, and written; the same files come out on every machine. A case that
cannot be certified (an undecided rounding, a bound too wide to judge by) is drawn again with smaller weights.
"""

from __future__ import annotations

import platform
import shutil
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from gruspec.cases import write_manifest, write_topic
from gruspec.cases.files import MANIFEST, read_json
from gruspec.cases.suite import case_file, tensor_file
from gruspec.errors import CertificationError, IntegrityError
from gruspec.generate.finish import finished
from gruspec.generate.flags import FLAGS
from gruspec.generate.topics import SOURCES, TOPICS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gruspec.cases import Case

    Progress = Callable[[str, int, int], None]

__all__ = ["SUITE_VERSION", "differences", "generate", "generated_cases"]

SUITE_VERSION = "1.2.0"
SPEC_VERSION = "1.1.0"
_STATIC = Path(__file__).parent / "static"


def generate(root: Path, *, jobs: int = 2, progress: Progress | None = None) -> None:
    """Write the golden data into an empty or new folder.

    Parameters
    ----------
    root
        The folder.
    jobs
        Number of processes to certify cases in.
    progress
        Called with the topic, the number of cases done and the number of all cases.

    Raises
    ------
    IntegrityError
        If the folder is not empty.
    CertificationError
        If a case cannot be certified in any attempt.
    """
    if root.exists() and any(root.iterdir()):
        raise IntegrityError(f"{root}: not empty; golden data is written into a new folder only")
    by_topic: dict[str, list[Case]] = {topic: [] for topic in TOPICS}
    for case in generated_cases(jobs=jobs, progress=progress):
        by_topic[case.topic].append(case)
    files = []
    for topic, cases in by_topic.items():
        used = {flag for case in cases for flag in case.flags}
        write_topic(root, topic, TOPICS[topic], {name: flag for name, flag in FLAGS.items() if name in used}, cases)
        files += [case_file(topic), tensor_file(topic)]
    for source in sorted(_STATIC.rglob("*")):
        if source.is_file():
            target = root / source.relative_to(_STATIC)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            files.append(target.relative_to(root).as_posix())
    versions = {
        "suite_version": SUITE_VERSION,
        "spec_version": SPEC_VERSION,
        "generator": {"gruspec": version("gruspec")},
        "tools": {"python": platform.python_version()} | {name: version(name) for name in ("numpy", "python-flint")},
    }
    write_manifest(root, versions, {topic: len(cases) for topic, cases in by_topic.items()}, files)


def generated_cases(*, jobs: int = 2, progress: Progress | None = None) -> Iterator[Case]:
    """Yield every case with its expected values, in the order of the sources.

    Raises
    ------
    CertificationError
        If a case cannot be certified in any attempt.
    """
    numbered = [(source, i) for source in range(len(SOURCES)) for i in range(len(_cases(source, 0)))]
    _refuse_duplicates()
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        finished = pool.map(_finished_case, numbered, chunksize=8)
        for done, case in enumerate(finished, start=1):
            if progress is not None:
                progress(case.topic, done, len(numbered))
            yield case


def differences(golden: Path, fresh: Path) -> list[str]:
    """Return the files that differ between two folders of golden data.

    Files that neither manifest names do not count. Nor do the versions of the generator and its tools that the
    manifest records: they say where the data was made, not what it is.
    """
    names = {MANIFEST}.union(*(read_json(root / MANIFEST)["files"] for root in (golden, fresh)))
    return sorted(name for name in names if not _same(golden / name, fresh / name))


def _same(one: Path, other: Path) -> bool:
    if not (one.is_file() and other.is_file()):
        return False
    if one.name == MANIFEST:
        origin = {"generator": None, "tools": None}
        return bool(read_json(one) | origin == read_json(other) | origin)
    return one.read_bytes() == other.read_bytes()


def _refuse_duplicates() -> None:
    counts = Counter(case.id for source in range(len(SOURCES)) for case in _cases(source, 0))
    if repeated := [case_id for case_id, count in counts.items() if count > 1]:
        raise CertificationError(f"{repeated[0]}: two cases have this id")


def _finished_case(number: tuple[int, int]) -> Case:
    source, i = number
    if not SOURCES[source].certified:
        return _cases(source, 0)[i]
    return finished(lambda attempt: _cases(source, attempt)[i])


@cache
def _cases(source: int, attempt: int) -> tuple[Case, ...]:
    return tuple(SOURCES[source].cases(attempt))
