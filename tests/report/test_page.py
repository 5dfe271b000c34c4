"""The report in a real browser: it opens without an error or a request, sorts, filters, and shows the rows' numbers."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.recipe import Recipe
from bench.results.leaderboard import leaderboard_table, standings
from bench.results.rows import Row, write_row
from bench.results.tables import blocks, collect
from tests.browser import launched, new_page, watched

pytestmark = pytest.mark.integration

NASTY = "ccs(score='</script><img src=x onerror=alert(1)>')"


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with launched() as running:
        yield running


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[object]:
    """The report, opened; whatever the browser complains of or asks the network for fails the test."""
    with watched(browser, report) as opened:
        yield opened


def texts(page: Any, name: str) -> list[list[str]]:
    rows = page.locator(f"#{name} tbody tr:not(.group)").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]


def expected(folder: Path, rates: set[float], supervision: set[str]) -> list[list[str]]:
    rows = [row for row in collect([folder]) if row.rate in rates and row.supervision in supervision]
    return board(rows)


def board(rows: list[Row]) -> list[list[str]]:
    """The lines of the leaderboard, without intervals, as the page has none."""
    made = blocks(rows)
    board = leaderboard_table(made, standings(made), intervals=False)
    return [[field.text for field in line] for section in board.sections for line in section.lines]


def test_numbers_on_the_page_are_those_of_the_rows(page: Any, folder: Path) -> None:
    [block] = blocks(collect([folder]))
    shown = {line[0]: line[1:] for line in texts(page, "table-0")}
    for line in block.lines:
        for text, one in zip(shown[line.label], block.means_of(line), strict=False):
            assert text.startswith(f"{one.mean:.1f} ± {one.std:.1f}")


@pytest.mark.parametrize(
    ("choices", "rates", "supervision"),
    [
        ({}, {0.5, 0.9}, {"none", "pseudo", "labels"}),
        ({"rate": "0.5"}, {0.5}, {"none", "pseudo", "labels"}),
        ({"rate": "0.9", "supervision": "none"}, {0.9}, {"none"}),
        ({"rate": "0.9", "supervision": "labels"}, {0.9}, {"labels"}),
    ],
)
def test_the_filtered_leaderboard_is_the_one_of_the_filtered_rows(
    page: Any, folder: Path, choices: dict[str, str], rates: set[float], supervision: set[str]
) -> None:
    for name, value in choices.items():
        page.select_option(f"select[name={name}]", value)
    assert texts(page, "leaderboard") == expected(folder, rates, supervision)


def test_a_method_with_a_hole_is_not_ranked_and_its_seeds_are_told(page: Any) -> None:
    [line] = [line for line in texts(page, "leaderboard") if line[1] == "prototypicality"]
    assert (line[0], line[6]) == ("\N{EN DASH}", "2 to 3")


def test_data_sets_count_once_on_the_page_too(browser: Any, tmp_path: Path, grid: Callable[..., list[Row]]) -> None:
    without = {"random": [90.0, 80.0], "aum": [80.0, 70.0]}
    rows = [
        *grid({**without, "elfs": [70.0, 60.0]}, [0.5, 0.9]),
        *grid({"elfs": [95.0, 95.0]}, [0.5, 0.9], encoder="vit"),
        *grid({"random": [60.0], "aum": [65.0], "elfs": [70.0]}, [0.5], dataset="svhn"),
    ]
    for made in rows:
        write_row(made, tmp_path)
    assert CliRunner().invoke(app, ["report", str(tmp_path)]).exit_code == 0
    opened = new_page(browser)
    opened.goto((tmp_path / "report.html").as_uri())
    assert texts(opened, "leaderboard") == board(rows)
    assert [line[3] for line in board(rows)] == ["1.50", "2.25", "2.25"]
    opened.close()


def test_tables_sort_by_mouse_and_by_keyboard(page: Any) -> None:
    def accuracies() -> list[str]:
        return [line[5] for line in texts(page, "leaderboard")]

    page.click("#leaderboard thead th:nth-child(6) button")
    falling = [float(text) for text in accuracies() if text != "\N{EN DASH}"]
    assert falling == sorted(falling, reverse=True)
    page.focus("#leaderboard thead th:nth-child(6) button")
    page.keyboard.press("Enter")
    rising = [float(text) for text in accuracies() if text != "\N{EN DASH}"]
    assert rising == sorted(rising)
    assert page.get_attribute("#leaderboard thead th:nth-child(6)", "aria-sort") == "ascending"
    assert accuracies()[-1] == "\N{EN DASH}", "what is missing stays last"


def test_a_first_click_sorts_texts_from_a_to_z_and_ranks_from_the_best(page: Any) -> None:
    page.click("#leaderboard thead th:nth-child(2) button")
    names = [line[1] for line in texts(page, "leaderboard")]
    assert names == sorted(names)
    page.click("#leaderboard thead th:nth-child(2) button")
    assert [line[1] for line in texts(page, "leaderboard")] == names[::-1]
    page.click("#leaderboard thead th:nth-child(4) button")
    ranks = [line[3] for line in texts(page, "leaderboard") if line[3] != "\N{EN DASH}"]
    assert ranks == sorted(ranks)


def test_filters_are_in_the_address_and_notes_follow_them(page: Any, report: Path) -> None:
    def notes() -> str:
        return page.inner_text("#leaderboard-notes")

    assert "Not ranked: prototypicality: misses" in notes()
    assert "90 % (2 of 3 seeds)" in notes()
    page.select_option("select[name=rate]", "0.5")
    assert "Not ranked" not in notes()
    assert "among 4 methods over 1 column" in notes()
    assert page.evaluate("location.hash") == "#rate=0.5"
    shown = texts(page, "leaderboard")
    page.goto("about:blank")
    page.goto(report.as_uri() + "#rate=0.5")
    assert texts(page, "leaderboard") == shown
    assert page.input_value("select[name=rate]") == "0.5"
    page.goto(report.as_uri() + "#rate=0.7&nonsense=1")
    assert page.input_value("select[name=rate]") == "0.5", "what is no value is left out"


def test_filters_that_leave_nothing_say_so(browser: Any, row: Callable[..., Row], tmp_path: Path) -> None:
    for made in (row("random", 0.5), row("aum", 0.9)):
        write_row(made, tmp_path)
    assert CliRunner().invoke(app, ["report", str(tmp_path)]).exit_code == 0
    with watched(browser, tmp_path / "report.html") as opened:
        opened.select_option("select[name=rate]", "0.5")
        dash = "\N{EN DASH}"
        assert texts(opened, "leaderboard") == [
            [dash, "random", "none", dash, dash, "50.0", "1"],
            [dash, "aum", "labels", dash, dash, dash, dash],
        ]
        notes = opened.inner_text("#leaderboard-notes")
        assert "Mean rank: none, since only random is complete in every column, and a rank takes two methods" in notes
        assert "Not ranked: random" not in notes
        opened.select_option("select[name=rate]", "")
        opened.evaluate("data.length = 0; show()")
        assert texts(opened, "leaderboard") == []
        assert opened.inner_text("#status") == "No row passes these filters."
        assert "Columns" not in opened.inner_text("#leaderboard-notes")


def test_parts_are_never_ranked_together(browser: Any, grid: Callable[..., list[Row]], tmp_path: Path) -> None:
    for name, best in (("a", "random"), ("b", "elfs")):
        means = {"random": [80.0], "elfs": [70.0]} | {best: [90.0]}
        for made in grid(means, [0.9], recipe=Recipe(iterations=400 if name == "a" else 800)):
            write_row(made, tmp_path / name)
    done = CliRunner().invoke(
        app, ["report", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "r.html")]
    )
    assert done.exit_code == 0, done.output
    opened = new_page(browser)
    opened.goto((tmp_path / "r.html").as_uri())
    assert [line[1] for line in texts(opened, "leaderboard")] == ["random", "elfs"]
    opened.select_option("select[name=folders]", "b")
    assert [line[1] for line in texts(opened, "leaderboard")] == ["elfs", "random"]
    assert opened.evaluate("location.hash") == "#folders=b"
    opened.close()


def test_print_opens_what_is_folded_and_leaves_the_controls_out(page: Any) -> None:
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("[...document.querySelectorAll('details')].every(part => part.open)")
    page.emulate_media(media="print")
    assert not page.is_visible("#filters")
    assert not page.is_visible("nav")


def test_figures_scale_on_a_phone(page: Any) -> None:
    page.set_viewport_size({"width": 375, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    widths = page.evaluate("[...document.images].map(image => image.getBoundingClientRect().width)")
    assert widths
    assert max(widths) <= 343


def test_the_page_fits_a_phone_and_has_a_dark_mode(page: Any) -> None:
    page.set_viewport_size({"width": 375, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    colours = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(255, 255, 255)", "rgb(21, 24, 28)"]


def test_every_picture_is_there_and_described(page: Any) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    sizes = page.evaluate(
        "Promise.all([...document.images].map(async image => {"
        " image.loading = 'eager'; await image.decode(); return [image.naturalWidth, image.alt] }))"
    )
    assert all(width > 0 and text for width, text in sizes)
    told = " ".join(text for _, text in sizes)
    for what in (
        "accuracy against the percentage",
        "seconds of one cell",
        "class balance",
        "overlap",
        "kept and dropped",
    ):
        assert what in told


def test_what_rows_say_cannot_run_in_the_page(
    browser: Any, folder: Path, tmp_path: Path, row: Callable[..., Row]
) -> None:
    out = tmp_path / "run"
    shutil.copytree(folder, out)
    for seed in range(3):
        made = row("ccs", 0.5, seed, 60.0)
        nasty = {"variant": NASTY, "cell_id": f"nasty-{seed}", "indices_sha256": hashlib.sha256(b"x").hexdigest()}
        write_row(made.model_copy(update=nasty), out)
    assert CliRunner().invoke(app, ["report", str(out)]).exit_code == 0
    opened = new_page(browser)
    opened.on("dialog", lambda dialog: pytest.fail(f"the page ran {dialog.message}"))
    opened.goto((out / "report.html").as_uri())
    assert any("</script>" in line[1] for line in texts(opened, "leaderboard"))
    assert opened.locator("img[src=x]").count() == 0
    opened.close()
