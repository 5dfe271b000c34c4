"""The installed ``bench`` command in a process of its own, up to where Ray would start."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from bench.cli import app
from bench.cli.cache import cache
from tests.cli.commands import WIDE, python, run

pytestmark = pytest.mark.integration


def test_help_of_every_command(tmp_path: Path) -> None:
    overview = run(tmp_path, "--help")
    assert overview.returncode == 0
    for command in ("run", "table", "leaderboard", "list", "export", "validate", "schema"):
        assert command in overview.stdout
        done = WIDE.invoke(app, [command, "-h"], prog_name="bench")
        assert done.exit_code == 0, done.output
        assert "Usage: bench" in done.stdout
    options = WIDE.invoke(app, ["run", "--help"]).stdout
    for option in ("--methods", "--rates", "--data-root", "--dry-run", "--gpus-per-trial", "BENCH_CACHE_DIR"):
        assert option in options


def test_paragraphs_of_help_texts_fit_80_columns() -> None:
    """Line breaks of paragraphs of several lines are kept, so a longer line would break twice."""
    for command in [*app.registered_commands, *cache.registered_commands]:
        paragraphs = inspect.cleandoc(command.callback.__doc__ or "").split("\n\n")
        lines = [line for paragraph in paragraphs if "\n" in paragraph for line in paragraph.splitlines()]
        assert [line for line in lines if len(line) > 78] == [], command.name


def test_help_and_listing_import_nothing_heavy() -> None:
    loaded = python(
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from bench.cli import app\n"
        "runner = CliRunner()\n"
        "assert runner.invoke(app, ['--help']).exit_code == 0\n"
        "assert runner.invoke(app, ['run', '--help']).exit_code == 0\n"
        "for kind in ('methods', 'datasets', 'encoders', 'models'):\n"
        "    assert runner.invoke(app, ['list', kind]).exit_code == 0\n"
        "heavy = {'torch', 'torchvision', 'ray', 'pandas', 'sklearn', 'scipy', 'faiss', 'timm'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert loaded.strip() == "[]"
