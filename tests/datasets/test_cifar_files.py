"""CIFAR's pickled files and their archive; ``tests/safety`` tries to run code through them."""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from bench.datasets._cifar_files import load_plain, read_batch, unpack


def test_plain_values_and_arrays_are_read_if_the_content_is_as_expected(tmp_path: Path) -> None:
    batch = {"data": np.arange(6, dtype=np.uint8).reshape(2, 3), "labels": [3, 1], "batch_label": "one"}
    content = pickle.dumps(batch)
    (tmp_path / "batch").write_bytes(content)
    found = read_batch(tmp_path / "batch", hashlib.md5(content).hexdigest())
    np.testing.assert_array_equal(found.pop("data"), batch.pop("data"))
    assert found == batch
    with pytest.raises(ValueError, match=f"the MD5 of {tmp_path / 'batch'} is not 0000"):
        read_batch(tmp_path / "batch", "0" * 32)


@pytest.mark.parametrize("value", [Path("a"), np.float64, {1}.__class__])
def test_a_name_that_no_batch_needs_is_refused(value: object) -> None:
    with pytest.raises(pickle.UnpicklingError, match=r"it names .*, which no batch of images needs"):
        load_plain(pickle.dumps(value))


def test_only_the_named_plain_files_of_an_archive_are_written(tmp_path: Path) -> None:
    archive = tmp_path / "x.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("batches/one", "batches/two", "../outside"):
            member = tarfile.TarInfo(name)
            member.size = len(name)
            tar.addfile(member, io.BytesIO(name.encode()))
        link = tarfile.TarInfo("batches/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    root = tmp_path / "root"
    unpack(archive, ["batches/two"], root)
    assert [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()] == ["batches/two"]
    assert (root / "batches/two").read_text() == "batches/two"
    with pytest.raises(ValueError, match=r"batches/link in .* is not a plain file"):
        unpack(archive, ["batches/link"], root)
    with pytest.raises(KeyError, match="batches/three"):
        unpack(archive, ["batches/three"], root)
