from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench import BenchError, DataError, Encoder
from bench.encoders.pixels import pixels
from bench.plugins import encoders


def fitted(images: np.ndarray, **params: Any) -> Encoder:
    encoder = pixels(None, **params)
    encoder.restore(encoder.fit(images, device="cpu"))
    return encoder


def embed(encoder: Encoder, images: np.ndarray, batch_size: int = 100) -> np.ndarray:
    return encoder.embed(images, device="cpu", batch_size=batch_size)


def test_equals_scikit_learns_pca_of_the_standardised_pixels(patches: NDArray[np.uint8]) -> None:
    from sklearn.decomposition import PCA

    images = patches[:300, :, :8, :8]
    encoder = fitted(images, components=20)
    scaled = images.astype(np.float64) / 255
    scaled = (scaled - scaled.mean(axis=(0, 2, 3), keepdims=True)) / scaled.std(axis=(0, 2, 3), keepdims=True)
    reference = PCA(20, svd_solver="full").fit_transform(scaled.reshape(300, -1))
    ours = embed(encoder, images)
    signs = np.sign((ours * reference).sum(axis=0))
    np.testing.assert_allclose(ours, reference * signs, atol=2e-3)


def test_is_deterministic_and_independent_of_batch_size(digits: np.ndarray) -> None:
    first, second = fitted(digits), fitted(digits.copy())
    one = embed(first, digits)
    assert one.dtype == np.float32
    np.testing.assert_array_equal(one, embed(second, digits))
    np.testing.assert_allclose(one, embed(first, digits, batch_size=7), atol=1e-4)


def test_components_are_cut_to_what_the_pixels_span(digits: np.ndarray) -> None:
    encoder = fitted(digits, components=64)
    # Three of the 64 positions of scikit-learn's digits are always empty.
    constant = int((digits.reshape(len(digits), -1).std(axis=0) == 0).sum())
    assert constant == 3
    assert embed(encoder, digits).shape == (1797, 61)
    few = fitted(digits[:5], components=64)
    assert embed(few, digits).shape == (1797, 4)


@pytest.mark.parametrize("images", [np.zeros((4, 1, 8, 8), np.uint8), np.full((1, 3, 8, 8), 77, np.uint8)])
def test_images_without_variance_give_finite_equal_embeddings(images: np.ndarray) -> None:
    encoder = fitted(images)
    result = embed(encoder, images)
    assert result.shape == (len(images), 1)
    assert np.isfinite(result).all()
    assert np.ptp(result) == 0


def test_keeps_neighbours_of_the_same_digit(digits: np.ndarray) -> None:
    from sklearn.neighbors import KNeighborsClassifier

    from tests.digits import load_digits

    labels = load_digits().target
    encoder = fitted(digits[:1200])
    train, test = embed(encoder, digits[:1200]), embed(encoder, digits[1200:])
    assert KNeighborsClassifier(5).fit(train, labels[:1200]).score(test, labels[1200:]) > 0.93


def test_large_images_are_made_smaller(patches: NDArray[np.uint8]) -> None:
    images = patches[:50]
    encoder = fitted(images, components=8, size=8)
    assert vars(encoder)["_center"].shape == (3 * 8 * 8,)
    assert embed(encoder, images).shape == (50, 8)


def test_reports_progress_by_batch(digits: np.ndarray) -> None:
    encoder = fitted(digits)
    seen: list[Any] = []
    encoder.embed(digits, device="cpu", batch_size=1000, progress=seen.append)
    assert seen == [1000, 797]


def test_misuse_is_explained(digits: np.ndarray, patches: NDArray[np.uint8]) -> None:
    with pytest.raises(BenchError, match="must be fitted"):
        embed(pixels(None), digits)
    encoder = fitted(digits)
    with pytest.raises(BenchError, match="fitted on 64 values per image, got 3072"):
        embed(encoder, patches[:2])
    with pytest.raises(DataError, match="batch_size=0"):
        embed(encoder, digits, batch_size=0)
    with pytest.raises(BenchError, match="components=0 is not valid"):
        encoders.get("pixels").resolve({"components": 0})
