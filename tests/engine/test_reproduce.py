from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.engine.plan import Plan, make_plan
from bench.engine.reproduce import as_row, differences, grid_of, published_beside
from bench.errors import DataError, SpecError
from bench.grid.spec import load_spec
from bench.results.published import indices_path, scores_path
from bench.results.rows import Row, read_row, write_row
from bench.results.validation import findings_of
from bench.stages.session import Session
from tests.engine.coreset_files import GRID, RECIPE, bench, plan_of_file, told

pytestmark = pytest.mark.integration


def make(folder: Path, methods: str, **changes: object) -> Row:
    """One real row, without Ray."""
    plan = make_plan(load_spec(given={**GRID, "methods": methods, **changes}), out=folder)
    [cell] = plan.cells
    row = cell.row(Session(out=folder, cache=folder / "cache"))
    write_row(row, folder)
    return row


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    make(folder, "elfs(clustering=kmeans,guard=false)")
    return folder


@pytest.fixture
def row_file(run: Path) -> Path:
    return next((run / "rows").glob("*elfs*.json"))


def plan_of_row(row: Row, indices: Path, *, device: str = "cpu", out: Path | None = None, **changes: object) -> Plan:
    spec = grid_of(row, indices, **changes)  # type: ignore[arg-type]
    return make_plan(spec, out=out, device=device, revise=lambda plan: as_row(plan, row))


def test_a_row_names_its_scores_and_the_beta_that_was_chosen(run: Path, row_file: Path) -> None:
    row = read_row(row_file)
    assert row.params["beta"] == "auto"
    assert 0 <= row.chosen["beta"] <= 0.5
    assert np.load(scores_path(run, row.scores_sha256)).shape == (400,)


def test_row_is_reproduced_exactly(run: Path, row_file: Path, tmp_path: Path) -> None:
    code, output, _ = bench("train", "--row", row_file, "--out", tmp_path)
    origin = read_row(row_file)
    [path] = (tmp_path / "rows").glob("*.json")
    made = read_row(path)
    assert (code, "Reproduced" in output) == (0, True), output
    measured = ("accuracy", "best_accuracy", "curve", "per_class_accuracy", "class_counts", "indices_sha256")
    kept = ("dataset", "encoder", "rate", "budget", "supervision", "recipe", "fingerprint", "proxy_model", "seed")
    for name in (*measured, *kept):
        assert getattr(made, name) == getattr(origin, name), name
    assert (made.method, made.variant) == ("indices", "indices(of='elfs(clustering=kmeans, guard=False)')")
    assert indices_path(tmp_path, made.cell_id).read_bytes() == indices_path(run, origin.cell_id).read_bytes()
    assert bench("table", run, tmp_path, "--out", tmp_path / "t")[0] == 0
    assert told("table", tmp_path, "--out", tmp_path / "t")["missing"] == []


def test_another_model_is_trained_on_the_coreset_of_a_row(run: Path, row_file: Path, tmp_path: Path) -> None:
    origin = read_row(row_file)
    code, output, _ = bench("train", "--row", row_file, "--model", "small_cnn(width=8)", "--out", tmp_path)
    [path] = (tmp_path / "rows").glob("*.json")
    made = read_row(path)
    assert code == 0
    assert "eproduced" not in output
    assert (made.model, made.variant) == ("small_cnn(width=8)", "indices(of='elfs(clustering=kmeans, guard=False)')")
    for name in ("recipe", "indices_sha256", "supervision", "encoder", "proxy_model", "seed", "fingerprint"):
        assert getattr(made, name) == getattr(origin, name), name
    assert made.curve != origin.curve


