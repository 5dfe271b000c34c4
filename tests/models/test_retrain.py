from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.engine.plan import make_plan
from bench.engine.retrain import differences, from_file, from_row, published_beside, rate_of, train_published
from bench.errors import BenchError, DataError, SpecError
from bench.grid.spec import load_spec
from bench.results.published import indices_path, read_indices, scores_path
from bench.results.rows import Row, read_row, write_row
from bench.results.validation import findings_of
from bench.selection import budget_for
from bench.stages.session import Session

RECIPE = {"iterations": 40, "proxy_epochs": 2, "evaluations": 4}
GRID = {"datasets": "digits", "rates": "0.5", "seeds": [3], "pool_size": 400, "recipe": RECIPE}


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
    make(folder, "elfs(clustering=kmeans)")
    return folder


@pytest.fixture
def row_file(run: Path) -> Path:
    return next((run / "rows").glob("*elfs*.json"))


def bench(*arguments: object) -> tuple[int, str, BaseException | None]:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return done.exit_code, done.output, done.exception


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
    assert (made.method, made.variant) == ("indices", "indices(of='elfs(clustering=kmeans)')")
    assert indices_path(tmp_path, made.cell_id).read_bytes() == indices_path(run, origin.cell_id).read_bytes()
    assert bench("table", run, tmp_path, "--out", tmp_path / "t")[0] == 0


def test_another_model_is_trained_on_the_coreset_of_a_row(run: Path, row_file: Path, tmp_path: Path) -> None:
    origin = read_row(row_file)
    code, output, _ = bench("train", "--row", row_file, "--model", "small_cnn(width=8)", "--out", tmp_path)
    [path] = (tmp_path / "rows").glob("*.json")
    made = read_row(path)
    assert code == 0
    assert "eproduced" not in output
    assert (made.model, made.variant) == ("small_cnn(width=8)", "indices(of='elfs(clustering=kmeans)')")
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


def test_row_of_a_long_tailed_and_noisy_pool_is_reproduced(tmp_path: Path) -> None:
    origin = make(tmp_path, "aum", datasets="digits@imbalance=5@noise=0.2@seed=1")
    assert origin.dataset == "digits(pool_size=400)@imbalance=5@noise=0.2@seed=1"
    row_file = tmp_path / "rows" / f"{origin.cell_id}.json"
    assert list(findings_of(row_file)) == []
    code, output, _ = bench("train", "--row", row_file, "--out", tmp_path / "again")
    assert (code, "Reproduced" in output) == (0, True), output
    # The coreset's images are in the pool of this version alone.
    other = {**GRID, "datasets": "digits@imbalance=5@noise=0.2@seed=2"}
    job, place = (
        from_file(indices_path(tmp_path, origin.cell_id), other, device="cpu"),
        Session(out=tmp_path, cache=tmp_path),
    )
    with pytest.raises(DataError, match="not in the pool of 400 images"):
        train_published(job, place)


def test_model_on_embeddings_is_reproduced(tmp_path: Path) -> None:
    origin = make(tmp_path, "random", models="linear_probe")
    assert origin.encoder == "pixels"
    job = from_row(origin, indices_path(tmp_path, origin.cell_id), device="cpu")
    again = train_published(job, Session(out=tmp_path / "again", cache=tmp_path / "cache2"))
    assert (again.accuracy, again.curve) == (origin.accuracy, origin.curve)
    changed = origin.model_copy(update={"encoder_weights": "0" * 64})
    with pytest.raises(SpecError, match="the row names the encoder pixels"):
        from_row(changed, indices_path(tmp_path, origin.cell_id), device="cpu")


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
    # Positions are those of the full training split, so the whole split as pool trains on the same images.
    code, output, _ = bench(*arguments, "--out", tmp_path / "b", "--supervision", "pseudo")
    [whole] = [read_row(path) for path in (tmp_path / "b" / "rows").glob("*.json")]
    assert (whole.accuracy, whole.pool_size, whole.supervision) == (origin.accuracy, 1438, "pseudo")


