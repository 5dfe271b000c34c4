from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bench import Dataset, Split
from bench.errors import TrainingError
from bench.training.fit import LabelledInputs, build_model, fit, make_batches
from tests.narrowing import in_memory
from tests.training.runs import CNN, PROBE, RECIPE, SPEEDRUN, generator, run


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


def test_resized_crops_train(few_digits: Dataset) -> None:
    recipe = RECIPE.model_copy(update={"augmentation": "resized-crop-flip"})
    weights, _ = run(few_digits, recipe=recipe)
    assert all(torch.isfinite(value).all() for value in weights.values())
    assert not torch.equal(weights["classifier.weight"], run(few_digits)[0]["classifier.weight"])


@dataclass(frozen=True)
class Filed:
    """Images that stand for files; resized crops of them would be black."""

    pixels: np.ndarray
    fingerprint = ""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.pixels.shape

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        return self.pixels[indices]

    def augmented(self, indices: np.ndarray, rng_seeds: Sequence[int]) -> np.ndarray:
        return np.zeros_like(self.pixels[indices])


@pytest.mark.parametrize("kind", ["none", "crop", "crop-flip", "crop-alternating-flip"])
def test_images_in_files_are_augmented_as_the_recipe_says(few_digits: Dataset, kind: str) -> None:
    """The same pixels as from memory: where the images lie is no part of a recipe."""
    recipe = RECIPE.model_copy(update={"augmentation": kind})
    in_array = in_memory(few_digits.train.images)
    in_files = Filed(in_array)
    epochs = []
    for images in (in_array, in_files):
        batches = make_batches(images, few_digits.train.labels, recipe=recipe, dataset=few_digits, device="cpu")
        source = generator(3)
        epochs.append([batch for _ in range(2) for batch in batches.epoch(source)])
    for one, other in zip(*epochs, strict=True):
        assert all(torch.equal(part, same) for part, same in zip(one, other, strict=True))


def test_resized_crops_of_files_are_cut_while_decoding(few_digits: Dataset) -> None:
    recipe = RECIPE.model_copy(update={"augmentation": "resized-crop-flip"})
    images = Filed(in_memory(few_digits.train.images))
    batches = make_batches(images, few_digits.train.labels, recipe=recipe, dataset=few_digits, device="cpu")
    black = torch.tensor(-few_digits.mean[0] / few_digits.std[0])
    assert all(torch.isclose(batch.inputs, black).all() for batch in batches.epoch(generator()))
    assert not any(torch.isclose(batch.inputs, black).all() for batch in batches.in_order())


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


def test_training_learns(digits: Dataset) -> None:
    _, scored = run(digits, iterations=150)
    assert scored[-1].accuracy > 85
