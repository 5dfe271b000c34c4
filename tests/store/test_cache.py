from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import RunError
from bench.store.cache import Store, lock_of
from bench.store.files import write_atomically
from bench.store.records import read_record, sealed


@dataclass(frozen=True)
class Named:
    """The least that a stage must have."""

    key: str
    kind: str = "numbers"

    def describe(self) -> Mapping[str, Any]:
        return {"key": self.key}


STAGE = Named("abc")


def arrays() -> dict[str, Any]:
    return {"floats": np.linspace(0, 1, 7, dtype=np.float32), "counts": np.arange(6).reshape(2, 3)}


def never() -> dict[str, Any]:
    raise AssertionError("the stage is stored, so it must not be produced")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def files(store: Store) -> tuple[Path, Path]:
    base = store.root / STAGE.kind / STAGE.key
    return base.with_suffix(".npz"), base.with_suffix(".json")


def test_what_is_stored_comes_back_with_its_type_and_shape(store: Store) -> None:
    assert STAGE not in store
    assert store.load(STAGE) is None
    made = store.get(STAGE, arrays)
    found = store.get(STAGE, never)
    assert STAGE in store
    assert (made.reused, found.reused) == (False, True)
    assert found.seconds == made.seconds
    assert found.arrays.keys() == arrays().keys()
    for name, array in arrays().items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)


def test_stages_do_not_share_a_file(store: Store) -> None:
    store.get(STAGE, arrays)
    other = store.get(Named("abd"), lambda: {"floats": np.zeros(2)})
    assert not other.reused
    assert set(store.get(STAGE, never).arrays) == {"floats", "counts"}


@pytest.mark.parametrize("shape", [(0,), (0, 5), (3, 0)])
def test_empty_arrays_keep_their_shape(store: Store, shape: tuple[Any, ...]) -> None:
    store.get(STAGE, lambda: {"empty": np.empty(shape, dtype=np.int32)})
    found = store.get(STAGE, never).arrays["empty"]
    assert found.shape == shape
    assert found.dtype == np.int32


@pytest.mark.integration
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("damage", ["cut", "change"])
def test_damage_at_any_place_is_noticed_and_mended(
    store: Store, caplog: pytest.LogCaptureFixture, which: int, damage: str
) -> None:
    store.get(STAGE, arrays)
    path = files(store)[which]
    whole = path.read_bytes()
    for position in range(0, len(whole), 10):
        changed = bytes([whole[position] ^ 0xFF])
        path.write_bytes(whole[:position] + (b"" if damage == "cut" else changed + whole[position + 1 :]))
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            again = store.get(STAGE, arrays)
        assert not again.reused, f"damage at byte {position} went unnoticed"
        assert "damaged" in caplog.text
        np.testing.assert_array_equal(again.arrays["counts"], arrays()["counts"])
        assert store.get(STAGE, never).reused


@pytest.mark.integration
def test_every_flipped_bit_of_a_record_is_noticed(store: Store) -> None:
    store.get(STAGE, arrays)
    path = files(store)[1]
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(ValueError, match="the record"):
            read_record(path)


