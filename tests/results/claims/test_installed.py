"""A row's names and parameters are those of the installed plugins."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.plugins import methods, register_method
from bench.results.claims import Unchecked
from tests.claim_fixtures import Write, findings, problems, rehashed


@pytest.mark.parametrize("name", ["ccs", "elfs", "random"])
@pytest.mark.parametrize("model", ["", "linear_probe"])
def test_a_row_that_was_trained_again_has_no_problem(
    true_rows: Callable[[str], Path], tmp_path: Path, name: str, model: str
) -> None:
    words = ["train", "--row", str(true_rows(name)), "--out", str(tmp_path / "out"), "--cache-dir", str(tmp_path)]
    more = ["--model", model, *([] if name == "elfs" else ["--encoder", "pixels"])] if model else []
    done = CliRunner().invoke(app, [*words, *more])
    assert done.exit_code == 0, done.output
    [path] = (tmp_path / "out" / "rows").iterdir()
    assert findings(path) == []
    fields = json.loads(path.read_bytes())
    path.write_text(json.dumps(fields | {"supervision": "coreset"}))
    [problem] = problems(path)
    assert problem.startswith("supervision: coreset, but ")


def stranger(pool: Any, budget: int, rng: np.random.Generator, *, depth: int = 3) -> Any:
    """Keep the first images."""
    return np.arange(budget)


def test_what_is_not_installed_is_said_and_believed(forged: Write) -> None:
    register_method("stranger", supervision="none")(stranger)
    try:
        changes = {"method": "stranger", "variant": "stranger(depth=4)", "params": {"depth": 4}, "supervision": "none"}
        whole = {"proxy_model": "-", "proxy_version": None, "proxy_recipe": None}
        path = rehashed(forged(lambda row: changes | whole | {"cell_id": row["cell_id"].replace("ccs", "stranger")}))
    finally:
        methods.remove("stranger")
    found = findings(path)
    assert [finding for finding in found if not isinstance(finding, Unchecked)] == []
    assert "method stranger: it is not installed" in found