def test_a_model_on_embeddings_is_trained_on_the_coreset_of_a_row_without_an_encoder(tmp_path: Path) -> None:
    origin = make(tmp_path, "random")
    assert origin.encoder == "-"
    path = tmp_path / "rows" / f"{origin.cell_id}.json"
    arguments = ("--model", "linear_probe", "--encoder", "pixels", "--out", tmp_path / "new")
    assert bench("train", "--row", path, "--cache-dir", tmp_path / "cache", *arguments)[0] == 0
    [path] = (tmp_path / "new" / "rows").glob("*.json")
    made = read_row(path)
    assert (made.model, made.encoder, made.encoder_supervision) == ("linear_probe", "pixels", "none")
    assert (made.selection_code, made.indices_sha256) == (origin.selection_code, origin.indices_sha256)


def test_what_an_origin_did_not_record_explains_nothing(run: Path, row_file: Path) -> None:
    row = read_row(row_file)
    earlier = row.model_copy(update={"device": row.device.rpartition(", ")[0] + ")", "versions": {"torch": "1"}})
    assert differences(row, row) == []
    assert differences(row, earlier) == [f"torch: 1 and now {row.versions['torch']}"]
    assert differences(row, row.model_copy(update={"device": "cpu (another)"}))[0].startswith(
        "device: cpu (another) and"
    )


def test_a_row_in_bf16_was_made_with_amx_even_if_it_does_not_say_so(row_file: Path) -> None:
    with_amx, without = "cpu (X, AVX512, AMX)", "cpu (X, AVX512)"
    row = read_row(row_file)
    bf16 = row.model_copy(update={"recipe": row.recipe.model_copy(update={"precision": "bf16"}), "device": without})
    assert differences(bf16, bf16) == [f"device: {with_amx} and now {without}"]
    assert differences(bf16.model_copy(update={"device": with_amx}), bf16) == []
    fp32 = row.model_copy(update={"recipe": row.recipe.model_copy(update={"precision": "fp32"}), "device": without})
    assert differences(fp32, fp32) == differences(fp32.model_copy(update={"device": with_amx}), fp32) == []


def test_row_of_a_long_tailed_and_noisy_pool_is_reproduced(tmp_path: Path) -> None:
    origin = make(tmp_path, "aum", datasets="digits@imbalance=5@noise=0.2@seed=1")
    assert origin.dataset == "digits(pool_size=400)@imbalance=5@noise=0.2@seed=1"
    row_file = tmp_path / "rows" / f"{origin.cell_id}.json"
    assert list(findings_of(row_file)) == []
    code, output, _ = bench("train", "--row", row_file, "--out", tmp_path / "again")
    assert (code, "Reproduced" in output) == (0, True), output
    # The coreset's images are in the pool of this version alone.
    other: dict[str, Any] = {**GRID, "datasets": "digits@imbalance=5@noise=0.2@seed=2"}
    with pytest.raises(DataError, match="not in the pool of 400 images"):
        plan_of_file(indices_path(tmp_path, origin.cell_id), **other)


def test_model_on_embeddings_is_reproduced(tmp_path: Path) -> None:
    origin = make(tmp_path, "random", models="linear_probe")
    assert origin.encoder == "pixels"
    plan = plan_of_row(origin, indices_path(tmp_path, origin.cell_id))
    again = plan.cells[0].row(Session(out=tmp_path / "again", cache=tmp_path / "cache2", coresets=plan.coresets))
    assert (again.accuracy, again.curve) == (origin.accuracy, origin.curve)
    changed = origin.model_copy(update={"encoder_weights": "0" * 64})
    with pytest.raises(SpecError, match="the row names the encoder pixels"):
        plan_of_row(changed, indices_path(tmp_path, origin.cell_id))


def test_another_accuracy_is_not_called_reproduced(run: Path, row_file: Path, tmp_path: Path) -> None:
    record = json.loads(row_file.read_text())
    moved = tmp_path / "moved" / "rows" / row_file.name
    moved.parent.mkdir(parents=True)
    moved.write_text(json.dumps({**record, "accuracy": 1.0}))
    arguments = ("train", "--row", moved, "--indices", indices_path(run, record["cell_id"]), "--out", tmp_path)
    code, output, _ = bench(*arguments)
    assert (code, "nothing that a row records" in output) == (1, True)
    moved.write_text(json.dumps({**record, "accuracy": 1.0, "threads": 1, "versions": {"torch": "1.0"}}))
    code, output, _ = bench(*arguments)
    assert (code, "torch: 1.0 and now" in output) == (0, True)


