"""``bench validate``: each thing that a row claims is checked, and a row that claims the truth passes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.results.published import indices_path, scores_path, write_indices, write_scores
from bench.results.rows import Row, write_row
from bench.results.validation import problems_of, row_files

RESULTS = Path(__file__).parents[2] / "results"
CONFIG = hashlib.sha256(b"a configuration").hexdigest()
CELL = f"digits-ccs-none-r90-s0-small_cnn-{CONFIG[:12]}"


@pytest.fixture
def valid(tmp_path: Path, row: Callable[..., Row]) -> Callable[..., Path]:
    """Write a run of one cell whose row is all true, with ``changes`` in its JSON; return the row's file."""

    def write(name: str = CELL, **changes: Any) -> Path:
        made = row(
            "ccs(beta=0.1)",
            rate=0.9,
            cell_id=CELL,
            config_sha256=CONFIG,
            pool_size=100,
            accuracy=65.0,
            best_accuracy=70.0,
            best_iteration=200,
            curve=[(100, 30.0), (200, 70.0), (300, 70.0), (400, 65.0)],
            per_class_accuracy=[100.0, None, 30.0],
            class_counts=[4, 5, 1],
            test_class_counts=[10, 0, 10],
            dataset_version=1,
            model_version=1,
            scores_sha256=write_scores(np.arange(100, dtype=np.float32), tmp_path),
            indices_sha256=write_indices(np.arange(0, 100, 10), tmp_path, name),
        )
        path = write_row(made, tmp_path)
        path.write_text(json.dumps(json.loads(path.read_bytes()) | changes))
        return path.rename(path.with_stem(name))

    return write


def test_a_true_row_has_no_problem(valid: Callable[..., Path]) -> None:
    assert list(problems_of(valid())) == []


def test_scores_may_be_left_out(valid: Callable[..., Path], tmp_path: Path) -> None:
    path = valid()
    [scores] = (tmp_path / "scores").iterdir()
    scores.unlink()
    assert list(problems_of(path)) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"protocol": 7}, "protocol: 7 is unknown; known: 1"),
        ({"schema_version": 9}, "schema_version: input should be 1, 2 or 3"),
        ({"seed": 1}, "cell_id: it names digits-ccs-none-r90-s0-small_cnn, the row's fields digits-ccs-none-r90-s1"),
        ({"dataset": "mnist5k"}, "the row's fields mnist5k-ccs"),
        ({"dataset": "digits(("}, "cell_id: cannot be compared: cannot read 'digits(('"),
        ({"config_sha256": "0" * 64}, "cell_id: it ends with"),
        ({"dataset_version": None, "model_version": None}, "dataset_version, model_version: missing in a row of"),
        ({"best_iteration": None, "test_class_counts": []}, "best_iteration, test_class_counts: missing in a row of"),
        ({"accuracy": 64.0}, "accuracy: 64.0 is not the last of the curve, 65.0"),
        ({"accuracy": 165.0}, "accuracy: input should be less than or equal to 100"),
        ({"best_accuracy": 71.0}, "best_accuracy: 71.0 is not the best of the curve, 70.0"),
        ({"best_iteration": 300}, "best_iteration: 300 is not where the curve is best first, 200"),
        ({"curve": []}, "curve: it is empty"),
        ({"curve": [[200, 70.0], [200, 70.0], [400, 65.0]]}, "curve: iterations do not ascend from 1"),
        ({"curve": [[200, 70.0], [300, 65.0]]}, "curve: it ends at iteration 300, the recipe at 400"),
        ({"per_class_accuracy": [100.0, None, 40.0]}, "with test_class_counts it does not make 65.0"),
        ({"per_class_accuracy": [100.0, 0.0, 30.0]}, "one for each class with test images, and no other"),
        ({"per_class_accuracy": [100.0]}, "not of the same length"),
        ({"schema_version": 1, "test_class_counts": [], "per_class_accuracy": [10.0, None, 20.0]}, "no class counts"),
        ({"class_counts": [4, 5, 2]}, "class_counts: they add up to 11, the budget is 10"),
        ({"budget": 11}, "budget: 11, but rate 0.9 keeps 10 of 100"),
        ({"budget": 101}, "budget: 101 images are more than the pool of 100"),
        ({"indices_sha256": "0" * 64}, "indices: SHA-256 of"),
    ],
)
def test_each_untruth_is_found(valid: Callable[..., Path], changes: dict[str, Any], says: str) -> None:
    found = list(problems_of(valid(**changes)))
    assert any(says in problem for problem in found), found


