"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.cli import app
from bench.plugins import datasets, methods
from tests.cli.commands import WIDE

PLUGIN = """
from bench import register_method

@register_method("of-a-file", supervision="none", stochastic=True)
def of_a_file(pool, budget, rng):
    \"\"\"Uniform without replacement.\"\"\"
    return rng.choice(len(pool), budget, replace=False)
"""


DATA = """
import numpy as np
from bench import Recipe, make_dataset, register_dataset

@register_dataset("data-of-a-file", num_classes=2, image_size=8, mean=(0.5,), std=(0.5,), model="linear_probe",
                  recipe=Recipe(iterations=2, proxy_epochs=1, evaluations=1), encoder="pixels", source="made up")
def data_of_a_file(root):
    \"\"\"Noise.\"\"\"
    def split(size):
        return np.random.default_rng(0).integers(256, size=(size, 1, 8, 8), dtype=np.uint8), np.arange(size) % 2
    return make_dataset(split(40), split(20), class_names=("a", "b"), mean=(0.5,), std=(0.5,))
"""


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    forget()


def forget() -> None:
    """Remove what a file registered, as a process that ends does."""
    methods.remove("of-a-file")
    datasets.remove("data-of-a-file")


def test_a_plugin_file_is_loaded_before_the_names_that_stand_in_front_of_it(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN)
    given = ("--methods", "of-a-file", "--datasets", "digits", "--rates", "0.5", "--out", str(tmp_path / "out"))
    done = WIDE.invoke(app, ["run", *given, "--dry-run", "--plugin", str(tmp_path / "mine.py")])
    assert done.exit_code == 0, done.output or done.exception
    assert "of-a-file" in done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.integration
def test_all_commands_that_look_up_names_load_plugin_files(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN + DATA)
    out, cache = tmp_path / "out", ("--cache-dir", str(tmp_path / "cache"))
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(30, 4)))

    def told(*arguments: str) -> str:
        done = WIDE.invoke(app, [*arguments, "--plugin", str(tmp_path / "mine.py")])
        assert done.exit_code == 0, done.output or done.exception
        forget()
        return done.output

    grid = ("--methods", "of-a-file,random", "--datasets", "data-of-a-file", "--rates", "0.5", "--executor", "local")
    told("run", *grid, "--out", str(out), *cache)
    row = next((out / "rows").glob("*of-a-file*.json"))
    assert "Reproduced" in told("train", "--row", str(row), "--out", str(tmp_path / "again"), *cache)
    assert "not installed" not in told("validate", str(out))
    assert "of-a-file" in told("list", "methods")
    chosen = ("--embeddings", str(tmp_path / "x.npy"), "--method", "of-a-file", "--classes", "2", "--budget", "5")
    assert "chosen by of-a-file" in told("select", *chosen, "--out", str(tmp_path / "l.csv"), *cache)
    assert "data-of-a-file" not in told("report", str(out)), "the report finds the pictures of the data set"
