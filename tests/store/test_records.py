"""Records of artifacts: sealed, and read back only where they are whole and of the right stage."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from bench.store.records import read_record, sealed, whole_artifact

ARRAYS = b"arrays"


def written(folder: Path, **changes: Any) -> Path:
    record = folder / "embeddings" / "abc.json"
    record.parent.mkdir(exist_ok=True)
    content = {"kind": "embeddings", "key": "abc", "sha256": hashlib.sha256(ARRAYS).hexdigest(), "seconds": 1.5}
    record.write_bytes(sealed({**content, **changes}))
    record.with_suffix(".npz").write_bytes(ARRAYS)
    return record


def test_a_record_is_read_back(tmp_path: Path) -> None:
    record = read_record(written(tmp_path, host="here"))
    assert (record.kind, record.key, record.seconds, record.host) == ("embeddings", "abc", 1.5, "here")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": "other"}, "the record is of embeddings other"),
        ({"kind": "neighbors"}, "the record is of neighbors abc"),
        ({"unheard_of": 1}, "the record cannot be read"),
        ({"seconds": -1}, "the record cannot be read"),
    ],
)
def test_a_record_of_something_else_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_record(written(tmp_path, **changes))


def test_a_number_changed_by_hand_breaks_the_seal(tmp_path: Path) -> None:
    record = written(tmp_path)
    record.write_bytes(record.read_bytes().replace(b"1.5", b"2.5"))
    with pytest.raises(ValueError, match="the record's own checksum does not match"):
        read_record(record)


def test_arrays_are_opened_at_their_start_once_they_are_whole(tmp_path: Path) -> None:
    record = written(tmp_path)
    with whole_artifact(record) as (known, file):
        assert known.key == "abc"
        assert file.read() == ARRAYS
    record.with_suffix(".npz").write_bytes(b"arrayz")
    with pytest.raises(ValueError, match="the checksum does not match"), whole_artifact(record):
        pass
    record.with_suffix(".npz").unlink()
    with pytest.raises(OSError, match="No such file"), whole_artifact(record):
        pass
