from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench.cli import app
from bench.errors import BenchError, SpecError
from bench.plots.accuracy import against_cost, against_rate, band
from bench.plots.coresets import class_balance, score_distributions
from bench.plots.figures import figures
from bench.plots.style import Style, looks, themed
from bench.results.comparison import scored
from bench.results.published import write_indices, write_scores
from bench.results.rows import Row, write_row
from bench.results.shown import Shown
from bench.results.stats import PERCENT, summarize
from bench.results.tables import blocks, collect
from tests.narrowing import present


@pytest.fixture
def run_folder(tmp_path: Path, grid: Callable[..., list[Row]]) -> Path:
    for row in grid({"full": [97.0], "random": [90, 80], "elfs": [91, 85], "ccs": [92, 84]}, [0.5, 0.9]):
        write_row(row, tmp_path / "run")
    return tmp_path / "run"


def plot(*arguments: str) -> list[Path]:
    done = CliRunner().invoke(app, ["plot", *arguments])
    assert done.exit_code == 0, (done.output, done.exception)
    return [Path(line) for line in done.stdout.split()]


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
        ("digits", "full", "all of them are of the full data set"),
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
    [found] = scored(read[0], 0.5, [tmp_path])
    assert (found.coreset.tolist(), found.scores.tolist()) == ([0, 2, 7], scores.tolist())
    assert len(list(figures(read, [tmp_path], kinds=["scores"]))) == whole


def test_the_first_seed_whose_files_are_there_is_drawn(row: Callable[..., Row], tmp_path: Path) -> None:
    digest = write_scores(np.arange(9, dtype=np.float32), tmp_path)
    rows = [row("aum", 0.5, seed, pool_size=9, scores_sha256=digest) for seed in range(3)]
    kept = write_indices(np.array([0, 2, 7]), tmp_path, rows[1].cell_id)
    rows[1] = rows[1].model_copy(update={"indices_sha256": kept})
    assert [one.row.seed for one in scored(blocks(rows)[0], 0.5, [tmp_path])] == [1]


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
    for row in grid({"random": [94.0]}, [0.5], dataset="cifar10", pool_size=50_000):
        write_row(row, tmp_path)
    drawn = [
        plot("accuracy", str(tmp_path), "--format", "svg", *compare)[0].read_text()
        for compare in ((), ("--compare", "none"), ("--compare", "paper"))
    ]
    assert ["random, reported" in text for text in drawn] == [False, False, True]


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


def test_methods_differ_in_colour_and_in_marker() -> None:
    labels = ["random", *(f"m{number}" for number in range(9))]
    found = looks(labels)
    assert (
        len({look.color for look in found.values()})
        == len({look.marker for name, look in found.items() if name != "random"}) + 1
        == 10
    )
    assert looks(labels) == found
    assert looks(["Chance", "elfs"], "Chance")["Chance"] == found["random"]


def test_a_legend_leaves_the_figure_its_room(grid: Callable[..., list[Row]]) -> None:
    short = blocks(grid({"random": [80.0]}, [0.5]))[0]
    long = {f"elfs(beta=0.{number}, cluster_epochs=30, heads=5)": [80.0] for number in range(9)}
    heights, widths = [], []
    for block in (short, blocks(grid(long, [0.5]))[0]):
        with themed(Style()):
            figure = against_rate(block, Style())
            figure.draw_without_rendering()
            box = figure.axes[0].get_window_extent().transformed(figure.dpi_scale_trans.inverted())
            [legend] = figure.legends
            assert not legend.get_window_extent().overlaps(figure.axes[0].get_window_extent())
            assert legend.get_window_extent().width <= figure.bbox.width
        heights.append(box.height)
        widths.append(box.width)
    assert min(heights) > 1.9
    assert widths[0] == pytest.approx(widths[1], abs=0.1)


@pytest.mark.parametrize("methods", ["aum", "aum,elfs", "aum,elfs,el2n,ccs", "prototypicality,elfs,aum,ccs,d2,el2n"])
@pytest.mark.parametrize("width", [None, 3.25])
def test_the_legend_of_scores_lies_over_no_other_text(methods: str, width: float | None) -> None:
    committed = Path(__file__).parents[2] / "results" / "digits-demo"
    [block] = blocks(collect([committed]), shown=Shown(methods))
    style = Style(width=width)
    with themed(style):
        figure = score_distributions(block, 0.5, scored(block, 0.5, [committed]), style)
        figure.draw_without_rendering()
        [legend] = figure.legends
        axes = [one for one in figure.axes if one.get_visible()]
        others = [
            *(vars(figure)[name] for name in ("_supylabel", "_suptitle")),
            *(text for one in axes for text in (one.title, one.xaxis.label)),
        ]
        assert sum(text.get_text() == "score (easy to hard)" for text in others) == min(3, len(axes))
        boxes = [text.get_window_extent() for text in others if text.get_text()]
        boxes += [label.get_window_extent() for one in axes for label in one.get_xticklabels()]
        assert not any(legend.get_window_extent().overlaps(box) for box in boxes)


def test_a_figure_for_a_paper_has_its_width_font_names_and_no_title(run_folder: Path) -> None:
    options = ["--width", "3.25", "--font-size", "7", "--title", "none", "--methods", "elfs=ELFS-ours,random=Random"]
    paths = plot("accuracy", str(run_folder), *options)
    with Image.open(paths[0]) as picture:
        assert picture.width == pytest.approx(3.25 * 150, abs=1)
    svg = paths[1].read_text()
    assert svg.index(">ELFS-ours<") < svg.index(">Random<")
    assert "ccs" not in svg
    assert "encoder pixels" not in svg
    assert max(map(float, re.findall(r"font(?:-size)?: ?([\d.]+)px", svg))) == 7
    with themed(Style(width=3.25)):
        figure = against_rate(blocks(collect([run_folder]))[0], Style(width=3.25, title=""))
        figure.draw_without_rendering()
        for text in (figure.axes[0].xaxis.label, figure.axes[0].yaxis.label):
            box = text.get_window_extent()
            assert box.y0 >= 0
            assert box.x0 >= 0
            assert box.y1 <= figure.bbox.height
    own = plot("accuracy", str(run_folder), "--format", "svg", "--title", "On digits")[0].read_text()
    assert "On digits" in own
    assert "encoder pixels" not in own
