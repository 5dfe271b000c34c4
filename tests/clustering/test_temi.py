from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from bench import Dataset
from bench.clustering import temi as module
from bench.clustering.kmeans import kmeans_clusters
from bench.clustering.temi import ClusterHeads, Effort, temi, temi_loss
from bench.errors import NotFinite
from bench.knn import nearest_neighbors
from bench.parts import Clustering
from tests.narrowing import in_memory, present


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class OneHead(nn.Module):
    """A head as methods.md writes it, with torch's own weight norm."""

    def __init__(self, heads: ClusterHeads, number: int) -> None:
        super().__init__()
        features, clusters = heads.first.shape[1], heads.direction.shape[2]
        self.first, self.second = nn.Linear(features, 512), nn.Linear(512, 256)
        self.last = nn.utils.parametrizations.weight_norm(nn.Linear(256, clusters, bias=False), dim=0)
        with torch.no_grad():
            self.first.weight.copy_(heads.first[number].T)
            self.first.bias.copy_(heads.first_bias[number, 0])
            self.second.weight.copy_(heads.second[number].T)
            self.second.bias.copy_(heads.second_bias[number, 0])
            self.last.parametrizations.weight.original0.copy_(heads.gain[number].T)
            self.last.parametrizations.weight.original1.copy_(heads.direction[number].T)

    def forward(self, inputs: Tensor) -> Tensor:
        bottleneck = self.second(functional.gelu(self.first(inputs)))
        return self.last(functional.normalize(bottleneck, dim=1))

    def gradients(self) -> dict[str, Tensor]:
        last = self.last.parametrizations.weight
        return {
            "first": present(self.first.weight.grad).T,
            "first_bias": present(self.first.bias.grad)[None],
            "second": present(self.second.weight.grad).T,
            "second_bias": present(self.second.bias.grad)[None],
            "direction": last.original1.grad.T,
            "gain": last.original0.grad.T,
        }


def slow_loss(
    students: list[Any], teachers: list[Any], prior: list[Tensor], x: Tensor, near: Tensor, beta: float
) -> list[Any]:
    """Loss of every head, image by image and direction by direction."""
    q_s = [[(head(side) / 0.1).softmax(1) for side in (x, near)] for head in students]
    with torch.no_grad():
        q_t = [[(head(side) / 0.1).softmax(1) for side in (x, near)] for head in teachers]
        weight = torch.stack([(here * there).sum(1) for here, there in q_t]).mean(0)
    losses = []
    for own, seen, pk in zip(q_s, q_t, prior, strict=True):
        terms = []
        for image in range(len(x)):
            for a, b in ((0, 1), (1, 0)):
                mutual = sum((own[a][image, c] * seen[b][image, c]) ** beta / pk[c] for c in range(len(pk)))
                terms.append(-weight[image] * mutual.log())
        losses.append(torch.stack(terms).mean())
    return losses


def perturbed(heads: ClusterHeads, seed: int) -> ClusterHeads:
    """Weights that differ between student and teacher, with gains and biases off their initial values."""
    with torch.no_grad():
        for weight in heads.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator(seed)))
    return heads


@settings(max_examples=8, deadline=None)
@given(
    heads=st.integers(1, 3),
    features=st.integers(1, 7),
    clusters=st.integers(1, 5),
    images=st.integers(1, 6),
    beta=st.sampled_from([0.6, 1.0]),
    seed=st.integers(0, 2**31),
)
def test_batched_heads_equal_one_module_per_head(
    heads: int, features: int, clusters: int, images: int, beta: float, seed: int
) -> None:
    shape = heads, features, clusters
    student, teacher = (perturbed(ClusterHeads(*shape, generator(seed + n)), seed + n + 1) for n in (0, 2))
    teacher.requires_grad_(False)
    x, near = (torch.randn(images, features, generator=generator(seed + n)) for n in (4, 5))
    prior = torch.rand(heads, clusters, generator=generator(seed + 6)).softmax(1)
    q_s = tuple((student(side) / 0.1).log_softmax(2) for side in (x, near))
    q_t = tuple((teacher(side) / 0.1).log_softmax(2) for side in (x, near))
    fast = temi_loss(q_s, q_t, prior, beta=beta)
    fast.sum().backward()
    singles = [OneHead(student, number) for number in range(heads)]
    slow = slow_loss(singles, [OneHead(teacher, number) for number in range(heads)], list(prior), x, near, beta)
    torch.stack(slow).sum().backward()
    torch.testing.assert_close(fast.detach(), torch.stack(slow).detach(), rtol=1e-4, atol=1e-5)
    for number, single in enumerate(singles):
        for name, expected in single.gradients().items():
            torch.testing.assert_close(
                getattr(student, name).grad[number], expected, rtol=1e-3, atol=1e-5, msg=f"{name} of head {number}"
            )
    assert all(weight.grad is None for weight in teacher.parameters())


