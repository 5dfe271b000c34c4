"""Event files of TensorBoard, read back with its own reader."""

from __future__ import annotations

import pytest

from bench.results.export import flat
from bench.results.rows import read_row
from bench.stages.session import Session
from bench.stages.training import Cell
from bench.tracking.trackers import make_trackers
from tests.tracking.runs import report


def test_tensorboard_holds_the_table_of_rows_and_curves(grid: tuple[list[Cell], Session]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    cells, workspace = grid
    warnings = report(grid, make_trackers("tensorboard", curves=True))
    assert warnings == []
    folder = workspace.out / "tensorboard"
    whole = EventAccumulator(str(folder)).Reload()
    assert [(event.step, event.value) for event in whole.Scalars("cells/done")] == [(1, 1), (2, 2), (3, 2)]
    assert [event.value for event in whole.Scalars("cells/failed")] == [0, 0, 1]
    for cell in cells[:2]:
        row = read_row(workspace.out / "rows" / f"{cell.cell_id}.json")
        own = EventAccumulator(str(folder / cell.cell_id)).Reload()
        curve = [(event.step, event.value) for event in own.Scalars("test_accuracy")]
        assert curve == [(step, pytest.approx(accuracy)) for step, accuracy in row.curve]
        assert own.Scalars("row/accuracy")[0].value == pytest.approx(row.accuracy)
        content = own.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        start = HParamsPluginData.FromString(content).session_start_info
        shown = {
            name: getattr(value, value.WhichOneof("kind") or "string_value") for name, value in start.hparams.items()
        }
        record = flat(row)
        assert shown == {name: record[name] for name in shown}
        assert {"dataset", "variant", "rate", "seed", "model"} <= set(shown)
    assert not (folder / cells[2].cell_id).exists()
