"""The tables of results/judge follow from its rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from bench.results.rows import Row

MakeRow = Callable[..., Row]
COMMITTED = Path(__file__).parents[2] / "results" / "judge"


@pytest.fixture(scope="module")
def script(script_of: Callable[[str], ModuleType]) -> ModuleType:
    """The script that makes the tables and the figure of results/judge."""
    return script_of("judge/report.py")


@pytest.fixture
def rows(row: MakeRow) -> list[Row]:
    """Two seeds at 50 %: the judge ranks betas as test accuracy does; at seed 1 the guard took a random coreset."""
    fixed = {0.0: (60, 61), 0.2: (70, 68), 0.4: (64, 63)}
    said = {0.0: (0.30, 0.31), 0.2: (0.40, 0.38), 0.4: (0.35, 0.34)}
    made = [row(f"elfs(beta={b})", 0.5, seed, values[seed]) for b, values in fixed.items() for seed in (0, 1)]
    made += [row("random", 0.5, seed, 66.0 + seed) for seed in (0, 1)]
    made += [row("elfs", 0.5, seed, 62.0, chosen={"beta": 0.0}) for seed in (0, 1)]
    for seed, taken, accuracy in ((0, "beta=0.2", 70.0), (1, "random 1", 66.0)):
        judged = {f"beta={beta:g}": values[seed] for beta, values in said.items()}
        judged |= {f"random {number}": 0.36 + number / 1000 for number in range(1, 6)}
        made.append(row("elfs(rehearsal=ridge)", 0.5, seed, accuracy, judged=judged, taken=taken))
    made += [row("auto", 0.5, seed, 69.0, judged={"typiclust": 0.5}, taken="typiclust") for seed in (0, 1)]
    return [*made, *(row("typiclust", 0.5, seed, 69.3) for seed in (0, 1))]


def test_arms_are_told_apart_and_compared_at_the_same_seed(script: ModuleType, rows: list[Row]) -> None:
    [line] = script.by_line({"Z": rows})
    assert (line.best, line.rate) == (0.2, 0.5)
    assert line.gain("ridge").mean == pytest.approx((70 - 66 + 66 - 67) / 2)
    assert line.regret("own rehearsal").mean == pytest.approx((70 - 62 + 68 - 62) / 2)
    assert line.regret("rate - 0.3").mean == 0.0
    assert script.candidates(line) == ["typiclust", "ridge or network"]


def test_points_pair_what_was_judged_with_its_own_accuracy(script: ModuleType, rows: list[Row]) -> None:
    [line] = script.by_line({"Z": rows})
    points = sorted(line.points("ridge"))
    assert len(points) == 8
    assert (0.40, 70.0) in points
    assert (0.31, 61.0) in points
    assert [accuracy for value, accuracy in points if value == pytest.approx(0.363)] == [66.0, 67.0]
    assert line.spearman("ridge") == pytest.approx(0.9, abs=0.1)
    assert line.spearman("network") is None


def test_the_guard_and_the_criteria_are_counted(script: ModuleType, rows: list[Row]) -> None:
    lines = script.by_line({"Z": rows})
    assert "| 1 of 2 | 0 of 0 |" in script.regrets(lines)
    told = script.summary(lines)
    assert "| ridge | 1 | 0 | 0 | 1.00 | 1.00 |" in told
    assert "on 1 of 1 lines, and not below it on 0. It is significantly below random on 0." in told
    seen = script.summary(script.by_line({"C": rows}))
    assert "ridge |" not in seen, "a line that was looked at before the plan does not count"


def test_mmd_takes_the_accuracy_of_the_beta_it_names(script: ModuleType, rows: list[Row]) -> None:
    said = {0: {"0": "0.3", "0.2": "0.2", "0.4": "0.1"}, 1: {"0": "-0.3", "0.2": "0.2", "0.4": "0.1"}}
    mmd = [
        {"line": "Z", "rate": "0.5", "seed": str(seed), "beta": beta, "discrepancy": value}
        for seed, values in said.items()
        for beta, value in values.items()
    ]
    [line] = script.by_line({"Z": rows}, mmd)
    assert line.of("MMD") == {0: 64, 1: 61}


def test_each_input_of_the_ridge_is_compared_with_test_accuracy(script: ModuleType, rows: list[Row]) -> None:
    """Images rank the coresets as test accuracy does; embeddings rank beta = 0 highest."""
    by_images = {"": 0.35, "0": 0.30, "0.2": 0.40, "0.4": 0.34}
    by_embeddings = {"": 0.1, "0": 0.9, "0.2": 0.2, "0.4": 0.3}
    said = [
        {"line": "Z", "rate": "0.5", "seed": seed, "beta": beta, "images": str(value), "embeddings": str(other)}
        for seed in ("0", "1")
        for (beta, value), other in zip(by_images.items(), by_embeddings.values(), strict=True)
    ]
    [line] = script.by_line({"Z": rows}, inputs=said)
    assert line.of("ridge on images") == {0: 70, 1: 68}
    assert line.regret("ridge on embeddings").mean == pytest.approx((70 - 60 + 68 - 61) / 2)
    assert line.spearman("ridge on images") > 0.9
    assert line.spearman("ridge on embeddings") < 0
    told = script.inputs([line])
    assert "| Z | 50 % | 2 | images |" in told
    assert "| images | 1 | 0.00 | 8.50 |" in told
    assert script.candidates(line) == ["typiclust", "ridge or network"]


def test_the_rule_takes_the_network_for_large_coresets_of_images(script: ModuleType, rows: list[Row]) -> None:
    [small] = script.by_line({"Z": rows})
    large = [item.model_copy(update={"budget": 2_500, "model": "small_cnn"}) for item in rows]
    [line] = script.by_line({"Z": large})
    assert (small.of("ridge or network"), line.of("ridge or network")) == (small.of("ridge"), {})
    assert line.judge == "network"


def test_a_line_significantly_below_random_is_said(script: ModuleType, rows: list[Row]) -> None:
    worse = [
        item.model_copy(update={"accuracy": 60.0 + 1.1 * item.seed})
        if item.params.get("rehearsal") == "ridge"
        else item
        for item in rows
    ]
    assert "| ridge | 1 | 1 | 1 |" in script.summary(script.by_line({"Z": worse}))


def test_the_figure_has_a_panel_for_each_line_and_a_point_for_each_coreset(script: ModuleType, rows: list[Row]) -> None:
    panels = script.figure(script.by_line({"Y": rows, "Z": rows})).axes
    assert [panel.get_title()[:1] for panel in panels] == ["Y", "Z"]
    assert [len(panel.collections[0].get_offsets()) for panel in panels] == [8, 8]


def test_the_committed_tables_are_current(script: ModuleType) -> None:
    lines, page = script.read(COMMITTED), script.PAGE.read_text(encoding="utf-8")
    assert script.document(lines) == (COMMITTED / "judge.md").read_text(encoding="utf-8")
    assert script.on_page(page, lines) == page
    assert script.gains(lines) in page
