"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

from bench.cli import app
from bench.plugins import methods
from tests.cli.commands import WIDE

PLUGIN = """
from bench import register_method

@register_method("of-a-file", supervision="none", stochastic=True)
def of_a_file(pool, budget, rng):
    \"\"\"Uniform without replacement.\"\"\"
    return rng.choice(len(pool), budget, replace=False)
"""


def test_a_plugin_file_is_loaded_before_the_names_that_stand_in_front_of_it(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN)
    given = ("--methods", "of-a-file", "--datasets", "digits", "--rates", "0.5", "--out", str(tmp_path / "out"))
    try:
        done = WIDE.invoke(app, ["run", *given, "--dry-run", "--plugin", str(tmp_path / "mine.py")])
        assert done.exit_code == 0, done.output or done.exception
        assert "of-a-file" in done.output
    finally:
        methods.remove("of-a-file")
    assert not (tmp_path / "out").exists()
