"""TDDS by its definition is in test_recorder.py; here is what half precision changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.training.recorder import DynamicsRecorder


def test_outputs_held_in_half_precision_move_tdds_little(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(31, 50, 7, generator=torch.Generator().manual_seed(0)) * 2
    found = []
    for cells in (2**26, 0):
        monkeypatch.setattr("bench.training.tdds.EXACT_CELLS", cells)
        recorder, targets = DynamicsRecorder(50, "cpu"), torch.zeros(50, dtype=torch.int64)
        for epoch in logits:
            recorder.update(torch.arange(50), epoch, targets)
            recorder.end_epoch()
        found.append(recorder.result())
    assert np.abs(found[0].tdds - found[1].tdds).max() < 2e-3 < found[0].tdds.min()
    assert np.abs(found[0].tdds - found[1].tdds).max() > 0
