"""A machine without weights."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which no encoder's weights were ever downloaded."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