def test_an_artifact_in_the_place_of_another_counts_as_absent(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.get(STAGE, arrays)
    other = Named("abd")
    store.get(other, lambda: {"floats": np.zeros(2)})
    for source in files(store):
        (source.parent / f"{other.key}{source.suffix}").write_bytes(source.read_bytes())
    assert store.load(other) is None
    assert "numbers abd is damaged (the record is of numbers abc)" in caplog.text
    assert store.discard_damaged(other)
    assert set(store.get(other, lambda: {"floats": np.zeros(2)}).arrays) == {"floats"}
    assert set(store.get(STAGE, never).arrays) == set(arrays())


def test_a_record_of_before_it_named_its_stage_is_still_read(store: Store) -> None:
    store.get(STAGE, arrays)
    path = files(store)[1]
    content = json.loads(path.read_bytes())
    for later in ("kind", "key", "record_sha256"):
        del content[later]
    path.write_text(json.dumps(content, indent=1))
    assert store.get(STAGE, never).reused


def test_files_of_another_user_are_said_to_be_unreadable(
    store: Store, caplog: pytest.LogCaptureFixture, plain_user: None
) -> None:
    store.get(STAGE, arrays)
    for path in files(store):
        path.chmod(0)
        assert store.load(STAGE) is None
        assert "numbers abc cannot be read (Permission denied); it is computed again" in caplog.text
        assert "damaged" not in caplog.text
        assert not store.discard_damaged(STAGE), "it may be whole"
        path.chmod(0o600)
    assert store.load(STAGE) is not None


@pytest.mark.parametrize("mode", [0, 0o500])
def test_a_folder_of_another_user_is_one_clear_error(store: Store, plain_user: None, mode: int) -> None:
    store.get(STAGE, arrays)
    folder = files(store)[0].parent
    folder.chmod(mode)
    assert (STAGE in store) == bool(mode), "what can be read is there"
    with pytest.raises(RunError, match=r"cannot write to the cache, .*numbers: Permission denied\. Give a --cache-dir"):
        store.get(Named("new"), arrays)
    folder.chmod(0o700)
    assert store.get(STAGE, never).reused


def test_a_special_file_in_the_place_of_an_artifact_is_not_waited_for(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.get(STAGE, arrays)
    for path in files(store):
        whole = path.read_bytes()
        path.unlink()
        os.mkfifo(path)
        assert store.load(STAGE) is None
        assert "it is a named pipe" in caplog.text
        path.unlink()
        path.write_bytes(whole)
    assert store.load(STAGE) is not None


def test_content_is_on_the_disk_before_its_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power cut leaves cannot be tried here: the order of the calls is what holds it."""
    done = []

    def noted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*given: Any) -> Any:
            target = given[0]
            if name == "fsync":
                target = "folder" if stat.S_ISDIR(os.fstat(target).st_mode) else os.fstat(target).st_size
            done.append((name, target if name == "fsync" else Path(given[1]).name))
            return call(*given)

        return wrapper

    monkeypatch.setattr(os, "fsync", noted("fsync", os.fsync))
    monkeypatch.setattr(Path, "replace", noted("replace", Path.replace))
    write_atomically(tmp_path / "row.json", b"0123456789")
    once = [("fsync", 10), ("replace", "row.json"), ("fsync", "folder")]
    assert done == once
    done.clear()
    Store(tmp_path).get(STAGE, arrays)
    assert [name for name, _ in done] == ["fsync", "replace", "fsync"] * 2
    assert [name for call, name in done if call == "replace"] == ["abc.npz", "abc.json"], "the record comes last"


@pytest.mark.parametrize("which", [0, 1])
def test_a_missing_half_counts_as_absent(store: Store, which: int) -> None:
    store.get(STAGE, arrays)
    files(store)[which].unlink()
    assert store.load(STAGE) is None
    assert not store.get(STAGE, arrays).reused


@pytest.mark.parametrize("record", ["[]", "3", "null", "{}", '{"sha256": 5, "seconds": []}'])
def test_a_record_of_another_form_is_damage(store: Store, caplog: pytest.LogCaptureFixture, record: str) -> None:
    store.get(STAGE, arrays)
    files(store)[1].write_text(record)
    assert store.load(STAGE) is None
    assert "damaged" in caplog.text


def test_a_failing_producer_stores_nothing(store: Store) -> None:
    def fail() -> dict[str, Any]:
        raise RuntimeError("no result")

    with pytest.raises(RuntimeError, match="no result"):
        store.get(STAGE, fail)
    assert STAGE not in store
    assert not any(path.exists() for path in files(store))
    assert not store.get(STAGE, arrays).reused


def test_objects_are_refused_before_anything_is_stored(store: Store) -> None:
    with pytest.raises(TypeError, match=r"'names' holds Python objects"):
        store.get(STAGE, lambda: {"names": np.array(["a", None], dtype=object)})
    assert STAGE not in store


def put(store: Store, content: bytes) -> None:
    """Write what stands in place of the archive, with a valid record."""
    npz, record = files(store)
    npz.parent.mkdir(parents=True)
    npz.write_bytes(content)
    record.write_bytes(sealed({"sha256": hashlib.sha256(content).hexdigest(), "seconds": 1.0}))


class Trap:
    """Unpickling this writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.write_text, (self.path, "code was run"))


@pytest.mark.parametrize("form", ["npz", "npy", "pickle"])
def test_a_pickle_with_a_valid_checksum_is_not_loaded(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture, form: str
) -> None:
    import pickle

    sprung = tmp_path / "sprung"
    content = io.BytesIO()
    if form == "npz":
        np.savez(content, floats=np.array([Trap(sprung)], dtype=object))
    elif form == "npy":
        np.save(content, np.array([Trap(sprung)], dtype=object), allow_pickle=True)
    else:
        pickle.dump(Trap(sprung), content)
    put(store, content.getvalue())
    assert store.load(STAGE) is None
    assert "damaged" in caplog.text
    assert not sprung.exists()


def test_a_plain_array_file_in_place_of_the_archive_is_damage(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    content = io.BytesIO()
    np.save(content, np.arange(3))
    put(store, content.getvalue())
    assert store.load(STAGE) is None
    assert "damaged" in caplog.text


@pytest.mark.parametrize("damage", ["cut arrays", "no arrays", "no JSON", "nested JSON"])
def test_what_is_not_whole_is_taken_out(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path)
    assert not store.discard_damaged(STAGE), "there is nothing"
    store.get(STAGE, arrays)
    assert not store.discard_damaged(STAGE), "it is whole"
    record, data = (tmp_path / STAGE.kind / f"{STAGE.key}.{suffix}" for suffix in ("json", "npz"))
    whole = {path: path.read_bytes() for path in (record, data)}
    if damage == "cut arrays":
        data.write_bytes(whole[data][:-1])
    elif damage == "no arrays":
        data.unlink()
    else:
        record.write_text("{" if damage == "no JSON" else "[" * 200_000)
    with lock_of(record):
        assert not store.discard_damaged(STAGE), "another process is replacing it"
    assert STAGE in store
    assert store.discard_damaged(STAGE)
    assert STAGE not in store
    np.testing.assert_array_equal(store.get(STAGE, arrays).arrays["counts"], arrays()["counts"])
    assert store.load(STAGE) is not None
