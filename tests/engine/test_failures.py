"""Failures of a cell: told apart, kept, and read back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from bench.engine.failures import fault_of, lost, read_failures, record_failure, summary
from bench.engine.plan import make_plan
from bench.errors import DataError, NotFinite, TimeLimit
from bench.grid.spec import load_spec
from bench.stages.training import Cell
from tests.engine.runs import TINY


def test_exceptions_are_classified() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert fault_of(caught.value).status == "out-of-memory"
    assert fault_of(MemoryError()).passing
    assert fault_of(torch.OutOfMemoryError("CUDA out of memory")).status == "out-of-memory"
    for said in ("CUDA error: out of memory\nCUDA kernel errors might ...", "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"):
        fault = fault_of(RuntimeError(said))
        assert (fault.status, fault.passing) == ("out-of-memory", True)
    assert fault_of(RuntimeError("CUDA error: device-side assert triggered")).status == "error"
    assert fault_of(NotFinite("the loss is not finite")).status == "not-finite"
    assert not fault_of(NotFinite("the loss is not finite")).passing
    assert fault_of(TimeLimit("slow")).status == "time-limit"
    assert (fault_of(OSError("stale handle")).status, fault_of(OSError("stale handle")).passing) == ("error", True)
    assert (fault_of(ValueError("wrong")).status, fault_of(ValueError("wrong")).passing) == ("error", False)
    assert fault_of(ValueError("of\n two  lines"), "a stage").of_cell == "a stage: ValueError: of two lines"
    assert lost("gone", "the worker crashed").status == "lost"
    killed = "Task was killed due to the node running low on memory."
    assert lost("gone", killed).status == "out-of-memory"


def test_a_file_name_that_is_no_utf8_can_be_reported(tmp_path: Path) -> None:
    [cell] = make_plan(load_spec(given={**TINY, "methods": "random"}), out=tmp_path).cells
    name = os.fsdecode(b"caf\xe9.jpg")
    fault = fault_of(DataError(f"cannot decode the image {name}"), stage=f"embeddings of {name}")
    assert "caf\\xe9.jpg" in fault.reason
    record_failure(cell, fault, tmp_path)
    [failure] = read_failures(tmp_path)
    assert failure.reason == fault.of_cell
    fault.model_dump_json()


def test_a_failure_since_the_last_row_is_told(tmp_path: Path) -> None:
    """The row of an older version of a method stays until there is one of the present version."""
    [cell] = make_plan(load_spec(given={**TINY, "methods": "random"}), out=tmp_path).cells
    row = tmp_path / "rows" / f"{cell.cell_id}.json"
    row.parent.mkdir()
    row.touch()
    os.utime(row, (1, 1))
    record_failure(cell, fault_of(ValueError("wrong")), tmp_path)
    assert summary(tmp_path) == "1 cell failed (1 error)"
    row.touch()
    assert summary(tmp_path) is None


def test_a_record_can_be_read_back_and_a_damaged_one_is_no_result(tmp_path: Path) -> None:
    [cell] = make_plan(load_spec(given={**TINY, "methods": "random"}), out=tmp_path).cells
    record_failure(cell, fault_of(ValueError("wrong")).model_copy(update={"attempts": 2}), tmp_path)
    [failure] = read_failures(tmp_path)
    assert (failure.schema_version, failure.status, failure.attempts) == (1, "error", 2)
    assert Cell.model_validate(failure.cell) == cell
    assert "ValueError: wrong" in (tmp_path / "failed" / failure.traceback).read_text()
    assert summary(tmp_path) == "1 cell failed (1 error)"
    path = tmp_path / "failed" / f"{cell.cell_id}.json"
    whole = path.read_bytes()
    for length in range(0, len(whole), 10):
        path.write_bytes(whole[:length])
        assert list(read_failures(tmp_path)) == []
    assert summary(tmp_path) is None
    assert make_plan(load_spec(given={**TINY, "methods": "random"}), out=tmp_path).missing == [cell]
