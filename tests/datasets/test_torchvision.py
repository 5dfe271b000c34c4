"""Downloads through torchvision."""

from __future__ import annotations

from pathlib import Path

import pytest
from torchvision.datasets import SVHN

from bench import DataError
from bench.loading import load_dataset


def test_a_failed_download_names_the_file_and_the_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SVHN, "split_list", {"train": ["http://127.0.0.1:9/", "train_32x32.mat", "0" * 32]})
    with pytest.raises(DataError, match=r"train_32x32\.mat could not be fetched: .*refused.*Fetch it by hand"):
        load_dataset("svhn", {}, root=tmp_path / "new", download=True, pool_size=None)