def test_file_of_a_row_gives_the_same_accuracy(run: Path, row_file: Path, tmp_path: Path) -> None:
    origin = read_row(row_file)
    shuffled = np.random.default_rng(0).permutation(np.load(indices_path(run, origin.cell_id)))
    np.save(tmp_path / "mine.npy", shuffled)
    recipe = ",".join(f"{name}={value}" for name, value in RECIPE.items())
    arguments = ["train", "--indices", tmp_path / "mine.npy", "--dataset", "digits", "--seed", 3, "--recipe", recipe]
    checks = ["--sha256", origin.indices_sha256, "--fingerprint", origin.fingerprint, "--pool-size", 400]
    code, output, _ = bench(*arguments, *checks, "--out", tmp_path / "a")
    assert code == 0, output
    [made] = [read_row(path) for path in (tmp_path / "a" / "rows").glob("*.json")]
    assert (made.accuracy, made.curve, made.rate) == (origin.accuracy, origin.curve, 0.5)
    assert (made.variant, made.supervision, made.encoder) == ("indices(of=mine)", "labels", "-")
    code, output, _ = bench("train", "--row", tmp_path / "a" / "rows" / f"{made.cell_id}.json", "--out", tmp_path / "c")
    [again] = [read_row(path) for path in (tmp_path / "c" / "rows").glob("*.json")]
    assert (code, again.variant) == (0, "indices(of=mine)"), output
    # Positions are those of the full training split, so the whole split as pool trains on the same images.
    code, output, _ = bench(*arguments, "--out", tmp_path / "b", "--supervision", "pseudo")
    [whole] = [read_row(path) for path in (tmp_path / "b" / "rows").glob("*.json")]
    assert (whole.accuracy, whole.pool_size, whole.supervision) == (origin.accuracy, 1438, "pseudo")


def test_a_row_of_other_data_or_of_another_coreset_is_refused(run: Path, row_file: Path, tmp_path: Path) -> None:
    row = read_row(row_file)
    path = published_beside(row_file, row)
    with pytest.raises(DataError, match="fingerprint"):
        plan_of_row(row.model_copy(update={"fingerprint": "0" * 64}), path)
    np.save(tmp_path / "other.npy", np.arange(200))
    with pytest.raises(DataError, match="not the coreset that was published"):
        plan_of_row(row, tmp_path / "other.npy")
    with pytest.raises(DataError, match="give it with --indices"):
        published_beside(tmp_path / "rows" / "x.json", row)


@pytest.mark.parametrize(("flags", "on_cpu"), [("avx512_bf16 amx_bf16", "bf16"), ("avx512_bf16", "fp32")])
def test_precision_is_that_of_the_row_and_otherwise_the_devices(
    run: Path, row_file: Path, flags: str, on_cpu: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.engine.plan.processor", lambda: {"flags": flags})
    row = read_row(row_file)
    path = published_beside(row_file, row)
    tf32 = row.model_copy(update={"recipe": row.recipe.model_copy(update={"precision": "tf32"})})
    assert plan_of_row(tf32, path, device="cuda").cells[0].recipe == tf32.recipe
    with pytest.raises(SpecError, match="precision=tf32 needs a GPU"):
        plan_of_row(tf32, path)
    grid: dict[str, Any] = {"datasets": "digits", "models": "small_cnn"}
    found = {device: plan_of_file(path, device=device, **grid).cells[0].recipe.precision for device in ("cpu", "cuda")}
    assert found == {"cpu": on_cpu, "cuda": "bf16"}
    for precision in ("auto", "fp32", "bf16"):
        asked = row.model_copy(update={"recipe": row.recipe.model_copy(update={"precision": precision})})
        assert plan_of_row(asked, path).cells[0].recipe == asked.recipe
