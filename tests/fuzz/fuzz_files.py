"""Read damaged files of every format: no crash, no hang, no memory beyond measure, always an error of gruspec.

``python tests/fuzz/fuzz_files.py --mutations 20000 --seed 0``. Whole files are written by the frameworks themselves,
damaged in a fixed order, and read in processes of their own. What a damaged file may do is be read, or be refused with
an error of gruspec. Reading may take 5 seconds, and 10 times the file and 64 MiB of memory over the idle process.
"""

from __future__ import annotations

import argparse
import queue
import re
import shutil
import sys
import tempfile
import threading
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

from file_damage import Choices, mutated
from file_reader import Answer, Reader
from whole_files import WRITERS, Left, shared, written

from gruspec.report.steps import Steps
from gruspec.verification.silence import unheard

_FREE = 64 * 2**20
_TIMES = 10
_CHUNK = 50
_GLANCE = 0.2
_ALLOWED = ("read", "refused")
_ALIKE = 60
"""Findings that begin alike, numbers aside, in so many characters are shown once."""


@dataclass
class Tally:
    """What came of the files of one format."""

    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[tuple[int, str, str]] = field(default_factory=list)
    memory: int = 0
    seconds: float = 0.0


class Fuzzing:
    """Shares out the mutations of all formats among threads, each of which asks a process of its own.

    Parameters
    ----------
    seeds
        Whole files by format.
    numbers
        Of the mutations, by format.
    key
        What all draws depend on.
    folder
        Where damaged files are written.
    seconds
        That reading one may take.
    keep
        Where files that findings are about are kept.
    """

    def __init__(
        self,
        seeds: dict[str, list[Path]],
        numbers: dict[str, range],
        key: str,
        folder: Path,
        seconds: float,
        keep: Path | None,
    ) -> None:
        self._seeds, self._key, self._folder, self._seconds, self._keep = seeds, key, folder, seconds, keep
        self._waiting: queue.SimpleQueue[tuple[str, range]] = queue.SimpleQueue()
        for name in seeds:
            for start in range(0, len(numbers[name]), _CHUNK):
                self._waiting.put((name, numbers[name][start : start + _CHUNK]))
        self._problems: list[BaseException] = []
        self._numbers = numbers
        self._reading = ""
        self.tallies = {name: Tally() for name in seeds}

    def run(self, jobs: int) -> None:
        """Read everything."""
        threads = [threading.Thread(target=self._work, args=(self._folder / str(job),)) for job in range(jobs)]
        total = sum(map(len, self._numbers.values()))
        for thread in threads:
            thread.start()
        try:
            with Steps("damaged files") as shown:
                while any(thread.is_alive() for thread in threads):
                    sleep(_GLANCE)
                    done = sum(tally.outcomes.total() for tally in self.tallies.values())
                    shown.show(self._reading, done, total)
        except KeyboardInterrupt as error:
            self._problems.append(error)
        for thread in threads:
            thread.join()
        for problem in self._problems:
            raise problem

    def _work(self, place: Path) -> None:
        readers: dict[str, Reader] = {}
        try:
            while not self._problems:
                name, numbers = self._waiting.get_nowait()
                if name not in readers:
                    _end(readers)
                    readers[name] = Reader(name, self._seeds[name], self._seconds)
                self._reading = name
                begin = monotonic()
                for number in numbers:
                    if not self._problems:
                        self._try(name, number, place, readers[name])
                self.tallies[name].seconds += monotonic() - begin
        except queue.Empty:
            return
        except BaseException as error:  # noqa: BLE001  the main thread raises it
            self._problems.append(error)
        finally:
            _end(readers)

    def _try(self, name: str, number: int, place: Path, reader: Reader) -> None:
        tally = self.tallies[name]
        path, mutation = damaged(f"{self._key}/{name}/{number}", self._seeds[name], place)
        answer = reader.ask(path)
        problem = _problem(answer, sum(file.stat().st_size for file in _files(path)))
        tally.memory = max(tally.memory, answer.memory)
        tally.outcomes[problem.partition(":")[0] or answer.outcome] += 1
        if problem:
            reader.end()
            tally.findings.append((number, mutation, problem))
            if self._keep:
                shutil.copytree(place, self._keep / f"{self._key}/{name}/{number}", dirs_exist_ok=True)
        shutil.rmtree(place)


