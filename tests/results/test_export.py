"""``bench export`` and the page of the schema."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.errors import RowError
from bench.results.export import columns, flat, write_parquet
from bench.results.rows import Row, StageUse, read_rows, write_row

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path: Path, row: Callable[..., Row]) -> Path:
    uses = [
        StageUse(kind="dynamics", key="k", seconds=10.0, reused=False, paid_seconds=2.5, peak_bytes=300),
        StageUse(kind="selection", key="s", seconds=1.0, reused=False, paid_seconds=1.0, peak_bytes=200),
    ]
    write_row(
        row("ccs(beta={0.5: 0.1, 0.9: 0.3})", accuracy=48.2699990272522, stages=uses, chosen={"b": 0.1}), tmp_path
    )
    write_row(row("random", per_class_accuracy=[None] + [50.0] * 9, weighted=True), tmp_path)
    return tmp_path


def export(run: Path, kind: str) -> Path:
    done = CliRunner().invoke(app, ["export", str(run), "--format", kind])
    assert done.exit_code == 0, done.output
    assert done.stdout == f"Written: {run / 'rows'}.{kind} (2 rows)\n"
    return run / f"rows.{kind}"


def test_parquet_holds_every_number_and_list_of_the_rows(run: Path) -> None:
    records = pq.read_table(export(run, "parquet")).to_pylist()
    rows = {row.cell_id: row for row in read_rows(run)}
    assert len(records) == 2
    for record in records:
        assert record == flat(rows[record["cell_id"]])
    [ccs] = [record for record in records if record["method"] == "ccs"]
    assert ccs["accuracy"] == 48.2699990272522
    assert json.loads(ccs["params"]) == rows[ccs["cell_id"]].model_dump(mode="json")["params"]
    assert (ccs["stage_seconds"], ccs["stage_peak_bytes"], ccs["recipe_iterations"]) == (11.0, 300, 400)
    assert ccs["stages"][0]["kind"] == "dynamics"


def test_columns_have_the_same_type_whatever_the_rows_hold(run: Path, tmp_path: Path, row: Callable[..., Row]) -> None:
    full = pq.read_schema(export(run, "parquet"))
    write_parquet([row("random", best_iteration=None)], tmp_path / "one.parquet")
    assert pq.read_schema(tmp_path / "one.parquet") == full
    assert not [field for field in full if str(field.type) == "null"]


def test_csv_holds_exact_numbers(run: Path) -> None:
    with export(run, "csv").open(newline="", encoding="utf-8") as file:
        records = list(csv.DictReader(file))
    rows = {row.cell_id: row for row in read_rows(run)}
    assert len(records) == 2
    for record in records:
        row = rows[record["cell_id"]]
        assert (float(record["accuracy"]), float(record["rate"])) == (row.accuracy, row.rate)
        assert json.loads(record["per_class_accuracy"]) == row.per_class_accuracy
        assert record["best_iteration"] == "", "these rows do not say"
        # Beside a row with weights, which says so, every value stays under its name.
        assert record["created"] == row.created
        assert record["weighted"] == str(int(row.weighted))


def test_a_number_beyond_64_bits_is_refused_for_parquet_alone(run: Path, row: Callable[..., Row]) -> None:
    with pytest.raises(RowError, match=r"too large for Parquet .*--format csv"):
        write_parquet([row("random", seed=2**64, created="2025-11-20")], run / "rows.parquet")


def test_scalar_columns_have_no_lists(run: Path) -> None:
    names, lines = columns(read_rows(run))
    assert {"accuracy", "variant", "recipe_lr", "stage_seconds"} < set(names)
    assert all(len(line) == len(names) and not any(isinstance(value, list) for value in line) for line in lines)
    for line, row in zip(lines, read_rows(run), strict=True):
        told = dict(zip(names, line, strict=True))
        assert (told["created"], told["weighted"]) == (row.created, row.weighted)
