"""Expected failures: ``expectations/<implementation>.toml``, strict both ways.

::

    [[expected]]
    flag = "ArbitraryMask"              # or: id = "masking/gap"; exactly one of the two
    clause = "mask-state"               # the clause of the specification that is broken
    dtypes = ["float32"]                # optional: only in these
    reason = "mask is read as lengths"
    report = "https://..."              # optional: where it was reported

Every case that an entry selects must fail in every dtype it selects: one that passes is an ``xpass`` and fails the
run. An entry that selects nothing, or only what is unsupported, is an error in the file.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gruspec
from gruspec.backend import DTYPES
from gruspec.errors import UsageError, listed
from gruspec.spec.clauses import CLAUSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gruspec.cases.model import Case
    from gruspec.conformance.judge import Status

_TEXTS = ("id", "flag", "clause", "reason", "report")
_KEYS = (*_TEXTS, "dtypes")


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """One entry: which cases fail, and why."""

    clause: str
    reason: str
    id: str | None = None
    flag: str | None = None
    dtypes: tuple[str, ...] | None = None
    report: str | None = None

    def selects(self, case: Case, dtype: str) -> bool:
        """Return whether a case in a dtype is expected to fail."""
        return (self.id == case.id if self.flag is None else self.flag in case.flags) and (
            self.dtypes is None or dtype in self.dtypes
        )

    def __str__(self) -> str:
        chosen = {"id": self.id, "flag": self.flag, "dtypes": self.dtypes}
        return ", ".join(f"{key} = {value!r}" for key, value in chosen.items() if value is not None)


class Expectations:
    """The expected failures of one implementation."""

    def __init__(self, entries: Iterable[Expectation] = (), *, source: str = "expectations") -> None:
        self.entries = tuple(entries)
        self.source = source
        self._met: dict[Expectation, Counter[str]] = {entry: Counter() for entry in self.entries}

    @classmethod
    def load(cls, path: Path) -> Expectations:
        """Read a file; one that does not exist expects nothing.

        Raises
        ------
        UsageError
            If it cannot be read or is not TOML, or an entry has an unknown key, a value of the wrong type, no clause,
            or not exactly one of ``id`` and ``flag``. The message names the file, the entry and the key.
        """
        if not path.exists():
            return cls(source=str(path))
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: not TOML: {error}") from error
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error}") from error
        for key in document:
            if key != "expected":
                raise UsageError(f"{path}: {key}: unknown; the file has [[expected]] entries only")
        tables = document.get("expected", [])
        if not isinstance(tables, list):
            raise UsageError(f"{path}: expected: must be an array of tables; write [[expected]]")
        return cls([_entry(table, f"{path}: entry {i}") for i, table in enumerate(tables, 1)], source=str(path))

    def find(self, case: Case, dtype: str) -> Expectation | None:
        """Return the first entry that expects a case to fail in a dtype."""
        return next((entry for entry in self.entries if entry.selects(case, dtype)), None)

    def apply(self, case: Case, dtype: str, status: Status) -> tuple[Status, Expectation | None]:
        """Return the status of a case in the light of what was expected, and the entry that expected it."""
        for entry in self.entries:
            if entry.selects(case, dtype):
                self._met[entry][status] += 1
        found = self.find(case, dtype)
        if found is None or status == "unsupported":
            return status, None
        return ("xpass" if status == "pass" else "xfail"), found

    def check(self, cases: Iterable[Case]) -> None:
        """Refuse entries that select no case in any dtype of a whole suite.

        Raises
        ------
        UsageError
            If there are any. The message names them.
        """
        suite = list(cases)
        idle = [
            entry
            for entry in self.entries
            if not any(entry.selects(case, dtype) for case in suite for dtype in case.dtypes)
        ]
        if idle:
            raise UsageError("\n".join(f"{self.source}: {entry}: no case is selected" for entry in idle))

    def stale(self) -> list[str]:
        """Return, of the entries whose cases all came out unsupported, what is wrong with each."""
        return [
            f"{self.source}: {entry}: every case it selects is unsupported"
            for entry, met in self._met.items()
            if met and set(met) == {"unsupported"}
        ]


def _entry(table: Mapping[str, Any], where: str) -> Expectation:
    if not isinstance(table, dict):
        raise UsageError(f"{where}: must be a table; write [[expected]]")
    for key, value in table.items():
        if key not in _KEYS:
            raise UsageError(f"{where}: {key}: unknown key; known are {listed(_KEYS)}")
        if key in _TEXTS and not (isinstance(value, str) and value.strip()):
            raise UsageError(f"{where}: {key} = {value!r}: expected a text that is not empty")
    if ("id" in table) == ("flag" in table):
        raise UsageError(f"{where}: exactly one of id and flag is needed")
    for key in ("clause", "reason"):
        if key not in table:
            raise UsageError(f"{where}: {key}: missing")
    if table["clause"] not in CLAUSES:
        raise UsageError(f"{where}: clause = {table['clause']!r}: not a clause of docs/spec.md")
    dtypes = table.get("dtypes")
    if dtypes is not None and not (isinstance(dtypes, list) and dtypes and all(dtype in DTYPES for dtype in dtypes)):
        raise UsageError(f"{where}: dtypes = {dtypes!r}: expected a list of {listed(DTYPES)}")
    return Expectation(**(table | ({} if dtypes is None else {"dtypes": tuple(dtypes)})))


def file_stem(implementation: str) -> str:
    """Return the name of an implementation as part of a file's name.

    >>> file_stem("mypackage.adapter:backend")
    'mypackage.adapter.backend'
    """
    return implementation.replace(":", ".")


def shipped_expectations() -> Path:
    """Return the folder of the expectations that come with gruspec."""
    package = Path(gruspec.__file__).parent
    installed = package / "_expectations"
    return installed if installed.exists() else package.parent / "expectations"
