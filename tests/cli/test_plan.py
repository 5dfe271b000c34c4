"""A plan on the terminal."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from bench.cli._plan import plan_document, show_plan
from bench.engine.forecast import Forecast
from tests.plans import planned, session_of


def test_many_cells_are_a_table_of_methods_by_rates(tmp_path: Path) -> None:
    plan = planned(tmp_path, methods="full,random,elfs", rates="0.5,0.9", seeds=6, encoders="pixels", pool_size=100)
    plan = replace(plan, finished={cell.cell_id for cell in plan.cells if cell.method == "random" and cell.rate == 0.9})
    session = session_of(plan, tmp_path)
    document = plan_document(plan, session, Forecast((), 1))
    text = io.StringIO()
    show_plan(document, Console(file=text, width=100), ["About 3 h."])
    lines = text.getvalue().splitlines()
    assert lines[1:7] == [
        f"30 cells, 6 with a row in {tmp_path / 'out'} already:",
        "  digits(pool_size=100), small_cnn: cells to run of 6 seeds, by rate removed",
        "                    0 %   50 %   90 %",
        "    full              6",
        "    random                   6   done",
        "    elfs, pixels             6      6",
    ]
    assert "About 3 h." in lines


def test_a_long_method_is_shown_to_its_end(tmp_path: Path) -> None:
    long = "ccs(beta={0.1: 0.0, 0.2: 0.0, 0.3: 0.0, 0.5: 0.1, 0.7: 0.1, 0.9: 0.3})"
    plan = planned(tmp_path, methods=["random", long], rates="0.5,0.9", seeds=7, pool_size=100)
    text = io.StringIO()
    document = plan_document(plan, session_of(plan, tmp_path), Forecast((), 1))
    show_plan(document, Console(file=text, width=100), [])
    lines = text.getvalue().splitlines()
    at = lines.index(f"    {long}")
    assert lines[at - 1].split() == ["random", "7", "7"]
    assert lines[at + 1].split() == ["7", "7"]
    assert len(lines[at - 1]) == len(lines[at + 1])
