"""``bench schema``."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from bench.cli import app
from bench.reference.rows import rows_page
from bench.results.rows import Row

ROOT = Path(__file__).parents[2]


def test_the_committed_page_is_what_the_command_prints() -> None:
    done = CliRunner().invoke(app, ["schema"])
    assert (ROOT / "docs" / "rows.md").read_text(encoding="utf-8") == done.stdout == rows_page()


def test_json_is_the_schema_of_rows() -> None:
    done = CliRunner().invoke(app, ["schema", "--json"])
    assert json.loads(done.stdout) == Row.model_json_schema(mode="serialization")
