from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bench import BenchError, DataError
from bench.encoders.simsiam import SimSiamEncoder, simsiam
from bench.errors import NotFinite, TrainingError
from bench.plugins import encoders

State = dict[str, Any]

TINY: dict[str, Any] = {"epochs": 2, "size": 8, "width": 8, "batch_size": 64}


@pytest.fixture(scope="module")
def few(digits: np.ndarray) -> np.ndarray:
    return digits[:200]


@pytest.fixture(scope="module")
def state(few: np.ndarray) -> State:
    return simsiam(None, **TINY).fit(few, device="cpu")


def embed(state: State, images: np.ndarray, batch_size: int = 64, **changed: Any) -> np.ndarray:
    encoder = simsiam(None, **{**TINY, **changed})
    encoder.restore(state)
    return encoder.embed(images, device="cpu", batch_size=batch_size)


def same(one: State, other: State) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_the_seed_alone_decides_the_weights(few: np.ndarray, state: State) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    assert same(state, simsiam(None, **TINY).fit(few.copy(), device="cpu"))
    assert torch.equal(torch.get_rng_state(), before)
    assert not same(state, simsiam(None, **TINY, seed=1).fit(few, device="cpu"))


def test_what_it_learned_goes_through_a_file_without_pickle(tmp_path: Path, few: np.ndarray, state: State) -> None:
    np.savez(tmp_path / "state.npz", **state)
    with np.load(tmp_path / "state.npz", allow_pickle=False) as stored:
        read = dict(stored)
    embeddings = embed(state, few)
    np.testing.assert_array_equal(embed(read, few), embeddings)
    assert embeddings.shape == (200, 32)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(embed(state, few, batch_size=7), embeddings, atol=1e-5)


def test_training_changes_every_layer(few: np.ndarray, state: State) -> None:
    fresh = simsiam(None, **{**TINY, "lr": 1e-12}).fit(few, device="cpu")
    assert all(np.abs(state[name] - fresh[name]).max() > 1e-4 for name in state if name.endswith("weight"))


def test_images_that_are_all_alike_are_an_error(few: np.ndarray) -> None:
    with pytest.raises(TrainingError, match=r"collapsed.*outputs 0, about.*an lr below 0\.2"):
        simsiam(None, **TINY).fit(np.repeat(few[:1], 100, axis=0), device="cpu")


@pytest.mark.integration
def test_a_collapsed_network_is_an_error(few: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 4.1 of the paper: without the stop-gradient the network finds the trivial solution."""

    def without_stop(heads: Any, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        one, other = heads.projector(first), heads.projector(second)
        similarity = torch.nn.functional.cosine_similarity
        return -(similarity(heads.predictor(one), other).mean() + similarity(heads.predictor(other), one).mean()) / 2

    longer: dict[str, Any] = {**TINY, "epochs": 20, "lr": 1.0}
    simsiam(None, **longer).fit(few, device="cpu")
    monkeypatch.setattr("bench.training.siamese.similarity_loss", without_stop)
    with pytest.raises(TrainingError, match="hardly tells images apart"):
        simsiam(None, **longer).fit(few, device="cpu")


def test_training_that_blows_up_is_an_error(few: np.ndarray) -> None:
    with pytest.raises(NotFinite, match="smaller lr than 1e\\+30"):
        simsiam(None, **{**TINY, "lr": 1e30}).fit(few, device="cpu")


def test_one_image_cannot_be_learned_from(few: np.ndarray) -> None:
    with pytest.raises(TrainingError, match="2 or more"):
        simsiam(None, **TINY).fit(few[:1], device="cpu")


@pytest.mark.parametrize("count", [20, 65])
def test_small_pools_and_a_last_batch_of_one(few: np.ndarray, count: int) -> None:
    assert np.isfinite(embed(simsiam(None, **TINY).fit(few[:count], device="cpu"), few[:count])).all()


def test_images_of_any_size_and_one_or_three_channels(few: np.ndarray, patches: NDArray[np.uint8]) -> None:
    for images in (patches[:70], np.repeat(few[:70], 3, axis=1), np.kron(few[:70], np.ones((1, 1, 5, 4), np.uint8))):
        assert embed(simsiam(None, **TINY).fit(images, device="cpu"), images).shape == (70, 32)
    with pytest.raises(DataError, match="1 or 3 channels, got 2"):
        simsiam(None, **TINY).fit(np.repeat(few, 2, axis=1), device="cpu")


class InFiles:
    """The interface of images in files; counts how often each is read."""

    def __init__(self, images: np.ndarray) -> None:
        self.images, self.shape, self.reads = images, images.shape, np.zeros(len(images), int)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        self.reads[index] += 1
        return self.images[index]


def test_images_in_files_are_read_once_and_give_the_same(few: np.ndarray, state: State) -> None:
    files: Any = InFiles(few)
    assert same(state, simsiam(None, **TINY).fit(files, device="cpu"))
    assert set(files.reads) == {1}


def test_progress_reaches_the_end(few: np.ndarray) -> None:
    seen = []
    simsiam(None, **TINY).fit(few, device="cpu", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(4, 8), (8, 8)]


def test_misuse_is_explained(few: np.ndarray) -> None:
    with pytest.raises(BenchError, match="must be fitted"):
        simsiam(None).embed(few, device="cpu", batch_size=8)
    for wrong in ({"epochs": 0}, {"lr": 0}, {"lr": float("nan")}, {"size": 4}, {"batch_size": 1}, {"seed": -1}):
        with pytest.raises(BenchError, match=f"{next(iter(wrong))}=.* is not valid"):
            encoders.get("simsiam").resolve(wrong)
    with pytest.raises(BenchError, match="Did you mean epochs"):
        encoders.get("simsiam").resolve({"epoch": 3})


def test_the_declared_memory_covers_the_pool_and_grows_with_what_costs_memory() -> None:
    entry = encoders.get("simsiam")

    def memory(images: int = 5000, **given: Any) -> int:
        return entry.info.memory(entry.resolve(given), images, (3, 224, 224))

    assert memory(100_000) - memory(50_000) == 50_000 * 3 * 32 * 32
    assert memory() < min(memory(size=64), memory(width=64), memory(batch_size=512))


@pytest.mark.slow
def test_neighbours_on_photographs_are_better_than_those_of_pixels(cifar: tuple[np.ndarray, np.ndarray]) -> None:
    """Trained on 5,000 photographs without labels; their labels then say how often neighbours agree (leave-one-out)."""
    from sklearn.neighbors import KNeighborsClassifier

    images, labels = (part[:5000] for part in cifar)
    scores = {}
    for name in ("pixels", "simsiam"):
        encoder = encoders.get(name).function(None)
        encoder.restore(encoder.fit(images, device="cpu"))
        embeddings = encoder.embed(images, device="cpu", batch_size=256)
        unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
        nearest = KNeighborsClassifier(20).fit(unit, labels).kneighbors(return_distance=False)
        voted = np.array([np.bincount(labels[row], minlength=10).argmax() for row in nearest])
        scores[name] = (voted == labels).mean()
    assert scores["simsiam"] > scores["pixels"] + 0.05, scores


def test_is_registered_as_fitted_and_free_of_labels() -> None:
    entry = encoders.get("simsiam")
    assert (entry.info.fitted, entry.info.supervision, entry.info.weights) == (True, "self-supervised", None)
    assert isinstance(simsiam(None), SimSiamEncoder)
