"""From images to the features of a network that is not trained: resizing, channels, batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bench import DataError, Dataset, WeightsError
from tests.encoders.official import build, network
from tests.narrowing import in_memory

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def pixels(digits: Dataset) -> NDArray[np.uint8]:
    return in_memory(digits.train.images)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A ResNet-18 and its file, for what is the same for every network."""
    module = network("resnet18_imagenet")
    file = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(module.state_dict(), file)
    return module, file


def test_features_are_those_before_the_classifier(small: tuple[Any, Path], patches: NDArray[np.uint8]) -> None:
    module, file = small
    images = patches[:3]
    features = build("resnet18_imagenet", file, size=32).embed(images, device="cpu", batch_size=3)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    inputs = (images / 255 - mean[:, None, None]) / std[:, None, None]
    with torch.no_grad():
        logits = module.eval()(torch.from_numpy(inputs).float())
        torch.testing.assert_close(module.fc(torch.from_numpy(features)), logits, atol=1e-5, rtol=1e-4)


def test_resize_agrees_with_pillow(patches: NDArray[np.uint8]) -> None:
    from PIL import Image

    from bench.embedding.frozen import resize

    # Grey levels that no overshoot takes below 0 or above 255, where Pillow clips between its passes.
    images = patches[:5] // 2 + 64
    for side in (16, 96):
        for image in images:
            ours = resize(torch.from_numpy(image[None] / 255).float(), side)[0].numpy()
            theirs = Image.fromarray(image.transpose(1, 2, 0)).resize((side, side), Image.Resampling.BICUBIC)
            # Pillow rounds to whole grey levels after each of its two passes; no antialiasing differs by 12 and more.
            assert np.abs(ours * 255 - np.asarray(theirs).transpose(2, 0, 1)).max() < 2.5


def test_one_channel_is_repeated_and_others_are_refused(small: tuple[Any, Path], pixels: NDArray[np.uint8]) -> None:
    encoder = build("resnet18_imagenet", small[1])
    grey = pixels[:3]
    np.testing.assert_array_equal(
        encoder.embed(grey, device="cpu", batch_size=3),
        encoder.embed(np.repeat(grey, 3, axis=1), device="cpu", batch_size=3),
    )
    with pytest.raises(DataError, match="1 or 3 channels, got 4"):
        encoder.embed(np.repeat(grey, 4, axis=1), device="cpu", batch_size=3)


def test_embedding_leaves_the_network_as_it_was(small: tuple[Any, Path], pixels: NDArray[np.uint8]) -> None:
    encoder = build("resnet18_imagenet", small[1])
    seen: list[Any] = []
    encoder.embed(pixels[:5], device="cpu", batch_size=2, progress=seen.append)
    assert seen == [2, 2, 1]
    assert all(torch.equal(value, small[0].state_dict()[key]) for key, value in encoder.module.state_dict().items())


def test_how_many_images_a_cpu_takes_at_once_changes_nothing_but_rounding(
    small: tuple[Any, Path], pixels: NDArray[np.uint8]
) -> None:
    encoder = build("resnet18_imagenet", small[1], size=224)
    seen: list[Any] = []
    whole = encoder.embed(pixels[:20], device="cpu", batch_size=256, progress=seen.append)
    single = np.concatenate([encoder.embed(pixels[i : i + 1], device="cpu", batch_size=1) for i in range(20)])
    assert seen == [8, 8, 4]
    np.testing.assert_allclose(whole, single, rtol=1e-4, atol=1e-5)


def test_images_are_read_in_whole_batches_and_embedded_in_the_same_steps(
    small: tuple[Any, Path], pixels: NDArray[np.uint8]
) -> None:
    class Read:
        shape = (20, *pixels.shape[1:])
        sizes: ClassVar[list[int]] = []

        def __len__(self) -> int:
            return 20

        def __getitem__(self, index: Any) -> np.ndarray:
            self.sizes.append(len(index))
            return pixels[index]

    encoder = build("resnet18_imagenet", small[1], size=224)
    images: Any = Read()
    embedded = encoder.embed(images, device="cpu", batch_size=19)
    assert images.sizes == [16, 4]
    np.testing.assert_array_equal(embedded, encoder.embed(pixels[:20], device="cpu", batch_size=8))


def test_numbers_that_are_not_finite_are_an_error(tmp_path: Path, pixels: NDArray[np.uint8]) -> None:
    state = network("resnet18_imagenet").state_dict()
    state["layer4.1.bn2.bias"][0] = float("nan")
    torch.save(state, tmp_path / "broken.pth")
    with pytest.raises(WeightsError, match="not finite"):
        build("resnet18_imagenet", tmp_path / "broken.pth").embed(pixels[:2], device="cpu", batch_size=2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_gpu_agrees_with_the_cpu(small: tuple[Any, Path], pixels: NDArray[np.uint8]) -> None:
    encoder = build("resnet18_imagenet", small[1])
    one = encoder.embed(pixels[:32], device="cuda", batch_size=32)
    other = encoder.embed(pixels[:32], device="cpu", batch_size=32)
    cosine = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert cosine.min() > 0.999
