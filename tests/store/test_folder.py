"""Where the store lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.store.folder import cache_folder


def test_the_given_folder_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder(Path("here")) == tmp_path / "here"
    assert cache_folder(Path("~/there")) == tmp_path / "home" / "there"


def test_otherwise_it_is_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder(None).name == "coreset-bench"
    assert tmp_path in cache_folder(None).parents
