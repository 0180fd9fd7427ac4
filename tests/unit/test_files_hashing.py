import hashlib
import threading
from pathlib import Path

from gruspec.files.hashing import Beside, digest_of, files_of


def test_one_file_has_the_hash_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    assert digest_of(files_of(tmp_path / "a"), tmp_path) == hashlib.sha256(b"x" * 3_000_000).hexdigest()


def test_several_files_have_the_hash_of_what_sha256sum_says(tmp_path: Path) -> None:
    (tmp_path / "m" / "inner").mkdir(parents=True)
    (tmp_path / "m" / "b").write_bytes(b"b")
    (tmp_path / "m" / "inner" / "a").write_bytes(b"a")
    lines = "".join(f"{hashlib.sha256(name[-1:].encode()).hexdigest()}  m/{name}\n" for name in ("b", "inner/a"))
    assert digest_of(files_of(tmp_path / "m"), tmp_path) == hashlib.sha256(lines.encode()).hexdigest()


def test_a_file_is_hashed_while_it_grows(tmp_path: Path) -> None:
    path, pause = tmp_path / "a", threading.Event()
    with Beside() as beside:
        digest, finished = beside.growing_digest(path)
        pause.wait(0.02)
        with path.open("wb", buffering=0) as stream:
            for _ in range(3):
                stream.write(b"y" * 1_500_000)
                pause.wait(0.02)
                assert not digest.done()
        finished()
        assert digest.result(10) == hashlib.sha256(b"y" * 4_500_000).hexdigest()


def test_work_that_nobody_waits_for_is_given_up(tmp_path: Path) -> None:
    with Beside() as beside:
        digest, _ = beside.growing_digest(tmp_path / "never")
        failed, _ = beside.growing_digest(tmp_path)
    assert digest.exception(10) or digest.cancelled()
    assert failed.exception(10)