def pair(views: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    first, second = views
    return first, second


def test_heads_do_not_share_gradients() -> None:
    student = ClusterHeads(3, 5, 4, generator())
    q = pair((student(torch.randn(8, 5, generator=generator(n))) / 0.1).log_softmax(2) for n in (1, 2))
    seen = pair(part.detach() for part in q)
    temi_loss(q, seen, torch.full((3, 4), 0.25))[1].backward()
    for weight in student.parameters():
        assert (present(weight.grad)[[0, 2]] == 0).all()


@pytest.mark.parametrize("gain", [3.0, 10.0])
def test_gradients_are_finite_where_probabilities_underflow(gain: float) -> None:
    cosines = [2 * torch.rand(2, 64, 4, generator=generator(n)) - 1 for n in range(4)]
    gradients: dict[torch.dtype, Tensor] = {}
    for dtype in (torch.float32, torch.float64):
        shown = [cosine.to(dtype, copy=True).requires_grad_() for cosine in cosines[:2]]
        student = pair((gain * cosine / 0.1).log_softmax(2) for cosine in shown)
        teacher = pair((gain * cosine.to(dtype) / 0.1).log_softmax(2) for cosine in cosines[2:])
        if dtype == torch.float32:
            assert (student[0].exp() * teacher[1].exp() == 0).any()
        temi_loss(student, teacher, torch.full((2, 4), 0.25, dtype=dtype)).sum().backward()
        gradients[dtype] = torch.stack([present(cosine.grad) for cosine in shown])
    assert torch.isfinite(gradients[torch.float32]).all()
    assert (gradients[torch.float32] != 0).any()
    torch.testing.assert_close(gradients[torch.float32].double(), gradients[torch.float64], rtol=1e-3, atol=1e-5)


def test_an_abandoned_cluster_keeps_the_loss_finite() -> None:
    q = torch.tensor([[[0.0, -300.0]], [[-300.0, 0.0]]]).requires_grad_()
    loss = temi_loss((q, q), (q.detach(), q.detach()), torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    loss.sum().backward()
    torch.testing.assert_close(loss.detach(), torch.zeros(2))
    assert torch.isfinite(present(q.grad)).all()


def test_last_layer_is_weight_normalised() -> None:
    heads = ClusterHeads(2, 5, 4, generator())
    x = torch.randn(9, 5, generator=generator(1))
    before = heads(x)
    assert before.abs().max() <= 1 + 1e-5, "a unit vector times unit columns"
    with torch.no_grad():
        heads.direction.mul_(17)
    torch.testing.assert_close(heads(x), before)
    with torch.no_grad():
        heads.gain.mul_(2)
    torch.testing.assert_close(heads(x), 2 * before)


def replay(
    points: Tensor, near: Tensor, clusters: int, heads: int, epochs: int, batch: int, seed: int
) -> tuple[Any, ...]:
    """TEMI with one module per head, from the same random numbers: losses of the last epoch, labels."""
    source = generator(seed)
    initial = ClusterHeads(heads, points.shape[1], clusters, source)
    students = [OneHead(initial, number) for number in range(heads)]
    teachers = [OneHead(initial, number) for number in range(heads)]
    size = len(points)
    steps = math.ceil(size / batch)
    weights = [weight for head in students for weight in head.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=1e-4 * batch / 256, weight_decay=1e-4)
    final = optimiser.param_groups[0]["lr"]
    momentum = min(0.996, max(0.5, 1 - 24 / (steps * epochs)))
    prior = [torch.full((clusters,), 1 / clusters) for _ in range(heads)]
    warmup, done = max(1, epochs // 10) * steps, 0
    for _ in range(epochs):
        losses = np.zeros(heads)
        for part in torch.randperm(size, generator=source).split(batch):
            drawn = torch.randint(near.shape[1], (len(part),), generator=source)
            x, other = points[part], points[near[part, drawn]]
            with torch.no_grad():
                for number, head in enumerate(teachers):
                    mean = sum((head(side) / 0.1).softmax(1).mean(0) for side in (x, other)) / 2
                    prior[number] = 0.9 * prior[number] + 0.1 * mean
            loss = slow_loss(students, teachers, prior, x, other, 0.6)
            optimiser.param_groups[0]["lr"] = final * min(1.0, (done + 1) / warmup)
            optimiser.zero_grad()
            torch.stack(loss).sum().backward()
            optimiser.step()
            done += 1
            with torch.no_grad():
                for slow, fast in zip(teachers, students, strict=True):
                    for kept, new in zip(slow.parameters(), fast.parameters(), strict=True):
                        kept.copy_(momentum * kept + (1 - momentum) * new)
            losses += np.array([float(value.detach()) for value in loss]) * len(part) / size
    with torch.no_grad():
        labels = teachers[int(losses.argmin())](points).argmax(1).numpy()
    return losses, labels


def test_whole_run_is_that_of_the_definition() -> None:
    """Prior from uniform, teacher as moving average, warm-up, the head of the lowest last loss."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 6))
    embeddings = (centres[np.arange(30) % 3] + 0.3 * rng.normal(size=(30, 6))).astype(np.float32)
    embeddings *= np.float32(math.sqrt(6 / np.mean((embeddings.astype(np.float64) ** 2).sum(1))))
    near = nearest_neighbors(embeddings, 5).indices
    found = temi(embeddings, near, 3, Effort(heads=3, epochs=4, batch_size=8), seed=11)
    losses, labels = replay(torch.from_numpy(embeddings), torch.from_numpy(near), 3, 3, 4, 8, 11)
    np.testing.assert_allclose(found.losses, losses, rtol=1e-4)
    np.testing.assert_array_equal(found.labels, labels)


def test_scale_of_the_embeddings_does_not_matter() -> None:
    rows = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)
    near = nearest_neighbors(rows, 5).indices
    first, large = (temi(rows * factor, near, 3, Effort(heads=2, epochs=2)) for factor in (1, 1024))
    np.testing.assert_allclose(first.losses, large.losses, rtol=1e-5)


@pytest.fixture(scope="module")
def pixels(digits: Dataset) -> tuple[np.ndarray, np.ndarray]:
    rows: np.ndarray = in_memory(digits.train.images).reshape(len(digits.train), -1).astype(np.float32)
    rows /= 255
    return rows, nearest_neighbors(rows, 50).indices


def accuracy(clusters: np.ndarray, labels: np.ndarray) -> float:
    """Share of images in their cluster's matched class, under the best one-to-one match."""
    from scipy.optimize import linear_sum_assignment

    counts = np.zeros((10, 10), dtype=np.int64)
    np.add.at(counts, (clusters, labels), 1)
    return counts[linear_sum_assignment(-counts)].sum() / len(labels)


@pytest.fixture(scope="module")
def clustered(pixels: tuple[np.ndarray, np.ndarray]) -> module.TemiClusters:
    return temi(*pixels, 10, Effort(heads=4, epochs=20), seed=0)


@pytest.mark.integration
def test_digits_are_clustered(digits: Dataset, clustered: module.TemiClusters) -> None:
    found = clustered
    assert found.labels.shape == (1438,)
    assert found.labels.dtype == np.int64
    assert found.losses.shape == (4,)
    assert found.losses.dtype == np.float64
    assert set(found.labels.tolist()) <= set(range(10))
    # measured: 0.83; labels at random reach 0.14
    assert accuracy(found.labels, digits.train.labels) > 0.6


@pytest.mark.long
def test_bf16_clusters_as_well_from_the_same_numbers(
    digits: Dataset, pixels: tuple[np.ndarray, np.ndarray], clustered: module.TemiClusters
) -> None:
    plain, short = clustered, temi(*pixels, 10, Effort(heads=4, epochs=20), seed=0, precision="bf16")
    assert (plain.losses != short.losses).all()
    np.testing.assert_allclose(plain.losses, short.losses, rtol=0.02)
    assert accuracy(short.labels, digits.train.labels) > 0.6


def test_same_seed_same_clusters_and_other_seed_others(pixels: tuple[np.ndarray, np.ndarray]) -> None:
    first, again, other = (temi(*pixels, 10, Effort(heads=2, epochs=2), seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.labels, again.labels)
    np.testing.assert_array_equal(first.losses, again.losses)
    assert (first.losses != other.losses).all()


def test_progress_and_a_loss_that_is_not_finite(pixels: tuple[np.ndarray, np.ndarray]) -> None:
    seen = []
    rows, near = pixels
    temi(
        rows[:100],
        near[:100] % 100,
        3,
        Effort(heads=1, epochs=3),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]
    broken = rows[:100].copy()
    broken[0, 0] = np.nan
    with pytest.raises(NotFinite, match="not finite in epoch 1 of 3"):
        temi(broken, near[:100] % 100, 3, Effort(heads=1, epochs=3))


def test_one_cluster_and_tiny_pools(pixels: tuple[np.ndarray, np.ndarray]) -> None:
    rows, _ = pixels
    assert set(temi(rows[:2], np.array([[1], [0]]), 1, Effort(heads=1, epochs=2)).labels.tolist()) == {0}
    assert len(temi(rows[:3], np.array([[1], [0], [0]]), 3, Effort(heads=1, epochs=1)).labels) == 3


def test_defaults_are_the_papers() -> None:
    assert (module.TEMPERATURE, module.TEACHER_MOMENTUM, module.PRIOR_MOMENTUM) == (0.1, 0.996, 0.9)
    assert (module.HIDDEN, module.BOTTLENECK) == (512, 256)
    assert (Clustering.heads, Clustering.epochs) == (50, 200)
    assert (module.LEARNING_RATE, module.WARM_UP, module.BETA) == (1e-4, 20, 0.6)


def test_more_clusters_than_distinct_rows_are_no_warning(pixels: tuple[np.ndarray, np.ndarray]) -> None:
    rows, _ = pixels
    assert len(set(kmeans_clusters(np.repeat(rows[:2], 5, axis=0), 4, seed=0).tolist())) == 2


def test_kmeans_clusters(digits: Dataset, pixels: tuple[np.ndarray, np.ndarray]) -> None:
    rows, _ = pixels
    found = kmeans_clusters(rows, 10, seed=0)
    assert found.shape == (1438,)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, kmeans_clusters(rows, 10, seed=0))
    np.testing.assert_array_equal(found, kmeans_clusters(rows * 4, 10, seed=0))
    assert accuracy(found, digits.train.labels) > 0.6
    assert kmeans_clusters(rows[:5], 1, seed=2**40).tolist() == [0] * 5


def test_heads_trained_in_parts_are_those_trained_together(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(80, 6)).astype(np.float32)
    near = nearest_neighbors(points, 5).indices
    together = temi(points, near, 4, Effort(heads=5, epochs=3), seed=1)
    monkeypatch.setattr(module, "_heads_at_once", lambda heads, batch, device: 2)
    apart = temi(points, near, 4, Effort(heads=5, epochs=3), seed=1)
    np.testing.assert_allclose(apart.losses, together.losses, rtol=1e-5)
    np.testing.assert_array_equal(apart.labels, together.labels)
