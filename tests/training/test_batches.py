"""Batches: every image once an epoch, the last batch, and the test split in order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench import Dataset, Recipe
from bench.training.batches import FileBatches, TensorBatches, split_epoch
from bench.training.fit import make_batches
from bench.training.loop import steps_per_epoch
from tests.filed import Filed
from tests.narrowing import in_memory
from tests.training.runs import MEAN, RECIPE, STD, batches_of, generator


@pytest.mark.parametrize("batch_size", [2, 3, 8])
@pytest.mark.parametrize("size", [2, 3, 7, 8, 9, 16, 17, 40])
def test_every_image_once_per_epoch_in_as_many_batches_as_announced(size: int, batch_size: int) -> None:
    images = torch.arange(size, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2)
    recipe = Recipe(batch_size=batch_size, augmentation="crop-flip", crop_padding=1)
    batches = TensorBatches(images, torch.arange(size), recipe=recipe, mean=MEAN, std=STD, device="cpu")
    source = generator()
    orders = []
    for _ in range(2):
        parts = list(batches.epoch(source))
        positions = torch.cat([part.positions for part in parts])
        orders.append(positions.tolist())
        assert sorted(orders[-1]) == list(range(size))
        assert len(parts) == steps_per_epoch(size, batch_size)
        assert all(2 <= len(part.targets) <= batch_size + 1 for part in parts)
        for part in parts:
            assert part.targets.tolist() == part.positions.tolist()
            pixels = (part.inputs[:, 0, 0, 0] * STD[0] + MEAN[0]) * 255
            assert pixels.round().long().tolist() == part.positions.tolist()
    assert len(orders[0]) < 16 or orders[0] != orders[1]


def test_only_a_last_batch_of_one_joins_its_neighbour() -> None:
    assert [len(part) for part in split_epoch(torch.arange(9), 4)] == [4, 5]
    assert [len(part) for part in split_epoch(torch.arange(10), 4)] == [4, 4, 2]
    assert [len(part) for part in split_epoch(torch.arange(1), 4)] == [1]


def test_test_images_come_in_order_and_unaugmented(digits: Dataset) -> None:
    inputs = torch.cat([batch.inputs for batch in batches_of(digits, "test").in_order()])
    plain = (in_memory(digits.test.images) / 255 - digits.mean[0]) / digits.std[0]
    np.testing.assert_allclose(inputs.numpy(), plain, atol=1e-5)


@pytest.mark.parametrize(
    ("side", "device", "sizes"),
    [
        (2, "cpu", [256] * 5 + [220]),
        (2, "meta", [1_024, 476]),
        # As many pixels as of smaller images: 256 photographs at once took several times the memory of the training.
        (224, "cpu", [8] * 187 + [4]),
        (224, "meta", [83] * 18 + [6]),
    ],
)
def test_fewer_images_are_scored_at_once_on_a_cpu_and_if_they_are_large(
    side: int, device: str, sizes: list[int]
) -> None:
    images = torch.zeros(1_500, 1, side, side, dtype=torch.uint8)
    targets = torch.zeros(len(images), dtype=torch.int64)
    batches = TensorBatches(images, targets, recipe=RECIPE, mean=MEAN, std=STD, device=device)
    assert [len(batch.targets) for batch in batches.in_order()] == sizes


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


def test_large_images_in_files_are_scored_a_few_at_once_and_decoded_many_at_once() -> None:
    images = np.random.default_rng(0).integers(0, 256, (300, 1, 112, 112), dtype=np.uint8)
    batches = FileBatches(Filed(images), torch.arange(300), recipe=RECIPE, mean=MEAN, std=STD, device="cpu")
    scored = list(batches.in_order())
    assert [len(batch.inputs) for batch in scored] == [31] * 8 + [8] + [31, 13]
    assert torch.cat([batch.targets for batch in scored]).tolist() == list(range(300))
    pixels = (torch.cat([batch.inputs for batch in scored]) * STD[0] + MEAN[0]) * 255
    np.testing.assert_allclose(pixels.numpy(), images, atol=1e-3)


def test_resized_crops_of_files_are_cut_while_decoding(few_digits: Dataset) -> None:
    recipe = RECIPE.model_copy(update={"augmentation": "resized-crop-flip"})
    images = Filed(in_memory(few_digits.train.images))
    batches = make_batches(images, few_digits.train.labels, recipe=recipe, dataset=few_digits, device="cpu")
    black = torch.tensor(-few_digits.mean[0] / few_digits.std[0])
    assert all(torch.isclose(batch.inputs, black).all() for batch in batches.epoch(generator()))
    assert not any(torch.isclose(batch.inputs, black).all() for batch in batches.in_order())
