"""Outputs of a network that learned the whole pool: a stage, trained once for all methods and rates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.engine.plan import make_plan
from bench.grid.spec import load_spec
from bench.identity import derive_seed
from bench.parts import OUTPUTS, TrainedNetwork
from bench.pool import Asked
from bench.stages.outputs import PoolOutputs
from bench.stages.session import Session
from bench.stages.source import StageSource
from bench.stages.training import Cell
from bench.training.fit import fresh_network, make_batches
from bench.training.loop import train
from bench.training.outputs import read_outputs
from tests.stages.tiny import outputs_of, source_of

EPOCHS = 4


def cells_with(out: Path, method: str, rates: str = "0.5") -> list[Cell]:
    given = {"methods": method, "datasets": "digits", "pool_size": 60, "rates": rates}
    recipe = {"iterations": 4, "proxy_epochs": EPOCHS, "batch_size": 20, "evaluations": 1, "precision": "fp32"}
    return make_plan(load_spec(given={**given, "recipe": recipe}), out=out).cells


@pytest.mark.parametrize(("epochs", "passes"), [(None, EPOCHS), (2, 2), (0, 0)])
def test_outputs_are_those_of_a_training_by_hand(tmp_path: Path, epochs: int | None, passes: int) -> None:
    [cell] = cells_with(tmp_path, f"craig(epochs={epochs})" if epochs is not None else "craig")
    selection, session = cell.selection(), Session(out=tmp_path, cache=tmp_path / "cache")
    asked = Asked([np.empty(0, dtype=np.int64)])
    found = StageSource(selection, session).read(OUTPUTS, TrainedNetwork("pool", epochs), asked)
    [stage] = selection.inputs()
    assert isinstance(stage, PoolOutputs)
    assert len(list((tmp_path / "cache" / "outputs").glob("*.npz"))) == 1

    train_split, proxy = session.dataset(cell.dataset).train, selection.network()
    images, recipe = np.asarray(train_split.images), proxy.recipe
    batches = make_batches(
        images, train_split.labels, recipe=recipe, dataset=session.dataset(cell.dataset), device="cpu"
    )
    seed = derive_seed(cell.seed, "outputs")
    network, generator = fresh_network(proxy.model, images.shape[1:], 10, seed=seed, device="cpu", sample=batches)
    if passes:
        # 60 images in batches of 20; the learning rate falls as if all epochs came.
        train(network, batches, recipe=recipe, iterations=3 * passes, horizon=3 * EPOCHS, generator=generator)
    for ours, by_hand in zip(found, read_outputs(network, batches), strict=True):
        np.testing.assert_allclose(ours, by_hand, rtol=1e-5, atol=1e-6)
        with pytest.raises(ValueError, match="read-only"):
            ours[0] = 0


def test_one_training_serves_all_rates_and_both_methods(tmp_path: Path) -> None:
    plan = [cell for method in ("craig", "grad-match") for cell in cells_with(tmp_path, method, "0.3,0.9")]
    assert len(plan) == 4
    assert len({stage.key for cell in plan for stage in cell.selection().inputs()}) == 1


def test_more_epochs_than_the_proxys_are_the_proxys(tmp_path: Path) -> None:
    stages = [
        PoolOutputs.of(cells_with(tmp_path, f"craig(epochs={epochs})")[0].selection(), TrainedNetwork("pool", epochs))
        for epochs in (EPOCHS, 50)
    ]
    assert stages[0].key == stages[1].key
    assert stages[0].epochs is None


def test_a_network_on_revealed_labels_is_no_stage(tmp_path: Path) -> None:
    [cell] = cells_with(tmp_path, "badge")
    assert cell.selection().inputs() == []
    assert cell.selection().uses_gpu(), "it is trained while the method runs"
    assert not cells_with(tmp_path, "craig")[0].selection().uses_gpu()


@pytest.mark.integration
def test_outputs_depend_on_the_revealed_labels_alone(workspace: Session, permuted: str) -> None:
    names = ("digits", permuted)
    plain, other = (source_of(workspace, "badge", datasets=name) for name in names)
    same = np.flatnonzero(plain.labels == other.labels)
    assert 2 <= len(same) < 40
    for chosen in ([], [5], same):
        first, second = (outputs_of(workspace, chosen, datasets=name) for name in names)
        for one, two in zip(first, second, strict=True):
            np.testing.assert_array_equal(one, two)
            assert len(one) == 120
    differing = np.flatnonzero(plain.labels != other.labels)[:20]
    apart = [outputs_of(workspace, differing, datasets=name).probabilities for name in names]
    assert np.abs(apart[0] - apart[1]).max() > 1e-3


@pytest.mark.integration
def test_a_proxy_learns_from_what_was_revealed(workspace: Session) -> None:
    recipe = {"iterations": 4, "proxy_epochs": 40, "evaluations": 1}
    labels = source_of(workspace, "badge", recipe=recipe).labels
    probabilities, features = outputs_of(workspace, np.arange(60), recipe=recipe)
    assert (probabilities.argmax(1) == labels)[60:].mean() > 0.5
    assert np.isfinite(features).all()
    np.testing.assert_array_equal(probabilities, outputs_of(workspace, np.arange(60), recipe=recipe).probabilities)