def _end(readers: dict[str, Reader]) -> None:
    for reader in readers.values():
        reader.end()
    readers.clear()


def _problem(answer: Answer, size: int) -> str:
    """Return what is wrong with an answer about a file of a size; empty if nothing is."""
    if answer.outcome not in _ALLOWED:
        return f"{answer.outcome}: {answer.detail}"
    return f"memory: {answer.memory} bytes for {size}" if answer.memory > _FREE + _TIMES * size else ""


def damaged(key: str, seeds: list[Path], place: Path) -> tuple[Path, str]:
    """Write a damaged file, and what belongs to it, into a new folder; return its path and what was done.

    Parameters
    ----------
    key
        Decides everything.
    seeds
        Whole files or folders, each alone in a folder with what belongs to it.
    place
        Where the folder is to be.
    """
    choices = Choices(key)
    seed, other = choices.of(seeds), choices.of(seeds)
    file = choices.of(_files(seed))
    mutation, data = mutated(f"{key}/damage", file.read_bytes(), choices.of(_files(other)).read_bytes())
    where = file.relative_to(seed.parent)
    shutil.copytree(seed.parent, place)
    (place / where).write_bytes(data)
    return place / seed.name, f"{mutation} of {where}"


def _files(seed: Path) -> list[Path]:
    return sorted(path for path in seed.parent.rglob("*") if path.is_file())


def main() -> int:
    """Fuzz; return 1 if anything was found."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seeds: dict[str, list[Path]] = {}
        for each in arguments.format or WRITERS:
            try:
                with unheard(), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    seeds[each] = written(each, folder / "seeds" / each)
            except Left as reason:
                print(f"{each}: left out: {reason}")
        if not seeds:
            return 2
        numbers = {each: range(count) for each, count in shared(arguments.mutations, seeds).items()}
        if arguments.only is not None:
            numbers = dict.fromkeys(seeds, range(arguments.only, arguments.only + 1))
        fuzzing = Fuzzing(seeds, numbers, f"fuzz/{arguments.seed}", folder, arguments.seconds, arguments.keep)
        begin = monotonic()
        fuzzing.run(arguments.jobs)
    found = sum(_report(name, tally, arguments.seed) for name, tally in fuzzing.tallies.items())
    files = sum(tally.outcomes.total() for tally in fuzzing.tallies.values())
    print(f"{files} damaged files in {monotonic() - begin:.0f} s, {found} findings")
    return 1 if found else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=20_000, metavar="N", help="damaged files, of all formats")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument("--format", action="append", choices=list(WRITERS), help="only this; repeatable")
    parser.add_argument("--only", type=int, metavar="K", help="only mutation K of each format")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the files that findings are about")
    parser.add_argument("--jobs", type=int, default=2, metavar="J", help="processes that read at a time")
    parser.add_argument("--seconds", type=float, default=5.0, metavar="S", help="for one file")
    return parser.parse_args()


def _report(name: str, tally: Tally, seed: int) -> int:
    """Print what came of a format; return the number of findings."""
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(tally.outcomes.items()))
    print(f"{name}: {counts}; at most {tally.memory / 2**20:.0f} MiB; {tally.seconds:.0f} s")
    alike: dict[str, list[tuple[int, str, str]]] = {}
    for finding in sorted(tally.findings):
        alike.setdefault(re.sub(r"[^a-zA-Z:.]+", " ", finding[2])[:_ALIKE], []).append(finding)
    for findings in alike.values():
        number, mutation, problem = findings[0]
        print(f"  {len(findings)} times, as with --format {name} --seed {seed} --only {number}: {mutation}")
        print("    " + problem.strip().replace("\n", "\n    "))
    return len(tally.findings)


if __name__ == "__main__":
    sys.exit(main())
