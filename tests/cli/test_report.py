"""The report without a browser: one file that needs no network, and the numbers in it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.errors import UnknownName
from bench.recipe import Recipe
from bench.results.rows import Row, write_row
from tests.report.addresses import Addresses

pytestmark = pytest.mark.integration


def test_what_a_row_says_is_text_on_the_page(row: Callable[..., Row], tmp_path: Path) -> None:
    nasty = "ccs(score='</script><img src=x onerror=alert(1)>')"
    for variant in (nasty, "random"):
        write_row(row(variant, device="<b>cpu</b> & co"), tmp_path)
    done = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "report.html").read_text()
    assert "<img src=x" not in text
    assert "<b>cpu" not in text
    assert "&lt;b&gt;cpu&lt;/b&gt; &amp; co" in text


@pytest.fixture
def two_recipes(grid: Callable[..., list[Row]], tmp_path: Path) -> Path:
    """A folder of folders: two recipes on digits, and mnist beside the first."""
    for name, iterations, dataset in (("a", 400, "digits"), ("b", 800, "digits"), ("c", 400, "mnist5k")):
        means = {"random": [80.0 + iterations / 200], "elfs": [85.0], "aum": [70.0]}
        for made in grid(means, [0.9], dataset=dataset, recipe=Recipe(iterations=iterations)):
            write_row(made, tmp_path / "runs" / name)
    return tmp_path / "runs"


def test_folders_of_two_recipes_are_parts_of_one_page(two_recipes: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(two_recipes)])
    assert done.exit_code == 0, done.output
    assert re.findall(r"^(rows|coresets|figures) ", done.output, re.M) == ["rows", "coresets", "figures"]
    text = (two_recipes / "report.html").read_text()
    assert re.findall(r'<h2 class="part">(.*?)</h2>', text) == ["a, c", "b"]
    assert len(re.findall(r'<section id="block-\d"', text)) == 3
    page = Addresses()
    page.feed(text)
    places = {(cell["folders"], cell["dataset"]) for cell in json.loads(page.data)["cells"]}
    assert places == {("a, c", "digits"), ("a, c", "mnist5k"), ("b", "digits")}


@pytest.mark.parametrize(
    ("methods", "titles", "told"),
    [
        ("aum,random=Chance", ["a, c", "b"], r"b: Without aum, which has no row here\.\n"),
        ("aum", ["a, c"], r"b is left out: it has no row of aum\.\n"),
    ],
)
def test_a_part_that_lacks_a_method_goes_without_it(
    two_recipes: Path, methods: str, titles: list[str], told: str
) -> None:
    for path in (two_recipes / "b" / "rows").glob("aum-*"):
        path.unlink()
    done = CliRunner().invoke(app, ["report", str(two_recipes), "--methods", methods])
    assert done.exit_code == 0, done.output
    assert re.search(told, done.output)
    page = Addresses()
    page.feed(text := (two_recipes / "report.html").read_text())
    found = {(cell["folders"], cell["method"]) for cell in json.loads(page.data)["cells"]}
    named = {name.rpartition("=")[2] for name in methods.split(",")}
    assert {name for title, name in found if title == "a, c"} >= named
    assert not {name for title, name in found if title == "b"} & {"aum", "elfs"}
    assert sorted({title for title, _ in found}) == titles
    assert ("<p>Without aum, which has no row here.</p>" in text) == (len(titles) == 2)
    done = CliRunner().invoke(app, ["report", str(two_recipes), "--methods", "aum,kcenter"])
    assert isinstance(done.exception, UnknownName)


def test_a_page_has_the_paired_comparison_and_sizes_of_images(report: Path) -> None:
    text = report.read_text()
    assert "Paired differences: against random" in text
    assert re.search(r'<table id="contests-0".*?\[[-+]\d', text, re.S)
    images = re.findall(r"<img [^>]*>", text)
    assert images
    assert all(re.search(r'width="\d+" height="\d+"', image) for image in images)


def test_a_baseline_that_was_named_must_be_there(folder: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(folder), "--baseline", "kcenter", "--out", str(tmp_path / "x.html")])
    assert isinstance(done.exception, UnknownName)
    assert not (tmp_path / "x.html").exists()


def test_a_page_that_no_browser_would_open_is_refused_before_work(folder: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(folder), "--out", str(tmp_path / "reports")])
    assert re.search(
        r"reports is not valid: an \.html file is written, such as .*/reports\.html\.$", str(done.exception)
    )
    assert not (tmp_path / "reports").exists()
