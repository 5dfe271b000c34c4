"""Contact sheets of a page."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.plots.figures import figures
from bench.plots.style import Style, themed
from bench.report.gallery import extremes, galleries
from bench.results.shown import Shown
from bench.results.tables import blocks, collect


def test_contact_sheets_show_the_ends() -> None:
    scores = np.array([0.1, 0.9, 0.5, 0.7, 0.3])
    kept = np.array([True, False, True, True, False])
    found = {name: places.tolist() for name, places in extremes(scores, kept, count=2).items()}
    assert found == {"hardest kept": [3, 2], "hardest dropped": [1, 4], "easiest dropped": [4, 1]}


def test_sheets_name_their_method_and_seed_and_are_of_the_data_set(tmp_path: Path) -> None:
    committed = Path(__file__).parents[2] / "results" / "digits-demo"
    made = blocks(collect([committed]), shown=Shown("aum=AUM,random"))
    found, missing = galleries(made, [tmp_path, committed], None)
    assert missing == []
    assert {gallery.method for gallery in found} == {"AUM, seed 0"}
    assert [title for title, _ in found[0].pictures] == ["hardest kept", "hardest dropped", "easiest dropped"]
    drawn = list(figures(made, [committed], kinds=["scores"]))
    with themed(Style()):
        assert drawn[0].draw(Style()).get_suptitle().replace("\n", " ").endswith("50 % removed, seed 0")