def refusal(path: Path, indices: object, **options: object) -> str:
    np.save(path, np.asarray(indices))
    grid = {**GRID, **options.pop("grid", {})}  # type: ignore[dict-item]
    place = Session(out=path.parent, cache=path.parent)
    with pytest.raises(BenchError) as caught:
        train_published(from_file(path, grid, device="cpu", **options), place)  # type: ignore[arg-type]
    return str(caught.value)


def test_what_is_no_coreset_of_the_data_is_refused(tmp_path: Path) -> None:
    path, whole = tmp_path / "x.npy", {"pool_size": None}
    assert "holds 1 position more than once (5 first)" in refusal(path, [1, 5, 5])
    assert "positions start at 0" in refusal(path, [-1, 5])
    assert "(1438 first)" in refusal(path, [0, 1437, 1438], grid=whole)
    assert "not in the pool of 400 images" in refusal(path, np.arange(300))
    assert "float64 of shape" in refusal(path, [0.0, 1.0])
    assert "int64 of shape (1, 2)" in refusal(path, [[0, 1]])
    assert "not " + "0" * 64 in refusal(path, [0, 1], sha256="0" * 64)
    assert "fingerprint" in refusal(path, [0, 1], fingerprint="0" * 64)
    assert "Did you mean digits" in refusal(path, [0, 1], grid={"datasets": "digit"})
    assert "takes one, got 2" in refusal(path, [0, 1], grid={"models": "small_cnn,linear_probe"})
    np.save(path, np.array([{}]), allow_pickle=True)
    with pytest.raises(DataError, match="cannot read"):
        read_indices(path)


def test_a_row_of_other_data_or_of_another_coreset_is_refused(run: Path, row_file: Path, tmp_path: Path) -> None:
    row = read_row(row_file)
    path = published_beside(row_file, row)
    with pytest.raises(DataError, match="fingerprint"):
        from_row(row.model_copy(update={"fingerprint": "0" * 64}), path, device="cpu")
    np.save(tmp_path / "other.npy", np.arange(200))
    with pytest.raises(DataError, match="not the coreset that was published"):
        from_row(row, tmp_path / "other.npy", device="cpu")
    with pytest.raises(DataError, match="give it with --indices"):
        published_beside(tmp_path / "rows" / "x.json", row)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--row", "x.json", "--seed", "1"], "leave --seed out"),
        (["--indices", "x.npy"], "with --dataset NAME"),
        ([], "give --row"),
    ],
)
def test_contradicting_options_are_refused(arguments: list[str], message: str) -> None:
    _, _, error = bench("train", *arguments)
    assert isinstance(error, SpecError)
    assert message in str(error)


@pytest.mark.parametrize(
    ("kept", "size", "rate"), [(719, 1438, 0.5), (144, 1438, 0.9), (1438, 1438, 0.0), (5000, 50000, 0.9)]
)
def test_rate_is_the_shortest_that_keeps_as_many(kept: int, size: int, rate: float) -> None:
    assert rate_of(kept, size) == rate


def test_rate_gives_the_budget_again() -> None:
    for size in (7, 400, 1437):
        for kept in range(1, size + 1):
            assert budget_for(size, rate_of(kept, size)) == kept


@pytest.mark.parametrize(("flags", "on_cpu"), [("avx512_bf16", "bf16"), ("avx512f", "fp32")])
def test_precision_is_that_of_the_row_and_otherwise_the_devices(
    run: Path, row_file: Path, flags: str, on_cpu: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.engine.plan.processor", lambda: {"flags": flags})
    row = read_row(row_file)
    path = published_beside(row_file, row)
    tf32 = row.model_copy(update={"recipe": row.recipe.model_copy(update={"precision": "tf32"})})
    assert from_row(tf32, path, device="cuda").cell.recipe == tf32.recipe
    with pytest.raises(SpecError, match="precision=tf32 needs a GPU"):
        from_row(tf32, path, device="cpu")
    grid = {"datasets": "digits", "models": "small_cnn"}
    found = {device: from_file(path, grid, device=device).cell.recipe.precision for device in ("cpu", "cuda")}
    assert found == {"cpu": on_cpu, "cuda": "bf16"}
    for precision in ("auto", "fp32", "bf16"):
        asked = row.model_copy(update={"recipe": row.recipe.model_copy(update={"precision": precision})})
        assert from_row(asked, path, device="cpu").cell.recipe == asked.recipe
