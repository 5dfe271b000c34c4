"""``bench export``."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.errors import SpecError
from bench.results.rows import read_rows


def test_an_unwritable_target_is_one_error(two_methods: Path) -> None:
    (two_methods / "taken").mkdir()
    done = CliRunner().invoke(app, ["export", str(two_methods), "--out", str(two_methods / "taken")])
    assert str(done.exception).startswith(f"cannot write {two_methods / 'taken'}: ")


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_the_file_lies_in_the_first_folder_or_where_it_is_wanted(two_methods: Path, tmp_path: Path, form: str) -> None:
    beside = two_methods / f"rows.{form}"
    done = CliRunner().invoke(app, ["export", str(two_methods), "--format", form])
    assert (done.exit_code, done.stdout) == (0, f"Written: {beside} ({len(list(read_rows(two_methods)))} rows)\n")
    wanted = tmp_path / f"other.{form.upper()}"
    done = CliRunner().invoke(app, ["export", str(two_methods), "--out", str(wanted)])
    assert done.exit_code == 0, done.output
    assert wanted.read_bytes() == beside.read_bytes()
    wanted = tmp_path / "other"
    done = CliRunner().invoke(app, ["export", str(two_methods), "--format", form, "--out", str(wanted)])
    assert done.exit_code == 0, done.output
    assert wanted.read_bytes() == beside.read_bytes()


@pytest.mark.parametrize(
    ("options", "valid"),
    [
        (["--out", "rows.xlsx"], "a .parquet or .csv file is written."),
        (["--out", "rows.xlsx", "--format", "csv"], "a .csv file is written with --format csv."),
        (["--out", "rows.csv", "--format", "parquet"], "a .parquet file is written with --format parquet."),
    ],
)
def test_a_suffix_that_is_not_written_is_refused_before_any_row_is_read(options: list[str], valid: str) -> None:
    done = CliRunner().invoke(app, ["export", "no-such-folder", *options])
    assert isinstance(done.exception, SpecError)
    assert str(done.exception) == f"--out {options[1]} is not valid: {valid}"
