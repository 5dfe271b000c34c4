"""``bench plot``: what cannot be drawn is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.errors import BenchError, SpecError
from bench.results.rows import Row, write_row


@pytest.fixture
def run_folder(tmp_path: Path, grid: Callable[..., list[Row]]) -> Path:
    for row in grid({"full": [97.0], "random": [90, 80], "elfs": [91, 85]}, [0.5, 0.9]):
        write_row(row, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cost", "--rates", "0.7"], r"no row has rate 0.7; there are 0.5, 0.9"),
        (["cost", "--rates", "much"], "'much' is not valid"),
        (["cost", "--format", "gif"], "unknown format 'gif'.*Valid: pdf, png, svg"),
        (["scores"], "allow no scores figure: no files of scores or indices lie beside them.$"),
    ],
)
def test_what_cannot_be_drawn_is_said(run_folder: Path, arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["plot", arguments[0], str(run_folder), *arguments[1:]])
    assert isinstance(done.exception, BenchError)
    with pytest.raises(BenchError, match=message):
        raise done.exception


@pytest.mark.parametrize(
    ("dataset", "variant", "message"),
    [
        ("digits(pool_size=9)", "aum", r"scores are drawn .*, and the pool of digits\(pool_size=9\) is a part"),
        ("digits", "full", "all of them are rows of the full data set"),
    ],
)
def test_rows_that_can_have_no_figure_say_why(
    row: Callable[..., Row], tmp_path: Path, dataset: str, variant: str, message: str
) -> None:
    write_row(row(variant, 0.0 if variant == "full" else 0.5, dataset=dataset, pool_size=9), tmp_path)
    done = CliRunner().invoke(app, ["plot", "scores", str(tmp_path)])
    assert isinstance(done.exception, SpecError)
    with pytest.raises(SpecError, match=message):
        raise done.exception
