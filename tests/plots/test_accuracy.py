"""Accuracy over rates: bands, and what a figure says of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.plots.accuracy import against_rate, band
from bench.plots.style import Style
from bench.results.rows import Row
from bench.results.stats import PERCENT, summarize
from bench.results.tables import blocks
from tests.narrowing import present


def test_a_band_stays_where_accuracies_are() -> None:
    assert band(summarize([90.0])) is None
    assert band(summarize([94.0, 96.0], within=PERCENT)) == pytest.approx((94.0, 96.0))
    low, high = present(band(summarize([97.0, 98.0, 99.9], within=PERCENT)))
    assert (low > 94, high) == (True, 100.0)


@pytest.mark.parametrize(
    ("of_random", "of_elfs", "words"),
    [
        (1, 1, "one seed"),
        (2, 2, "both of n = 2 seeds"),
        (2, 1, "both of n = 2 seeds, none at n = 1"),
        (3, 3, "95 % interval of the mean, n = 3 seeds"),
        (3, 2, "95 % interval of the mean, n = 2 to 3 seeds (both values where n = 2)"),
    ],
)
def test_a_figure_says_what_its_bands_are(
    grid: Callable[..., list[Row]], of_random: int, of_elfs: int, words: str
) -> None:
    rows = [*grid({"random": [80]}, [0.5], of_random), *grid({"elfs": [80]}, [0.5], of_elfs)]
    [block] = blocks(rows)
    figure = against_rate(block, Style())
    assert " ".join(figure.get_suptitle().split()).endswith(f"bands: {words}")