def test_a_renamed_row_is_found(valid: Callable[..., Path]) -> None:
    assert f"cell_id: {CELL} is not the name of the file" in list(problems_of(valid(name="renamed")))


def damage_missing(path: Path) -> None:
    path.unlink()


def damage_other(path: Path) -> None:
    np.save(path, np.arange(10))


def damage_short(path: Path) -> None:
    np.save(path, np.arange(9))


def damage_pickle(path: Path) -> None:
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)


def damage_link(path: Path) -> None:
    elsewhere = path.parents[2] / "elsewhere.npy"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (damage_missing, "indices: cannot read"),
        (damage_other, "indices: SHA-256 of"),
        (damage_short, "holds 9 positions, the budget is 10"),
        (damage_pickle, "indices: cannot read"),
        (damage_link, "leads outside"),
    ],
)
def test_a_coreset_that_is_not_the_rows_is_found(
    valid: Callable[..., Path], tmp_path: Path, damage: Callable[[Path], None], says: str
) -> None:
    run = tmp_path / "run"
    path = valid()
    for folder in ("rows", "indices", "scores"):
        (tmp_path / folder).rename((run / folder) if run.exists() else _made(run) / folder)
    damage(indices_path(run, CELL))
    found = list(problems_of(run / "rows" / path.name))
    assert any(says in problem for problem in found), found


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize("scores", [np.zeros(100, np.float32), np.zeros(3, np.float32), np.array(["a"])])
def test_scores_that_are_not_the_rows_are_found(valid: Callable[..., Path], tmp_path: Path, scores: Any) -> None:
    path = valid()
    [file] = (tmp_path / "scores").iterdir()
    np.save(file, scores)
    [problem] = problems_of(path)
    assert problem.startswith("scores: ")


def test_scores_of_another_pool_are_found(valid: Callable[..., Path], tmp_path: Path) -> None:
    digest = write_scores(np.arange(99, dtype=np.float32), tmp_path)
    [problem] = problems_of(valid(scores_sha256=digest))
    assert problem == f"scores: {scores_path(tmp_path, digest)} does not hold one finite number for each of the " + (
        "100 pool images"
    )


def test_the_command_prints_one_line_per_problem_and_exits_with_1(valid: Callable[..., Path], tmp_path: Path) -> None:
    path = valid(accuracy=64.0, budget=11)
    done = CliRunner().invoke(app, ["validate", str(tmp_path)])
    assert done.exit_code == 1
    *lines, summary = done.stdout.splitlines()
    assert summary == "1 row checked, 5 problems."
    assert len(lines) == 5
    assert all(line.startswith(f"{path}: ") for line in lines)
    path.write_bytes(path.read_bytes()[:100])
    done = CliRunner().invoke(app, ["validate", str(path), str(tmp_path)])
    assert done.exit_code == 1
    [line, summary] = done.stdout.splitlines()
    assert line.startswith(f"{path} is not a valid row: the file: ")
    assert summary == "1 row checked, 1 problem."


def test_committed_rows_of_earlier_versions_stay_valid() -> None:
    folders = sorted(path.parent for path in RESULTS.glob("*/rows"))
    done = CliRunner().invoke(app, ["validate", *map(str, folders)])
    assert done.exit_code == 0, done.stdout
    assert done.stdout.endswith(" rows checked, 0 problems.\n")
    assert sum(len(row_files(folder)) for folder in folders) > 100


def test_validation_imports_neither_torch_nor_ray_nor_pandas(valid: Callable[..., Path]) -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from bench.cli import app\n"
        f"assert CliRunner().invoke(app, ['validate', {str(valid())!r}]).exit_code == 0\n"
        "print(sorted({'torch', 'ray', 'pandas', 'scipy', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=500, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("name", "says"), [("nowhere", "neither a file nor a folder"), (".", "holds no rows")])
def test_a_path_without_rows_is_bad_input(tmp_path: Path, name: str, says: str) -> None:
    from bench.errors import RowError

    with pytest.raises(RowError, match=says):
        row_files(tmp_path / name)
