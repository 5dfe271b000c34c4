"""Files that a reader sees whole or not at all."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import pytest

from bench.store.files import leftovers, sha256_of, write_atomically, writing


def test_the_name_holds_the_old_content_until_the_end(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file"
    write_atomically(target, b"old")
    with writing(target) as file:
        file.write(b"new and longer")
        file.flush()
        assert target.read_bytes() == b"old"
        file.seek(0)
        assert file.read() == b"new and longer", "the writer can read it back"
    assert target.read_bytes() == b"new and longer"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, SystemExit])
def test_after_any_error_all_is_as_before(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "file"
    write_atomically(target, b"old")

    def fail() -> None:
        with writing(target) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_digest_is_that_of_what_is_left_to_read() -> None:
    content = os.urandom(3_000_000)
    file = io.BytesIO(b"head" + content)
    file.seek(4)
    assert sha256_of(file) == hashlib.sha256(content).hexdigest()


def test_leftovers_are_the_old_ones_alone(tmp_path: Path) -> None:
    old, young, other = (tmp_path / name for name in (".tmp-old", ".tmp-young", "row.json"))
    for file in (old, young, other):
        file.write_text("")
        os.utime(file, (0, 0))
    os.utime(young)
    assert leftovers(tmp_path, older_than=3600) == [old]
    assert leftovers(tmp_path / "absent", older_than=0) == []


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "row.json"
    write_atomically(target, b"old")
    with pytest.raises(TypeError):
        write_atomically(target, "text is not bytes")  # type: ignore[arg-type]
    assert target.read_bytes() == b"old"
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomically(tmp_path / "taken", b"new")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["row.json", "taken"]
