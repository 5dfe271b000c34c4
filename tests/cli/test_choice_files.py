"""Names of the files that ``bench select`` writes; ``test_select.py`` writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli._choice_files import OutputOptions
from bench.errors import BenchError


def test_every_file_is_named_before_anything_is_written(tmp_path: Path) -> None:
    options = OutputOptions(out=tmp_path / "x.csv", formats="coco,csv,cvat", scores=tmp_path / "all.parquet")
    assert {path.name for path in options.files()} == {
        "x.csv",
        "x.jpg",
        "x.skipped.csv",
        "x.html",
        "all.parquet",
        "x.coco.json",
        "x.manifest.jsonl",
    }
    options.check({}, files=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"out": Path("x.txt")}, "--out x.txt is not valid"),
        ({"scores": Path("all.xlsx")}, "--scores all.xlsx is not valid: a .csv or .parquet file is written"),
        ({"formats": "coko"}, "unknown --format of bench select 'coko'"),
    ],
)
def test_names_that_cannot_be_written_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, object], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BenchError, match=message):
        OutputOptions(**given).check({}, files=True)  # type: ignore[arg-type]
    (tmp_path / "to_label.html").write_text("mine")
    with pytest.raises(BenchError, match=r"already in .*to_label\.html"):
        OutputOptions().check({}, files=True)
    OutputOptions(overwrite=True).check({}, files=True)
