"""``bench validate``: each thing that a row claims is checked, and a row that claims the truth passes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.errors import RowError
from bench.results.rows import read_row
from bench.results.validation import row_files
from tests.claim_fixtures import RESULTS, TRUE, Change, Write, earlier, findings, first, inside, problems


@pytest.mark.parametrize("name", TRUE)
def test_a_row_of_our_own_has_no_problem_and_is_checked_whole(true_rows: Callable[[str], Path], name: str) -> None:
    assert findings(true_rows(name)) == []


def test_a_field_that_is_there_twice_is_found(forged: Write) -> None:
    path = forged()
    path.write_text(path.read_text().replace('"accuracy": ', '"accuracy": 99.9, "accuracy": ', 1))
    assert problems(path) == [f"{path} is not a valid row: accuracy is there twice."]


UNTRUE: list[tuple[Change, str]] = [
    ({"protocol": 7}, "protocol: 7 is unknown; known: 1"),
    ({"schema_version": 9}, "schema_version: input should be 1, 2, 3, 4 or 5"),
    ({"seed": 1}, "cell_id: it names digits-ccs-none-r70-s3-small_cnn, the row's fields digits-ccs-none-r70-s1"),
    ({"seed": -3}, "seed: -3 is below 0"),
    ({"dataset": "mnist5k"}, "the row's fields mnist5k-ccs"),
    ({"dataset": "digits(("}, "dataset: cannot read 'digits(('"),
    ({"dataset": "digits(pool_size=400)"}, "pool_size: 300, but the data set is digits(pool_size=400)"),
    ({"dataset": "digits"}, "config_sha256: "),
    ({"dataset": "digits(pool_size=300)@seed=1"}, "dataset digits: @seed draws nothing without"),
    ({"dataset": "digits(pool_size=300)@noise=0.0"}, "dataset: 'digits(pool_size=300)@noise=0.0' would be written"),
    ({"dataset": "digits(pool_size=300, size=3)"}, "dataset: unknown parameter of dataset 'digits': 'size'"),
    ({"dataset": "digіts(pool_size=300)"}, "dataset: 'digіts' cannot be the name of a plugin"),  # noqa: RUF001
    ({"config_sha256": "0" * 64}, "cell_id: it ends with"),
    (lambda row: {"config_sha256": row["config_sha256"][:12] + "0" * 52}, "but the row's fields make"),
    ({"dataset_version": None, "model_version": None}, "dataset_version, model_version: missing in a row of"),
    ({"best_iteration": None, "test_class_counts": []}, "best_iteration, test_class_counts: missing in a row of"),
    ({"dataset_version": 2}, "but the row's fields make"),
    ({"model_version": 0}, "model_version: 0 is below 1"),
    ({"method": "elfs"}, "variant: it names ccs, the method is elfs"),
    ({"variant": "elfs"}, "variant: it names elfs, the method is ccs"),
    ({"variant": "ccs(beta"}, "variant: cannot read 'ccs(beta'"),
    ({"variant": "ccs(beta=0.2)"}, "variant: beta is 0.2 there at rate 0.7, but 0.1 in params"),
    ({"variant": "ccs(beta=0.10)"}, "variant: 'ccs(beta=0.10)' would be written 'ccs(beta=0.1)'"),
    ({"variant": "ccs(beta=0.1)@noise=0.2"}, "variant: only a data set takes modifiers"),
    ({"variant": "ccs(beta={0.5: 0.1})"}, "variant: beta has no value at the row's rate 0.7"),
    ({"variant": "ccs(beta={0.7: 0.1, 0.5: 0.0})"}, "would be written ccs(beta={0.5: 0.0, 0.7: 0.1})"),
    ({"variant": "ccs(beta={0.7: 0.2})"}, "variant: beta is 0.2 there"),
    ({"variant": "ccs(beta=0.1, gamma=1)"}, "params: gamma is missing, which the variant sets to 1"),
    ({"variant": "ccs(beta=0.1, strata=50)"}, "would be written ccs(beta=0.1)"),
    ({"variant": "ccs"}, "variant: it does not name beta=0.1, which is not the default"),
    (inside("params", beta=0.2), "variant: beta is 0.1 there at rate 0.7, but 0.2 in params"),
    (inside("params", beta="0.1"), "but '0.1' in params"),
    (inside("params", strata=51), "variant: it does not name strata=51"),
    (inside("params", strata=0), "params: method ccs: strata=0 is not valid"),
    (inside("params", strata="50"), "params: strata would be written 50, not '50'"),
    (inside("params", gamma=1), "params: unknown parameter of method 'ccs': 'gamma'"),
    (inside("params", score="a\u202eb"), "holds the unseen character U+202E"),
    ({"variant": "ccs(beta=0.9)", "params": {"beta": 0.9}}, "params: beta=0.9 is not valid at rate 0.7"),
    ({"supervision": "none"}, "supervision: none, but ccs is registered with labels"),
    ({"chosen": {"gamma": 1.0}}, "chosen: ccs has no parameter gamma"),
    ({"chosen": {"beta": 0.3}}, "chosen: beta is 0.1 in params, which leaves nothing to choose"),
    ({"judged": {"beta=0": 0.5}, "taken": "beta=0"}, "judged: ccs(beta=0.1) has nothing judged"),
    ({"judged": {"beta=0": 0.5}, "taken": "beta=1"}, "taken: beta=1 was taken, but judged were beta=0"),
    ({"judged": {"beta=0": 1.5}}, "judged.beta=0: input should be less than or equal to 1"),
    ({"chosen": {"score": 2.0}}, "chosen: method ccs: score=2 is not valid"),
    ({"selection_code": ""}, "selection_code: missing in a row of version 5"),
    ({"selection_code": "x"}, "selection_code: 'x' has no 16 hexadecimal digits"),
    ({"encoder_supervision": "none"}, "encoder: there is none, but its supervision"),
    ({"encoder_weights": "0" * 64}, "encoder: there is none, but its supervision"),
    ({"encoder": "pixels"}, "encoder_supervision: it is missing"),
    (
        {"encoder": "pixels", "encoder_supervision": "none", "encoder_version": 1},
        "encoder: pixels, but nothing reads embeddings by ccs(beta=0.1)",
    ),
    ({"proxy_model": "-"}, "proxy_model: there is none, but it has a version or a recipe"),
    ({"proxy_model": "-", "proxy_version": None, "proxy_recipe": None}, "proxy_model: -, but ccs(beta=0.1) has one"),
    ({"proxy_model": "resnet18"}, "but the row's fields make"),
    ({"proxy_version": None}, "proxy_version: missing"),
    ({"proxy_recipe": None}, "proxy_recipe: missing"),
    (inside("proxy_recipe", lr=0.1), "but the row's fields make"),
    (inside("proxy_recipe", lr=0.1), "proxy_recipe: it is not that of the row's own model"),
    ({"model": "small_cnn(width=32)"}, "model: small_cnn(width=32) would be written small_cnn"),
    ({"model": "small_cnn(depth=32)"}, "model: unknown parameter of model 'small_cnn': 'depth'"),
    (inside("recipe", lr=0.1), "but the row's fields make"),
    (inside("recipe", scale=0.5), "but the row's fields make"),
    (inside("recipe", evaluations=4), "curve: it is not scored 4 times, evenly, in 20 iterations"),
    (inside("recipe", evaluations=10**9, iterations=10**12), "curve: it ends at iteration 20, the recipe at"),
    (inside("recipe", precision="auto"), "recipe: precision is auto"),
    (inside("recipe", precision="tf32"), "recipe: precision is tf32, which cpu"),
    ({"accuracy": 64.0}, "accuracy: 64.0 is not the last of the curve"),
    ({"accuracy": 165.0}, "accuracy: input should be less than or equal to 100"),
    ({"best_accuracy": 71.0}, "best_accuracy: 71.0 is not the best of the curve"),
    ({"flipped_accuracy": 64.0}, "flipped_accuracy: 64.0, but the recipe has test_flip=False"),
    (inside("recipe", test_flip=True), "flipped_accuracy: None, but the recipe has test_flip=True"),
    ({"flipped_accuracy": 64.1}, "flipped_accuracy: 64.1 % of 359 test images is not a whole number of them"),
    ({"best_iteration": 3}, "best_iteration: 3 is not where the curve is best first"),
    ({"curve": []}, "curve: it is empty"),
    (first("curve", [13, 30.0]), "curve: iterations do not ascend from 1"),
    (first("curve", [8, 30.0]), "curve: it is not scored 3 times, evenly"),
    (lambda row: {"curve": row["curve"][1:]}, "curve: it is not scored 3 times, evenly"),
    (lambda row: {"curve": row["curve"][:-1]}, "curve: it ends at iteration 13, the recipe at 20"),
    (first("curve", [7, 30.0]), "curve: 30.0 % of 359 test images is not a whole number of them"),
    (first("per_class_accuracy", 99.9), "per_class_accuracy: 99.9 % of 36 test images is not a whole number"),
    (first("per_class_accuracy", 50.0), "with test_class_counts it does not make"),
    (first("per_class_accuracy", None), "one for each class with test images, and no other"),
    ({"per_class_accuracy": [100.0]}, "not of the same length"),
    (earlier(1) | {"per_class_accuracy": [10.0] * 10}, "no class counts make"),
    ({"schema_version": 3}, "proxy_recipe: there in a row of version 3, which has none"),
    ({"clean_fingerprint": ..., "encoder_version": ...}, "clean_fingerprint, encoder_version: missing in a row of"),
    (lambda row: {"recipe": row["recipe"] | {"lr": ...}}, "recipe.lr: missing"),
    ({"seed": "3"}, "seed: input should be a valid integer"),
    ({"seed": 3.0}, "seed: input should be a valid integer"),
    ({"threads": True}, "threads: input should be a valid integer"),
    ({"accuracy": "39.8"}, "accuracy: input should be a valid number"),
    (lambda row: {"class_counts": [row["class_counts"][0] + 1, *row["class_counts"][1:]]}, "the budget is 90"),
    (
        lambda row: {"class_counts": row["class_counts"][1:] + row["class_counts"][:1]},
        "images of class 0, but by the labels it is",
    ),
    (lambda row: {"class_counts": [*row["class_counts"], 0]}, "class_counts: 11 classes, but digits has 10"),
    (
        lambda row: {"test_class_counts": [2 * count for count in row["test_class_counts"]]},
        "test_class_counts: 72 images",
    ),
    ({"budget": 11}, "budget: 11, but rate 0.7 keeps 90 of 300"),
    ({"budget": 301}, "budget: 301 images are more than the pool of 300"),
    ({"rate": 0.6}, "budget: 90, but rate 0.6 keeps 120 of 300"),
    ({"pool_size": 10**400}, "pool_size: "),
    ({"fingerprint": "f" * 64}, "fingerprint: ffffffffffff..., but digits(pool_size=300) has"),
    ({"fingerprint": "none"}, "fingerprint: 'none' is not a SHA-256"),
    ({"clean_fingerprint": "f" * 64}, "clean_fingerprint: 'ffffffffffff', but '' here"),
    ({"indices_sha256": "0" * 64}, "indices: SHA-256 of"),
    (
        {"pseudo_labels": {"accuracy": 50.0, "nmi": 0.5, "ari": 0.5, "clusters": 10}},
        "pseudo_labels: ccs(beta=0.1) rests",
    ),
    (
        lambda row: {"stages": [row["stages"][0] | {"key": "0" * 64}, row["stages"][1]]},
        "stages: dynamics 000000000000... is not among",
    ),
    (lambda row: {"stages": row["stages"] * 2}, "stages: a key is there twice"),
    (lambda row: {"stages": [row["stages"][0] | {"kind": "other"}, row["stages"][1]]}, "stages: other "),
    (lambda row: {"stages": row["stages"][::-1]}, "stages: inputs do not come first"),
    (lambda row: {"stages": [row["stages"][1] | {"paid_seconds": 1.0}]}, "stages: paid_seconds is not empty"),
    ({"stages": []}, "but the stages have no selection"),
    (inside("params", strata=...), "params: strata: missing"),
    ({"train_seconds": 0.0}, "a time is 0, or longer than any run"),
    ({"train_seconds": 1e300}, "a time is 0, or longer than any run"),
    ({"device": " cpu"}, "device: ' cpu' is empty, or begins or ends with blanks"),
    (inside("versions", torch="new"), "versions: 'new' is not a version of torch"),
    ({"select_seconds": 1e-9}, "select_seconds: 1e-09, but the stages have"),
    ({"threads": 0}, "threads: 0; a trial has at least 1"),
    ({"device": "cpu\u2067"}, "device: string should match"),
    ({"versions": {}}, "versions: python, coreset-bench, numpy, torch: missing"),
    (inside("versions", cuda="12.6"), "versions: CUDA 12.6, but the device is cpu"),
    ({"git_revision": "HEAD"}, "git_revision: 'HEAD' is not a revision of git"),
    ({"git_revision": "", "git_dirty": True}, "git_dirty: there are changes, but to no revision"),
    ({"created": "yesterday"}, "created: 'yesterday' is not a date and time in ISO 8601"),
    ({"created": "9999-99-99"}, "created: '9999-99-99' is not a date"),
    ({"created": "2025-11-24"}, "created: 2025-11-24 is not in UTC"),
    ({"created": "2025-11-24T10:00:00+02:00"}, "is not in UTC"),
    ({"created": "2999-11-24T10:00:00+00:00"}, "created: 2999-11-24T10:00:00+00:00 is in the future"),
]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        # Reading MNIST takes seconds.
        pytest.param(changes, says, id=says[:50], marks=[pytest.mark.integration] * ("mnist5k" in says))
        for changes, says in UNTRUE
    ],
)
def test_each_untruth_is_found(forged: Write, changes: Change, says: str) -> None:
    found = problems(forged(changes))
    assert any(says in problem for problem in found), found


@pytest.mark.parametrize(
    ("of", "changes", "says"),
    [
        ("elfs", {"encoder_supervision": "labels"}, "encoder_supervision: labels, but pixels has none"),
        ("elfs", {"encoder_weights": "0" * 64}, "encoder_weights: '000000000000', but pixels has none"),
        ("elfs", {"encoder_version": None}, "encoder_version: missing in a row of version 5"),
        (
            "elfs",
            {"encoder": "-", "encoder_supervision": "-", "encoder_version": None},
            "embeddings are read by",
        ),
        (
            "elfs",
            {"pseudo_labels": None},
            "0.7: 0.1}, clustering=kmeans) rests on some",
        ),
        ("elfs", inside("pseudo_labels", accuracy=50.1), "pseudo_labels: 50.1 % and"),
        ("elfs", inside("pseudo_labels", clusters=301), "301 clusters do not fit 300 images"),
        ("elfs", {"variant": "elfs(beta=0.1, clustering=kmeans)"}, "but the row's fields make"),
        ("random", {"supervision": "labels"}, "supervision: labels, but random is registered with none"),
        ("random", {"proxy_model": "small_cnn", "proxy_version": 1}, "small_cnn, but random has none trained"),
        ("full", {"rate": 0.1, "budget": 270}, "rate: full keeps the whole pool"),
        ("noisy", {"clean_fingerprint": "0" * 64}, "clean_fingerprint: '000000000000', but"),
        ("noisy", {"dataset": "digits(pool_size=300)@imbalance=3@noise=0.25@seed=5"}, "seed_4-aum"),
        ("transfer", {"proxy_model": "small_cnn"}, "but the row's fields make"),
    ],
)
def test_each_untruth_of_other_rows_is_found(forged: Write, of: str, changes: Change, says: str) -> None:
    found = problems(forged(changes, of=of))
    assert any(says in problem for problem in found), found


BELIEVED = {
    *("created", "device", "git_dirty", "git_revision", "threads", "versions"),  # where and when it ran
    *("train_seconds", "train_peak_bytes", "train_peak_gpu_bytes", "stages"),  # what it took
    *("method_version", "selection_code"),  # told as not checked
    "scores_sha256",  # scores may be left out
}
"""Fields of which some other value passes, since only a run can tell."""


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Paths to the plain values in a JSON value; of lists, those in the first item."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value[:1]):
            yield from leaves(item, (*path, key))
    else:
        yield path, value


def others(value: Any) -> list[Any]:
    """Values of the same type, and none."""
    if isinstance(value, bool):
        return [not value, None]
    if isinstance(value, int | float):
        return [value + 1, 2 * value + 1, -1, 0 if value else 2, None]
    if isinstance(value, str):
        return [f"{value}0", value[::-1] or "x", value[:-1] or "y", "0" * 64, "", "2020-01-01T00:00:00+00:00", None]
    return [0, "x", 1.5, True]


@pytest.mark.integration
def test_only_what_a_run_alone_can_tell_may_be_changed_unseen(forged: Write) -> None:
    path = forged()
    true, passed = json.loads(path.read_bytes()), set()
    for place, value in list(leaves(true)):
        for other in others(value):
            changed = json.loads(json.dumps(true))
            inner = changed
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = other
            path.write_text(json.dumps(changed))
            if other != value and not problems(path):
                passed.add(place[0])
    assert passed == BELIEVED


@pytest.mark.parametrize("field", ["device", "created", "git_revision", "encoder", "model", "dataset", "method"])
@pytest.mark.parametrize("text", ['=HYPERLINK("http://x")', "+1", "-2+3", "@SUM(A1)"])
def test_text_that_a_spreadsheet_takes_for_a_formula_is_no_row(tmp_path: Path, field: str, text: str) -> None:
    fields = json.loads(next((RESULTS / "digits-demo" / "rows").iterdir()).read_bytes())
    (tmp_path / "row.json").write_text(json.dumps({**fields, field: text}))
    with pytest.raises(RowError, match=field):
        read_row(tmp_path / "row.json")


def test_a_row_that_is_a_link_to_elsewhere_is_not_read(forged: Write, tmp_path: Path) -> None:
    path = forged()
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    [problem] = problems(path)
    assert f"leads outside {tmp_path / 'run'}" in problem


@pytest.mark.integration
def test_committed_rows_of_earlier_versions_stay_valid() -> None:
    folders = sorted(path.parent for path in RESULTS.rglob("rows"))
    done = CliRunner().invoke(app, ["validate", *map(str, folders)], env={"BENCH_DATA_ROOT": None})
    assert done.exit_code == 0, done.stdout
    assert done.stdout.endswith(" rows checked, 0 problems.\n")
    assert sum(len(row_files(folder)) for folder in folders) > 600


@pytest.mark.integration
def test_validation_imports_neither_torch_nor_ray(forged: Write) -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from bench.cli import app\n"
        f"assert CliRunner().invoke(app, ['validate', {str(forged())!r}]).exit_code == 0\n"
        "print(sorted({'torch', 'ray'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=500, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere", "neither a file nor a folder"),
        ("study/run", "holds no rows: neither"),
        ("study", "holds no rows itself; give the runs in it: .*study/run$"),
    ],
)
def test_a_path_without_rows_is_bad_input(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "study/run/rows").mkdir(parents=True)
    with pytest.raises(RowError, match=says):
        row_files(tmp_path / name)
