from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from bench import Recipe
from bench.errors import SpecError
from bench.recipe import Augmentation
from bench.training.augment import alternate, augment, crop_and_flip, normaliser, resized_crop_and_flip


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int, channels: int, height: int, width: int) -> torch.Tensor:
    """No two pixels of an image are equal where 256 values are enough, so that a wrong place shows."""
    values = np.random.default_rng(0).integers(0, 256, (count, channels, height, width))
    return torch.from_numpy(values.astype(np.uint8))


@pytest.mark.parametrize(("channels", "height", "width", "padding"), [(3, 32, 32, 4), (1, 8, 8, 1), (2, 5, 7, 4)])
@pytest.mark.parametrize("kind", ["crop", "crop-flip"])
def test_crop_is_that_of_a_reflect_padded_image(
    channels: int, height: int, width: int, padding: int, kind: Augmentation
) -> None:
    images = pictures(40, channels, height, width)
    indices = torch.randperm(40, generator=generator(1))
    given = crop_and_flip(images, indices, kind=kind, padding=padding, generator=generator(2)).numpy()
    again = generator(2)
    shift = torch.randint(-padding, padding + 1, (2, 40, 1), generator=again)[..., 0] + padding
    mirrored = (torch.rand((40, 1), generator=again) < 0.5)[:, 0] if kind == "crop-flip" else [False] * 40
    for place, index in enumerate(indices.tolist()):
        padded = np.pad(images[index].numpy(), ((0, 0), (padding, padding), (padding, padding)), mode="reflect")
        top, left = shift[0, place], shift[1, place]
        expected = padded[:, top : top + height, left : left + width]
        np.testing.assert_array_equal(given[place], expected[:, :, ::-1] if mirrored[place] else expected)


def test_a_mirror_that_alternates_shows_both_sides_in_two_epochs() -> None:
    positions = torch.randperm(10_000, generator=generator())
    first, second, third = (alternate(positions, epoch) for epoch in range(3))
    assert torch.equal(first, ~second)
    assert torch.equal(first, third)
    assert 0.48 < first.float().mean() < 0.52
    in_order = alternate(torch.arange(10_000), 0)
    assert 0.45 < (in_order[1:] == in_order[:-1]).float().mean() < 0.55, "neighbours, often of one class, are alike"


def test_batches_alternate_the_mirror_epoch_by_epoch() -> None:
    from bench.training.batches import TensorBatches

    images = pictures(30, 1, 4, 4)
    recipe = Recipe(augmentation="crop-alternating-flip", crop_padding=0, batch_size=7)
    batches = TensorBatches(images, torch.arange(30), recipe=recipe, mean=(0.0,), std=(1 / 255,), device="cpu")
    shown = []
    for _ in range(2):
        seen = torch.empty(30, 1, 4, 4)
        for batch in batches.epoch(generator(3)):
            seen[batch.positions] = batch.inputs
        shown.append(seen.round().to(torch.uint8))
    one, other = shown
    assert torch.equal(one, other.flip(3))
    assert 0 < sum(map(torch.equal, one, images)) < 30


def test_every_shift_and_both_mirrors_occur() -> None:
    image = pictures(1, 1, 6, 6)
    made = crop_and_flip(
        image, torch.zeros(2000, dtype=torch.int64), kind="crop-flip", padding=1, generator=generator()
    )
    assert len({bytes(picture.numpy().tobytes()) for picture in made}) == 3 * 3 * 2


@pytest.mark.parametrize("padding", [4, 5, 9])
def test_padding_that_reflection_cannot_fill_is_refused(padding: int) -> None:
    with pytest.raises(SpecError, match=rf"crop_padding={padding} .* 4x6 pixels.* at most 3"):
        crop_and_flip(pictures(2, 1, 4, 6), torch.arange(2), kind="crop", padding=padding, generator=generator())


def test_normaliser() -> None:
    mean, std = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)
    images = pictures(5, 3, 4, 4)
    scale, shift = normaliser(mean, std, "cpu")
    plain = (images.numpy().astype(np.float64) / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    np.testing.assert_allclose((images * scale + shift).numpy(), plain, atol=1e-5)


def candidates(image: torch.Tensor) -> dict[tuple[int, int, int, int], torch.Tensor]:
    """torchvision's resize of every crop, and of its mirror image (negative height as the mark)."""
    _, height, width = image.shape
    made = {}
    for rows in range(1, height + 1):
        for columns in range(1, width + 1):
            for top in range(height - rows + 1):
                for left in range(width - columns + 1):
                    cut = reference.resized_crop(
                        image.float(), top, left, rows, columns, [height, width], antialias=True
                    )
                    made[top, left, rows, columns] = cut
                    made[top, left, -rows, columns] = cut.flip(2)
    return made


def test_resized_crops_are_torchvisions() -> None:
    """Every picture made is one that torchvision makes, of an area and a ratio in range."""
    image = pictures(1, 2, 7, 7)
    known = candidates(image[0])
    stacked = torch.stack(list(known.values()))
    made = resized_crop_and_flip(image.expand(300, -1, -1, -1), generator())
    assert (made.dtype, made.shape) == (torch.uint8, (300, 2, 7, 7))
    seen = set()
    for picture in made.float():
        errors = (stacked - picture).abs().amax((1, 2, 3))
        assert errors.min() <= 0.51, "no crop of the image gives this picture"
        seen.add(list(known)[int(errors.argmin())])
    for _, _, rows, columns in seen:
        # Sides are rounded to whole pixels, so that area and ratio lie within half a pixel a side.
        rows = abs(rows)
        assert (rows + 0.5) * (columns + 0.5) >= 0.08 * 49
        assert (columns - 0.5) / (rows + 0.5) <= 4 / 3
        assert (columns + 0.5) / (rows - 0.5) >= 3 / 4
    assert len(seen) > 100
    assert {rows > 0 for _, _, rows, _ in seen} == {True, False}
    assert {abs(rows) for _, _, rows, _ in seen} >= {2, 3, 4, 5, 6, 7}


@pytest.mark.parametrize(("height", "width", "longest"), [(1, 60, 1), (60, 1, 1), (3, 400, 4), (400, 3, 4)])
def test_resized_crop_where_no_attempt_fits_is_the_centre(height: int, width: int, longest: int) -> None:
    """torchvision then takes the largest centred crop of a valid ratio."""
    images = torch.zeros(50, 1, height, width, dtype=torch.uint8)
    start = (max(height, width) - longest) // 2
    along = images if height <= width else images.transpose(2, 3)
    along[..., start : start + longest] = 200
    assert (resized_crop_and_flip(images, generator()) == 200).all()


def test_augment_follows_the_recipe() -> None:
    images, indices = pictures(6, 3, 8, 8), torch.tensor([3, 1, 1])

    def made(kind: Augmentation) -> torch.Tensor:
        recipe = Recipe(augmentation=kind, crop_padding=2)
        return augment(images, indices, recipe, generator(4), positions=indices, epoch=0)

    torch.testing.assert_close(made("none"), images[indices])
    for kind in ("crop", "crop-flip"):
        torch.testing.assert_close(
            made(kind), crop_and_flip(images, indices, kind=kind, padding=2, generator=generator(4))
        )
    torch.testing.assert_close(made("resized-crop-flip"), resized_crop_and_flip(images[indices], generator(4)))
