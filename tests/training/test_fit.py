"""A network that draws as it trains must not depend on what its process drew before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from bench import Dataset, Dynamics, Recipe, Split, plugins, register_model
from bench.errors import TrainingError
from bench.identity import ModelRef, derive_seed
from bench.recipe import Precision
from bench.training.batches import Batches
from bench.training.fit import LabelledInputs, build_model, fit, make_batches
from bench.training.loop import Evaluation, train
from bench.training.recorder import DynamicsRecorder
from tests.narrowing import in_memory
from tests.training.runs import CNN, PROBE, SPEEDRUN, generator

RECIPE = Recipe(iterations=21, batch_size=32, lr=0.05, augmentation="crop", crop_padding=1, evaluations=4)


@pytest.fixture
def dropout_model() -> Iterator[ModelRef]:
    @register_model("dropout-test", inputs="images", source="this test")
    def dropout(shape: tuple[int, ...], num_classes: int) -> nn.Module:
        """One layer behind dropout."""
        return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(int(np.prod(shape)), num_classes))

    yield ModelRef(name="dropout-test")
    plugins.models.remove("dropout-test")


def run(dataset: Dataset, model: ModelRef, *, seed: int = 0, device: str = "cpu") -> tuple[list[Evaluation], Dynamics]:
    recorder = DynamicsRecorder(200, device)
    scored = fit(
        model,
        LabelledInputs(dataset.train.images, dataset.train.labels, 10),
        dataset=dataset,
        recipe=RECIPE,
        iterations=21,
        seed=seed,
        device=device,
        recorder=recorder,
        test=LabelledInputs(dataset.test.images, dataset.test.labels, 10),
    )
    return scored, recorder.result()


def check_independence(dataset: Dataset, model: ModelRef, device: str) -> None:
    torch.manual_seed(1)
    first, seen = run(dataset, model, device=device)
    torch.rand(100, device=device)  # what another cell of the same process may have drawn
    second, again = run(dataset, model, device=device)
    assert [item.accuracy for item in first] == [item.accuracy for item in second]
    np.testing.assert_array_equal(seen.aum, again.aum)
    other, _ = run(dataset, model, seed=1, device=device)
    assert [item.accuracy for item in first] != [item.accuracy for item in other]


def test_dropout_depends_on_the_seed_alone(few_digits: Dataset, dropout_model: ModelRef) -> None:
    check_independence(few_digits, dropout_model, "cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_dropout_depends_on_the_seed_alone_on_a_gpu(few_digits: Dataset, dropout_model: ModelRef) -> None:
    check_independence(few_digits, dropout_model, "cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_speedrun_learns_on_a_gpu_the_same_twice(few_digits: Dataset, precision: Precision) -> None:
    own = cast("dict[str, Any]", plugins.models.get("speedrun").info.recipe)
    recipe = Recipe(**{**own, "batch_size": 100, "lr": 0.15, "lr_min": 0.01, "evaluations": 2, "precision": precision})

    def enlarged(split: Split) -> LabelledInputs:
        return LabelledInputs(in_memory(split.images).repeat(4, 2).repeat(4, 3), split.labels, 10)

    first, again = (
        fit(
            ModelRef(name="speedrun", params={"width": 0.25}),
            enlarged(few_digits.train),
            dataset=few_digits,
            recipe=recipe,
            iterations=40,
            seed=0,
            device="cuda",
            test=enlarged(few_digits.test),
        )
        for _ in range(2)
    )
    assert [item.accuracy for item in first] == [item.accuracy for item in again]
    assert first[-1].accuracy > 30


def test_training_leaves_the_global_generator_as_it_was(few_digits: Dataset, dropout_model: ModelRef) -> None:
    before = torch.random.get_rng_state()
    run(few_digits, dropout_model)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_model_that_draws_nothing_is_trained_as_by_the_loop_alone(few_digits: Dataset) -> None:
    model = ModelRef(name="small_cnn")
    scored, _ = run(few_digits, model)

    def batches(split: str) -> Batches:
        part = getattr(few_digits, split)
        return make_batches(part.images, part.labels, recipe=RECIPE, dataset=few_digits, device="cpu")

    by_hand = train(
        build_model(model, few_digits.train.images.shape[1:], 10, derive_seed(0, "weights")),
        batches("train"),
        recipe=RECIPE,
        iterations=21,
        generator=torch.Generator().manual_seed(derive_seed(0, "order")),
        test=batches("test"),
    )
    assert [item.accuracy for item in scored] == [item.accuracy for item in by_hand]


def test_a_network_is_shown_images_of_its_training_and_no_labels(few_digits: Dataset) -> None:
    from bench.training.fit import fresh_network

    images = np.pad(in_memory(few_digits.train.images), ((0, 0), (0, 0), (1, 1), (1, 1)))

    def fresh(labels: np.ndarray, seed: int) -> Any:
        sample = make_batches(images, labels, recipe=RECIPE, dataset=few_digits, device="cpu")
        return fresh_network(SPEEDRUN, (1, 10, 10), 10, seed=seed, device="cpu", sample=sample)[0]

    one, other = fresh(few_digits.train.labels, 0), fresh(few_digits.train.labels[::-1].copy(), 1)
    untrained: Any = build_model(SPEEDRUN, (1, 10, 10), 10, 0)
    assert torch.equal(one.whiten.weight, other.whiten.weight)
    assert not torch.equal(one.whiten.weight, untrained.whiten.weight)
    assert not torch.equal(one.classifier.weight, other.classifier.weight)


@pytest.mark.parametrize("size", [0, 1])
def test_fewer_than_two_images(few_digits: Dataset, size: int) -> None:
    with pytest.raises(TrainingError, match=rf"{size} image\(s\); 2 or more"):
        fit(
            CNN,
            LabelledInputs(in_memory(few_digits.train.images)[:size], few_digits.train.labels[:size], 10),
            dataset=few_digits,
            recipe=RECIPE,
            iterations=2,
            seed=0,
            device="cpu",
        )


def rows_of(split: Split) -> NDArray[np.float32]:
    """The pixels as embeddings, from 0 to 1."""
    return in_memory(split.images).reshape(len(split), -1).astype(np.float32) / np.float32(255)


def test_linear_probe_on_embeddings(few_digits: Dataset) -> None:
    """Embeddings are taken as they are: neither augmented nor normalised."""
    train_inputs, test_inputs = map(rows_of, (few_digits.train, few_digits.test))
    batches = make_batches(train_inputs, few_digits.train.labels, recipe=RECIPE, dataset=few_digits, device="cpu")
    for batch in batches.epoch(generator()):
        np.testing.assert_array_equal(batch.inputs.numpy(), train_inputs[batch.positions.numpy()])
    scored = fit(
        PROBE,
        LabelledInputs(train_inputs, few_digits.train.labels, 10),
        dataset=few_digits,
        recipe=RECIPE,
        iterations=100,
        seed=0,
        device="cpu",
        test=LabelledInputs(test_inputs, few_digits.test.labels, 10),
    )
    assert scored[-1].accuracy > 70


@pytest.mark.parametrize("outputs", [9, 11])
def test_a_network_with_another_number_of_outputs_is_one_clear_error(outputs: int) -> None:
    @register_model("outputs-test", inputs="embeddings", source="this test")
    def wrong(shape: tuple[int, ...], num_classes: int) -> nn.Module:
        """A layer that disregards the number of classes."""
        return nn.Linear(int(np.prod(shape)), outputs)

    training = LabelledInputs(np.zeros((40, 5), np.float32), np.arange(40) % 10, 10)
    try:
        with pytest.raises(TrainingError, match=rf"have the shape \(32, {outputs}\), valid: \(32, 10\)"):
            fit(
                ModelRef(name="outputs-test"),
                training,
                dataset=None,
                recipe=RECIPE,
                iterations=2,
                seed=0,
                device="cpu",
            )
    finally:
        plugins.models.remove("outputs-test")
