"""Mutated files, read in a child process: ``python mutations.py MODULE:CLASS SEED COUNT FILE...``."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from gruspec.errors import GruspecError

SECONDS = 5
MEBIBYTE = 2**20
_EXTREMES = (b"\xff" * 4, b"\xff" * 8, b"\x00" * 4, b"\x00" * 8, b"\xff\xff\xff\x7f", b"\xff" * 7 + b"\x7f")


def mutated(data: bytes, other: bytes, random_numbers: random.Random) -> bytes:
    """Return bytes with one to three random changes."""
    changed = bytearray(data)
    for _ in range(random_numbers.randint(1, 3)):
        place = random_numbers.randrange(len(changed) + 1)
        match random_numbers.randrange(7):
            case 0:
                flipped = min(place, len(changed) - 1)
                changed[flipped] ^= 1 << random_numbers.randrange(8)
            case 1:
                changed[place : place + 8] = random_numbers.randbytes(8)
            case 2:
                del changed[max(1, place) :]
            case 3:
                changed[place:place] = random_numbers.randbytes(random_numbers.randint(1, 16))
            case 4:
                extreme = random_numbers.choice(_EXTREMES)
                changed[place : place + len(extreme)] = extreme
            case 5:
                del changed[place : place + random_numbers.randint(1, 16)]
                changed = changed or bytearray(b"\0")
            case _:
                start = random_numbers.randrange(len(other))
                changed[place : place + 32] = other[start : start + 32]
    return bytes(changed)


def findings(form: str, seed: int, count: int, files: list[Path]) -> tuple[list[str], dict[str, int]]:
    """Read mutations in a child process; return what must not happen, and how often each outcome came about."""
    ended = subprocess.run(
        [sys.executable, __file__, form, str(seed), str(count), *map(str, files)],
        capture_output=True,
        text=True,
        timeout=SECONDS * 60,
        check=False,
    )
    if ended.returncode:
        return [f"the child ended with {ended.returncode}: {ended.stdout[-300:]} {ended.stderr[-2000:]}"], {}
    found = json.loads(ended.stdout.splitlines()[-1])
    return found["findings"], found["outcomes"]


def reset_peak() -> None:
    """Let the peak of this process's memory be what it has now."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak() -> int:
    """Return the most memory that this process has had, in bytes."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    return int(fields["VmHWM"].split()[0]) * 1024


def _outcome(form: Any, path: Path) -> str:
    try:
        with form.read(path) as checkpoint:
            for tensor in checkpoint.tensors.values():
                tensor.read().tobytes()
    except GruspecError as error:
        return type(error).__name__
    except Exception as error:  # noqa: BLE001  every other kind is a finding
        return f"! {type(error).__name__}: {error}"
    return "read"


def main() -> None:
    """Be the child."""
    place, seed, count, *names = sys.argv[1:]
    module, _, name = place.partition(":")
    form = getattr(import_module(module), name)()
    sources = [Path(each).read_bytes() for each in names]
    found: list[str] = []
    outcomes: Counter[str] = Counter()
    for each in names:
        _outcome(form, Path(each))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"mutated{Path(names[0]).suffix}"
        for number in range(int(count)):
            random_numbers = random.Random(f"{seed} {number}")  # noqa: S311  mutations are no secrets
            source = sources[number % len(sources)]
            data = mutated(source, random_numbers.choice(sources), random_numbers)
            path.write_bytes(data)
            reset_peak()
            before, started = peak(), time.monotonic()
            sys.stdout.write(f"mutation {number}\n")
            sys.stdout.flush()
            signal.alarm(SECONDS)
            outcome = _outcome(form, path)
            signal.alarm(0)
            took, grown = time.monotonic() - started, peak() - before
            outcomes[outcome] += 1
            if outcome.startswith("!"):
                found.append(f"mutation {number} of seed {seed}: {outcome}")
            if grown > 10 * len(data) + 64 * MEBIBYTE:
                found.append(f"mutation {number} of seed {seed}: {grown} bytes for a file of {len(data)}")
            if took > SECONDS:
                found.append(f"mutation {number} of seed {seed}: {took:.1f} s")
    sys.stdout.write(json.dumps({"findings": found, "outcomes": outcomes}))


if __name__ == "__main__":
    main()
