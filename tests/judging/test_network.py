"""The network judge: what one training of it is, what it costs, and that it tells good from bad without a label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from bench.conformance.samples import digits
from bench.identity import EncoderRef, ModelRef, Proxy
from bench.judging.judges import SHARE
from bench.judging.labelings import make_labelings
from bench.judging.network import loss_of, qualities
from bench.recipe import Recipe
from bench.training import loop
from bench.training.batches import Batch
from bench.training.fit import proxy_iterations
from bench.training.proxy import rehearse

RECIPE = Recipe(proxy_epochs=60, batch_size=32, lr=0.05, augmentation="none", precision="fp32", evaluations=1)
ON_IMAGES = Proxy(model=ModelRef(name="small_cnn"), recipe=RECIPE)
ON_EMBEDDINGS = Proxy(model=ModelRef(name="linear_probe"), recipe=RECIPE, encoder=EncoderRef(name="pixels"))


@pytest.fixture(scope="module")
def labelings() -> np.ndarray:
    return make_labelings(digits().source.embeddings(), 10, seed=0)


def judged(proxy: Proxy, labelings: np.ndarray, candidates: list[np.ndarray]) -> list[float]:
    source = digits().source
    inputs: Any = source.image_array if proxy.encoder is None else source.embeddings()
    found = qualities(proxy, inputs, labelings, candidates, dataset=None, seed=0, device="cpu")
    return found.tolist()


@pytest.mark.long
@pytest.mark.parametrize("proxy", [ON_IMAGES, ON_EMBEDDINGS], ids=["images", "embeddings"])
def test_a_coreset_of_all_classes_is_better_than_one_of_two(proxy: Proxy, labelings: np.ndarray) -> None:
    spread, narrow = np.arange(0, 300, 5), np.arange(60)  # the pool is sorted by class
    good, bad, whole, single = judged(proxy, labelings, [spread, narrow, np.arange(300), np.array([7])])
    assert good > bad + 0.2
    assert (whole, single) == (1.0, 0.0)
    assert judged(proxy, labelings, [spread, narrow, np.arange(300), np.array([7])]) == [good, bad, whole, single]


def test_with_one_labeling_it_is_an_ordinary_training(labelings: np.ndarray) -> None:
    """An independent path: ``rehearse`` trains by the same recipe, with one head, from other weights."""
    spread, source = np.arange(0, 300, 3), digits().source
    held_out = np.setdiff1d(np.arange(300), spread)
    [ours] = judged(ON_EMBEDDINGS, labelings[3:4], [spread])
    theirs = rehearse(
        ON_EMBEDDINGS, source.embeddings(), labelings[3], spread, num_classes=10, dataset=None, seed=0, device="cpu"
    )
    assert len(held_out) == 200
    assert ours == pytest.approx(theirs, abs=0.15)
    assert ours > 0.5


@pytest.mark.integration
def test_the_same_coreset_is_judged_alike_wherever_it_stands(labelings: np.ndarray) -> None:
    """All candidates begin with the same weights, so no difference between them is one of luck."""
    spread, other = np.arange(0, 300, 5), np.arange(1, 300, 5)
    first, _, third = judged(ON_EMBEDDINGS, labelings, [spread, other, spread])
    assert first == third


@pytest.mark.long
def test_what_a_coreset_says_of_itself_does_not_count(labelings: np.ndarray) -> None:
    """Labels at random can be learnt by heart inside a coreset, and outside it are right by chance alone."""
    noise = np.random.default_rng(0).integers(10, size=(1, 300))
    [found] = judged(ON_IMAGES, noise, [np.arange(0, 300, 2)])
    assert found < 0.2


def test_loss_is_the_mean_of_the_heads_losses() -> None:
    logits, targets = torch.randn(6, 5), torch.tensor([[0, 2], [1, 0]] * 3)
    expected = (
        functional.cross_entropy(logits[:, :2], targets[:, 0]) + functional.cross_entropy(logits[:, 2:], targets[:, 1])
    ) / 2
    torch.testing.assert_close(
        loss_of([2, 3])(logits, Batch(logits, targets, torch.arange(len(targets))), 0.0), expected
    )


@pytest.mark.integration
@pytest.mark.parametrize("count", [1, 3, 17])
def test_all_candidates_together_take_half_a_proxy(
    count: int, labelings: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    real = loop.train

    def counted(*args: Any, **keywords: Any) -> Any:
        steps.append(keywords["iterations"])
        return real(*args, **keywords)

    monkeypatch.setattr(
        "bench.judging.network.train",
        counted,
    )
    judged(ON_EMBEDDINGS, labelings, [np.arange(number, 300, 20) for number in range(count)])
    whole = SHARE * proxy_iterations(RECIPE, 300)
    assert len(steps) == count
    assert whole - count < sum(steps) <= whole
