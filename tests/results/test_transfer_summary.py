"""The tables of results/transfer pair rows as its plan says."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

import bench
from bench.results.rows import Row, write_row

MakeRow = Callable[..., Row]


@pytest.fixture
def script(script_of: Callable[[str], ModuleType]) -> ModuleType:
    return script_of("transfer/summary.py")


@pytest.fixture
def frame(row: MakeRow, tmp_path: Path) -> pd.DataFrame:
    """``ccs`` with either proxy and model: its own proxy is 4 and 2 points better; random has 50 and 60."""
    for seed, random in ((0, 50.0), (1, 60.0)):
        for model in ("small_cnn", "linear_probe"):
            write_row(row("random", seed=seed, accuracy=random, model=model), tmp_path)
            for proxy in ("small_cnn", "linear_probe"):
                own = (4.0 if seed == 0 else 2.0) * (proxy == model)
                made = row("ccs", seed=seed, accuracy=random + 1 + own, model=model, proxy_model=proxy)
                write_row(made.model_copy(update={"cell_id": f"{made.cell_id}-{proxy}"}), tmp_path)
    return bench.load_rows(tmp_path)


def test_differences_are_to_random_of_the_same_model_and_seed(script: ModuleType, frame: pd.DataFrame) -> None:
    found = script.differences(frame).set_index("proxy")
    assert found.loc["linear_probe", "small_cnn"] == "+1.0"  # at both seeds, so there is no interval
    assert found.loc["small_cnn", "small_cnn"].startswith("+4.0 [")


def test_the_own_proxy_is_compared_with_the_others(script: ModuleType, frame: pd.DataFrame) -> None:
    [found] = script.own_proxy(frame).to_dict("records")
    assert found["small_cnn"].startswith("+3.0 [")


def test_the_committed_table_follows_from_the_committed_rows(script: ModuleType, tmp_path: Path) -> None:
    committed = Path(__file__).parents[2] / "results" / "transfer"
    for rows in committed.glob("*/rows"):
        shutil.copytree(rows, tmp_path / rows.parent.name / "rows")
    script.main(tmp_path)
    assert (tmp_path / "transfer.md").read_text() == (committed / "transfer.md").read_text()
