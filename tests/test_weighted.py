"""Coresets with weights: what is refused, what a training makes of them, and that nothing loses them on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import bench
from bench import Pool, Recipe, make_dataset, need, register_method
from bench.array_source import ArraySource
from bench.cli import app
from bench.conformance.case import Case, Failed
from bench.conformance.checks import same_seed
from bench.engine.events import Listener
from bench.engine.executors.base import Executor
from bench.engine.plan import Plan, make_plan
from bench.engine.reproduce import is_reproduced
from bench.engine.run import run
from bench.errors import DataError, SelectionError, SpecError
from bench.grid.spec import load_spec
from bench.identity import ModelRef
from bench.plugins import methods
from bench.results.frame import from_frame
from bench.results.published import indices_path, read_coreset, write_indices
from bench.results.rows import Row, read_rows, write_row
from bench.results.validation import findings_of
from bench.selection import method_pool, run_method
from bench.stages.session import Session
from bench.training.batches import TensorBatches
from bench.training.fit import LabelledInputs, fit, fresh_network
from bench.training.loop import train, weighted_cross_entropy
from bench.weighted import of_mean_one
from tests.narrowing import present

RECIPE = {"iterations": 30, "proxy_epochs": 2, "evaluations": 3}
GRID: dict[str, Any] = {"datasets": "digits", "rates": "0.9", "pool_size": 300, "recipe": RECIPE}
POOL = ArraySource(embedding_array=np.arange(8, dtype=np.float32)[:, None])


def returned(value: object, *, declared: bool = True) -> Any:
    """What the engine makes of a method that returns this of a pool of 8, where 3 were asked for."""
    entry = methods.get("random")
    info = replace(entry.info, weighted=lambda params: declared)
    wrong = replace(entry, info=info, function=lambda pool, budget, rng: value)
    return run_method(wrong, method_pool(wrong, {}, POOL, size=8, num_classes=2, rate=0.625), {}, 3, 0)


def test_weights_go_with_their_images() -> None:
    given = np.array([0.5, 3.0, 2.0])
    kept = returned(bench.Weighted([7, 0, 4], given))
    assert kept.indices.tolist() == [0, 4, 7]
    assert kept.weights.tolist() == [3.0, 2.0, 0.5]
    given[:] = 9
    assert kept.weights.tolist() == [3.0, 2.0, 0.5], "a method may go on writing into its own"
    assert returned([7, 0, 4]).weights is None


def test_weights_that_the_method_did_not_declare_are_refused() -> None:
    said = "^method 'random' returned weights, which it does not declare; add weighted=True to its @register_method"
    with pytest.raises(SelectionError, match=said):
        returned(bench.Weighted([7, 0, 4], [1, 2, 3]), declared=False)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([1, 2], "gave weights of type int64 and shape (2,); one finite number above 0 for each of the 3 indices"),
        ([[1], [2], [3]], "shape (3, 1)"),
        ([1, 2, 0], "gave the weight 0; one finite number above 0 for each of the 3 indices was expected. Leave out"),
        ([1, -2.5, 1], "gave the weight -2.5"),
        ([1, np.nan, 1], "gave the weight nan"),
        ([1, np.inf, 1], "gave the weight inf"),
        ([True, True, False], "type bool"),
        (["1", "2", "3"], "type <U1"),
        ([1j, 1, 1], "type complex128"),
        ([[1], [1, 2], 3], "gave weights that are not an array"),
        (None, "type object and shape ()"),
        (np.ma.masked_equal([1.0, 2.0, 3.0], 2.0), "type float64 and shape (3,)"),
    ],
)
def test_what_are_no_weights_is_refused(weights: object, said: str) -> None:
    with pytest.raises(SelectionError) as caught:
        returned(bench.Weighted([7, 0, 4], weights))
    assert "method 'random' " in str(caught.value)
    assert said in str(caught.value)


def test_indices_with_weights_are_checked_as_those_without() -> None:
    with pytest.raises(SelectionError, match="returned 2 indices; 3 unique"):
        returned(bench.Weighted([7, 0], [1, 1, 1]))
    with pytest.raises(SelectionError, match="more than once"):
        returned(bench.Weighted([7, 7, 0], [1, 1, 1]))


@pytest.mark.parametrize("weights", [[1.0, 2.0, 6.0], [1e308, 1e308, 1e307], [1e-300, 2e-300, 6e-300]])
def test_weights_are_scaled_to_a_mean_of_one(weights: list[float]) -> None:
    scaled = of_mean_one(np.array(weights))
    assert scaled.mean() == pytest.approx(1)
    np.testing.assert_allclose(scaled / scaled[0], np.array(weights) / weights[0], rtol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_whole_weights_train_as_repeated_images(smoothing: float, optimiser: str) -> None:
    """Full-batch steps on images of weight w, and on a set in which each occurs w times, give the same parameters."""
    draws = np.random.default_rng(0)
    inputs, targets = draws.normal(size=(6, 5)).astype(np.float32), np.array([0, 1, 2, 0, 1, 2])
    weights = np.array([1, 4, 2, 7, 1, 3])

    def trained(repeats: np.ndarray, weights: np.ndarray | None) -> list[np.ndarray]:
        torch.manual_seed(3)
        # No batch norm, whose statistics are those of images and know no weights.
        network = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))
        recipe = Recipe(
            iterations=40,
            batch_size=100,
            lr=0.1 if optimiser == "sgd" else 0.01,
            optimiser=optimiser,  # type: ignore[arg-type]
            label_smoothing=smoothing,
            augmentation="none",
            crop_padding=0,
        )
        batches = TensorBatches(
            torch.from_numpy(np.repeat(inputs, repeats, axis=0)),
            torch.from_numpy(np.repeat(targets, repeats)),
            recipe=recipe,
            mean=(0.0,),
            std=(1.0,),
            device="cpu",
        )
        scaled = None if weights is None else weighted_cross_entropy(torch.from_numpy(of_mean_one(weights)))
        train(
            network,
            batches,
            recipe=recipe,
            iterations=40,
            generator=torch.Generator().manual_seed(0),
            loss=scaled,
        )
        return [value.detach().numpy() for value in network.parameters()]

    once = np.ones(6, dtype=np.int64)
    ours, repeated, without = trained(once, weights), trained(weights, None), trained(once, None)
    for mine, theirs, other in zip(ours, repeated, without, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-5)
        assert np.abs(mine - other).max() > 1e-2, "and not those without weights"


def test_batches_are_an_unbiased_estimate_of_the_weighted_loss() -> None:
    """The mean gradient over the batches of an epoch is that of the whole weighted coreset, as the weights stand."""
    draws = np.random.default_rng(1)
    inputs, targets = draws.normal(size=(12, 4)).astype(np.float32), np.arange(12) % 3
    weights = torch.from_numpy(of_mean_one(draws.uniform(0.1, 5, 12)))
    steps: list[torch.Tensor] = []

    network = nn.Linear(4, 3)
    network.weight.register_hook(lambda gradient: steps.append(gradient.clone()))
    # Steps of no length, so that every batch meets the same parameters.
    recipe = Recipe(iterations=4, batch_size=3, lr=1e-30, lr_min=0, momentum=0, nesterov=False, weight_decay=0)
    batches = TensorBatches(
        torch.from_numpy(inputs), torch.from_numpy(targets), recipe=recipe, mean=(0.0,), std=(1.0,), device="cpu"
    )
    train(
        network,
        batches,
        recipe=recipe,
        iterations=4,
        generator=torch.Generator().manual_seed(0),
        loss=weighted_cross_entropy(weights),
    )
    found, steps = torch.stack(steps).mean(0), []
    logits = network(torch.from_numpy(inputs))
    (weights * nn.functional.cross_entropy(logits, torch.from_numpy(targets), reduction="none")).mean().backward()
    torch.testing.assert_close(found, steps[0], atol=1e-6, rtol=1e-5)


@pytest.fixture
def heavy() -> Iterator[str]:
    """A method without labels whose weights are uneven."""

    @register_method("heavy", supervision="none", weighted=True)
    def heavy(pool: Pool, budget: int, rng: np.random.Generator, *, least: float = 0.01) -> bench.Weighted:
        """Keep the first images, weighted evenly from a least weight to 1."""
        return bench.Weighted(np.arange(budget), np.linspace(least, 1, budget))

    yield "heavy"
    methods.remove("heavy")


def make(folder: Path, method: str, **changes: object) -> Row:
    """One real row, without Ray."""
    plan = make_plan(load_spec(given={**GRID, "methods": method, **changes}), out=folder)
    return row_of(plan, folder)


def row_of(plan: Plan, folder: Path) -> Row:
    [cell] = plan.cells
    row = cell.row(Session(out=folder, cache=folder / "cache", coresets=plan.coresets))
    write_row(row, folder)
    return row


@pytest.mark.integration
@pytest.mark.parametrize("model", ["small_cnn(width=4)", "linear_probe", "mlp_probe(width=8)"])
def test_every_model_that_learns_is_trained_with_the_weights(tmp_path: Path, heavy: str, model: str) -> None:
    weighted = make(tmp_path, heavy, models=model)
    path = tmp_path / "indices" / f"{weighted.cell_id}.npy"
    assert weighted.weighted
    assert list(np.load(path).dtype.names) == ["index", "weight"]
    assert np.load(path)["weight"].tolist() == np.linspace(0.01, 1, 30).tolist()
    # The same images alike, and again with their weights.
    np.save(tmp_path / "alike.npy", np.load(path)["index"])
    grid = {**GRID, "models": model}
    alike, again = (
        row_of(make_plan(load_spec(given={**grid, "methods": f"indices(of='{file}')"}), out=tmp_path), tmp_path)
        for file in (tmp_path / "alike.npy", path)
    )
    assert (alike.weighted, again.weighted) == (False, True)
    assert alike.cell_id.rpartition("-")[2] != again.cell_id.rpartition("-")[2]
    assert is_reproduced(again, weighted)
    assert not is_reproduced(alike, weighted)
    assert again.indices_sha256 == weighted.indices_sha256 != alike.indices_sha256


@pytest.mark.parametrize("model", [("speedrun", {"width": 0.1}), ("small_cnn", {"width": 4})])
def test_weights_reach_the_parameters_and_only_their_ratios_count(
    monkeypatch: pytest.MonkeyPatch, model: tuple[str, dict[str, Any]]
) -> None:
    networks: list[nn.Module] = []

    def watched(*arguments: Any, **options: Any) -> Any:
        made = fresh_network(*arguments, **options)
        networks.append(made[0])
        return made

    monkeypatch.setattr("bench.training.fit.fresh_network", watched)
    draws = np.random.default_rng(0)
    images, targets = draws.integers(0, 256, (20, 3, 12, 12)).astype(np.uint8), np.arange(20) % 4
    uneven = np.linspace(0.1, 4, 20)
    recipe = Recipe(iterations=6, batch_size=8, lr=0.05)
    names, both = list("abcd"), (images, targets)
    dataset = make_dataset(both, both, class_names=names, mean=(0.5,) * 3, std=(0.25,) * 3)
    for weights in (None, uneven, 1000 * uneven, np.full(20, 3.0)):
        fit(
            ModelRef(name=model[0], version=1, params=model[1]),
            LabelledInputs(images, targets, 4, weights),
            dataset=dataset,
            recipe=recipe,
            iterations=6,
            seed=0,
            device="cpu",
        )
    plain, once, thousand, even = (
        torch.cat([value.detach().flatten() for value in network.parameters()]) for network in networks
    )
    torch.testing.assert_close(once, thousand)
    torch.testing.assert_close(plain, even, atol=1e-5, rtol=1e-4)
    assert (plain - once).abs().max() > 1e-3


def test_two_weightings_of_the_same_images_are_two_trainings(tmp_path: Path) -> None:
    cells = []
    for name, weights in (("a", np.arange(1.0, 31)), ("b", np.arange(30.0, 0, -1)), ("c", None)):
        write_indices(np.arange(30), tmp_path, name, weights)
        # One name for all, so that nothing but their content tells them apart.
        path = indices_path(tmp_path, name).replace(tmp_path / "same.npy")
        grid = {**GRID, "pool_size": None, "methods": f"indices(of='{path}')"}
        cells += [cell.digest() for cell in make_plan(load_spec(given=grid), out=tmp_path).cells]
    assert len(set(cells)) == 3


def test_a_weighted_row_is_reproduced_from_its_files_and_is_sound(tmp_path: Path, heavy: str) -> None:
    origin = make(tmp_path / "run", heavy)
    path = tmp_path / "run" / "rows" / f"{origin.cell_id}.json"
    done = CliRunner().invoke(app, ["train", "--row", str(path), "--out", str(tmp_path / "again")])
    assert "Reproduced" in done.output
    [made] = read_rows(tmp_path / "again")
    assert made.weighted
    assert list(findings_of(path)) == []
    assert list(findings_of(tmp_path / "again" / "rows" / f"{made.cell_id}.json")) == []
    # In tables of rows, and back.
    frame = bench.load_rows(tmp_path / "run", tmp_path / "again")
    assert frame.weighted.tolist() == [True, True]
    assert [row.weighted for row in from_frame(frame)] == [True, True]


def test_a_row_whose_coreset_lost_its_weights_is_not_sound(tmp_path: Path, heavy: str) -> None:
    origin = make(tmp_path, heavy)
    row, path = tmp_path / "rows" / f"{origin.cell_id}.json", indices_path(tmp_path, origin.cell_id)
    whole = np.load(path)
    np.save(path, whole["index"])
    found = "\n".join(findings_of(row))
    assert "indices: SHA-256" in found
    assert f"weighted: True, but {path} holds no weights" in found
    refused = CliRunner().invoke(app, ["train", "--row", str(row), "--out", str(tmp_path / "t")])
    assert isinstance(refused.exception, DataError)
    assert "is not the coreset that was published" in str(refused.exception)
    changed = whole.copy()
    changed["weight"][3] *= 2
    np.save(path, changed)
    assert "indices: SHA-256" in "\n".join(findings_of(row))
    np.save(path, whole)
    said = json.loads(row.read_text())
    del said["weighted"]
    row.write_text(json.dumps(said))
    assert f"weighted: False, but {path} holds weights" in "\n".join(findings_of(row))


def test_a_row_without_weights_is_written_as_before(tmp_path: Path) -> None:
    row = make(tmp_path, "random")
    assert not row.weighted
    assert "weighted" not in json.loads((tmp_path / "rows" / f"{row.cell_id}.json").read_text())
    assert np.load(indices_path(tmp_path, row.cell_id)).dtype == np.int64


def test_a_model_that_does_not_learn_refuses_a_file_with_weights_before_anything_is_embedded(tmp_path: Path) -> None:
    write_indices(np.arange(30), tmp_path, "mine", np.arange(1.0, 31))
    given = {**GRID, "methods": f"indices(of='{indices_path(tmp_path, 'mine')}')", "models": "mlp_probe,knn(k=3)"}
    with pytest.raises(DataError, match=r"mine.npy holds weights, and model knn\(k=3\) has no loss"):
        make_plan(load_spec(given=given), out=None)


@pytest.mark.parametrize("method", ["craig", "grad-match"])
def test_a_declared_method_with_weights_is_refused_before_work_for_a_model_that_does_not_learn(method: str) -> None:
    def plan(method: str) -> Plan:
        models = {"models": "knn(k=3),linear_probe", "proxy_model": "linear_probe"}
        return make_plan(load_spec(given={**GRID, **models, "methods": method, "encoders": "pixels"}), out=None)

    with pytest.raises(SpecError, match=rf"method {method} weights .* and model knn\(k=3\) has no loss"):
        plan(method)
    assert len(plan(f"{method}(weighted=false)").cells) == 2


def test_what_hands_out_positions_alone_refuses_a_coreset_with_weights(tmp_path: Path, heavy: str) -> None:
    said = "method 'heavy' weights the images that it keeps, and pool.coreset hands out positions alone"

    @register_method("follows", supervision="pseudo", needs=(need("coreset", method="heavy"),))
    def follows(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        """Keep what another method keeps."""
        return pool.coreset("heavy")

    try:
        with pytest.raises(SelectionError, match=said):
            make(tmp_path, "follows")
        pool = method_pool(methods.get("follows"), {}, POOL, size=8, num_classes=2, rate=0.5)
        with pytest.raises(SelectionError, match=said):
            run_method(methods.get("follows"), pool, {}, 4, 0)
    finally:
        methods.remove("follows")
    vectors = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    with pytest.raises(SelectionError, match="and a list of what to label hands out positions alone"):
        bench.select(vectors, budget=10, num_classes=3, method="heavy", cache_dir=tmp_path / "cache")


def test_the_suite_compares_weights_too(heavy: str) -> None:
    @register_method("unsteady", supervision="none", stochastic=True, weighted=True)
    def unsteady(pool: Pool, budget: int, rng: np.random.Generator) -> bench.Weighted:
        """Keep some images, weighted by the clock."""
        return bench.Weighted(rng.permutation(len(pool))[:budget], np.random.default_rng().uniform(1, 2, budget))

    try:
        with pytest.raises(Failed, match="two runs with seed 7 gave different weights"):
            same_seed(Case(methods.get("unsteady")))
    finally:
        methods.remove("unsteady")


def test_craig_with_weights_on_both_executors(tmp_path: Path, executor: Executor) -> None:
    given = {**GRID, "methods": "craig,craig(weighted=false),grad-match", "rates": "0.8"}
    plan = make_plan(load_spec(given=given), out=tmp_path)
    place = Session(out=tmp_path, cache=tmp_path / "cache", coresets=plan.coresets)
    assert run(plan, place, executor, Listener(), retries=0).failed == {}
    rows = {row.variant: row for row in read_rows(tmp_path)}
    assert {name: row.weighted for name, row in rows.items()} == {
        "craig": True,
        "craig(weighted=False)": False,
        "grad-match": True,
    }
    craig, plain = (read_coreset(indices_path(tmp_path, rows[name].cell_id)) for name in sorted(rows)[:2])
    np.testing.assert_array_equal(craig.indices, plain.indices)
    assert present(craig.weights).sum() == 300
    assert rows["craig"].curve != rows["craig(weighted=False)"].curve
    again = make_plan(load_spec(given=given), out=tmp_path)
    assert len(again.finished) == 3
    # Out of the store, without selecting again: other steps of the same coreset.
    elsewhere = tmp_path / "elsewhere"
    longer = make_plan(
        load_spec(given={**given, "methods": "craig", "recipe": {**RECIPE, "iterations": 5}}), out=elsewhere
    )
    place = place.model_copy(update={"out": elsewhere})
    assert run(longer, place, executor, Listener(), retries=0).failed == {}
    [other] = read_rows(elsewhere)
    assert (other.weighted, other.indices_sha256) == (True, rows["craig"].indices_sha256)
    assert all(use.reused for use in other.stages)
