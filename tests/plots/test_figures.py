"""Figures: formats, equal bytes, and what cannot be drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench.cli import app
from bench.plots.accuracy import against_cost
from bench.plots.coresets import class_balance
from bench.plots.figures import figures
from bench.plots.style import Style
from bench.results.comparison import scored_coresets
from bench.results.published import write_indices, write_scores
from bench.results.rows import Row, write_row
from bench.results.tables import blocks


def plot(*arguments: str) -> list[Path]:
    done = CliRunner().invoke(app, ["plot", *arguments])
    assert done.exit_code == 0, (done.output, done.exception)
    return [Path(line) for line in done.stdout.split()]


@pytest.mark.integration
@pytest.mark.parametrize("kind", ["accuracy", "cost", "balance"])
def test_figures_are_drawn_in_every_format_with_the_same_bytes_again(run_folder: Path, kind: str) -> None:
    paths = plot(kind, str(run_folder), "--rates", "0.9")
    assert [path.suffix for path in paths] == [".png", ".svg", ".pdf"]
    first = [path.read_bytes() for path in paths]
    with Image.open(paths[0]) as picture:
        assert min(picture.size) > 150
    assert b"elfs" in first[1]
    assert first[2].startswith(b"%PDF")
    assert [path.read_bytes() for path in plot(kind, str(run_folder), "--rates", "0.9")] == first


def test_each_rate_has_a_figure(run_folder: Path) -> None:
    names = [path.name for path in plot("cost", str(run_folder), "--format", "svg")]
    assert names == ["cost-digits-pixels-small_cnn-r50.svg", "cost-digits-pixels-small_cnn-r90.svg"]


def test_blocks_whose_names_differ_in_punctuation_have_figures_of_their_own(row: Callable[..., Row]) -> None:
    made = [row("random", dataset=f"folder(path='photos{between}2026')") for between in " -"]
    drawn = figures(blocks(made), [], kinds=["accuracy", "balance"])
    assert len({figure.name for figure in drawn}) == 4


@pytest.mark.parametrize(
    ("dataset", "whole"),
    [("digits", True), ("digits@noise=0.2", True), ("digits(pool_size=9)", False), ("digits@imbalance=10", False)],
)
def test_scores_are_matched_with_coresets_of_whole_splits_alone(
    row: Callable[..., Row], tmp_path: Path, dataset: str, whole: bool
) -> None:
    scores = np.arange(9, dtype=np.float32)
    digest = write_scores(scores, tmp_path)
    made = row("aum", 0.5, dataset=dataset, pool_size=9, scores_sha256=digest)
    made = made.model_copy(update={"indices_sha256": write_indices(np.array([0, 2, 7]), tmp_path, made.cell_id)})
    read = blocks([made])
    [found] = scored_coresets(read[0], 0.5, [tmp_path])
    assert (found.coreset.tolist(), found.scores.tolist()) == ([0, 2, 7], scores.tolist())
    assert len(list(figures(read, [tmp_path], kinds=["scores"]))) == whole


def test_the_first_seed_whose_files_are_there_is_drawn(row: Callable[..., Row], tmp_path: Path) -> None:
    digest = write_scores(np.arange(9, dtype=np.float32), tmp_path)
    rows = [row("aum", 0.5, seed, pool_size=9, scores_sha256=digest) for seed in range(3)]
    kept = write_indices(np.array([0, 2, 7]), tmp_path, rows[1].cell_id)
    rows[1] = rows[1].model_copy(update={"indices_sha256": kept})
    assert [one.row.seed for one in scored_coresets(blocks(rows)[0], 0.5, [tmp_path])] == [1]


def test_the_figures_of_an_enlarged_grid_show_all_its_rows(row: Callable[..., Row]) -> None:
    first, later = "ccs(beta={0.5: 0.0, 0.9: 0.3})", "ccs(beta={0.5: 0.0, 0.7: 0.1, 0.9: 0.3})"
    rows = [row(variant, 0.5, seed, 50.0 + seed, params={"beta": 0.0}) for seed, variant in enumerate((first, later))]
    rows += [row(later, 0.7, params={"beta": 0.1}), row("random", 0.7)]
    [block] = blocks(rows)
    [axes] = against_cost(block, 0.5, Style()).axes
    assert axes.get_legend_handles_labels()[1] == ["ccs"]
    heat, *_ = class_balance(block, 0.5, Style()).axes
    assert [label.get_text() for label in heat.get_yticklabels()] == ["ccs"]


def test_a_figure_shows_the_papers_numbers_on_request(tmp_path: Path, grid: Callable[..., list[Row]]) -> None:
    for row in grid({"random": [94.0]}, [0.5], dataset="cifar10", pool_size=50_000, model="resnet18"):
        write_row(row, tmp_path)
    drawn = [
        plot("accuracy", str(tmp_path), "--format", "svg", *compare)[0].read_text()
        for compare in ((), ("--compare", "none"), ("--compare", "paper"))
    ]
    assert ["random, reported" in text for text in drawn] == [False, False, True]
