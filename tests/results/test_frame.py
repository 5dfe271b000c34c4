"""Rows as a frame: what pandas makes of missing values is undone, and a frame that is no table of rows is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.errors import RowError
from bench.results.frame import from_frame, plain, to_frame
from bench.results.rows import Row

Grid = Callable[..., list[Row]]


@pytest.fixture
def rows(grid: Grid) -> list[Row]:
    """Of two methods; ``random`` has no proxy, so that the versions are a column of numbers with holes."""
    return [row.model_copy(update={"proxy_version": 3 if row.method == "aum" else None}) for row in grid(MEANS, [0.5])]


MEANS = {"random": [90.0], "aum": [92.0]}


def test_lines_that_were_chosen_give_their_rows_back(rows: list[Row]) -> None:
    frame = to_frame(rows)
    assert frame["proxy_version"].dtype == float
    assert from_frame(frame) == rows
    assert from_frame(frame[frame.method == "random"]) == [row for row in rows if row.method == "random"]


def test_plain_lines_have_none_where_a_frame_has_nan(rows: list[Row]) -> None:
    assert [line["proxy_version"] for line in plain(to_frame(rows))] == [row.proxy_version for row in rows]


def test_a_frame_without_a_column_is_refused_by_its_name(rows: list[Row]) -> None:
    with pytest.raises(RowError, match=r"the frame has no column 'curve_accuracies'; make it with bench\.load_rows"):
        from_frame(to_frame(rows).drop(columns="curve_accuracies"))


def test_a_value_that_fits_no_row_is_refused_by_its_column(rows: list[Row]) -> None:
    with pytest.raises(RowError, match="the frame's column 'budget' is not a row's"):
        from_frame(to_frame(rows).assign(budget="many"))
