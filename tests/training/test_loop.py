"""The loop: learning rates, losses and one step by its definition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bench import Dataset, Recipe
from bench.errors import NotFinite, TrainingError
from bench.training.batches import TensorBatches
from bench.training.fit import build_model, fresh_network, make_batches
from bench.training.loop import _optimiser, evaluate, train
from tests.narrowing import in_memory, present
from tests.training.runs import CNN, MEAN, RECIPE, STD, batches_of, first_images, generator, run


def rates_of(dataset: Dataset, monkeypatch: pytest.MonkeyPatch, recipe: Recipe, iterations: int) -> list[float]:
    """The learning rate of every step."""
    rates: list[float] = []
    taken = torch.optim.SGD.step

    def step(self: Any, *arguments: Any, **options: Any) -> Any:
        rates.append(self.param_groups[0]["lr"])
        return taken(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    run(dataset, iterations=iterations, test=False, recipe=recipe)
    return rates


def test_cosine_from_lr_to_lr_min_in_the_right_number_of_steps(
    few_digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPE.model_copy(update={"lr": 0.1, "lr_min": 1e-3})
    rates = rates_of(few_digits, monkeypatch, recipe, 17)
    expected = [1e-3 + (0.1 - 1e-3) * (1 + math.cos(math.pi * done / 17)) / 2 for done in range(17)]
    np.testing.assert_allclose(rates, expected, rtol=1e-9)


@pytest.mark.parametrize("iterations", [1, 2, 17, 100])
def test_a_triangle_from_a_fifth_of_lr_to_lr_to_lr_min(
    few_digits: Dataset, monkeypatch: pytest.MonkeyPatch, iterations: int
) -> None:
    recipe = RECIPE.model_copy(update={"lr": 0.1, "lr_min": 7e-3, "schedule": "triangular"})
    rates = rates_of(few_digits, monkeypatch, recipe, iterations)
    peak = max(1, round(0.23 * iterations))
    expected = np.interp(np.arange(iterations), [0, peak, iterations], [0.02, 0.1, 7e-3])
    np.testing.assert_allclose(rates, expected, rtol=1e-9)


def test_label_smoothing_spreads_a_share_of_each_target(few_digits: Dataset) -> None:
    """One step on one batch, the loss written out."""
    recipe = RECIPE.model_copy(
        update={"batch_size": 200, "augmentation": "none", "momentum": 0, "nesterov": False, "label_smoothing": 0.2}
    )
    start = build_model(CNN, (1, 8, 8), 10, 0)
    images, labels = torch.from_numpy(few_digits.train.images), torch.from_numpy(few_digits.train.labels)
    targets = 0.8 * nn.functional.one_hot(labels, 10) + 0.2 / 10
    (-(start((images / 255 - MEAN[0]) / STD[0]).log_softmax(1) * targets).sum(1).mean()).backward()
    model = build_model(CNN, (1, 8, 8), 10, 0)
    batches = TensorBatches(images, labels, recipe=recipe, mean=MEAN, std=STD, device="cpu")
    train(model, batches, recipe=recipe, iterations=1, generator=generator())
    for (name, weight), before in zip(model.named_parameters(), start.parameters(), strict=True):
        expected = before - recipe.lr * (present(before.grad) + recipe.weight_decay * before)
        torch.testing.assert_close(weight.detach(), expected.detach(), rtol=1e-4, atol=1e-5, msg=name)


def test_one_step_is_that_of_the_definition(few_digits: Dataset) -> None:
    """Nesterov SGD with weight decay on one batch, written out."""
    recipe = RECIPE.model_copy(update={"batch_size": 200, "augmentation": "none", "lr": 0.1})
    start = build_model(CNN, (1, 8, 8), 10, 0)
    inputs = torch.from_numpy(((in_memory(few_digits.train.images) / 255 - MEAN[0]) / STD[0]).astype(np.float32))
    nn.functional.cross_entropy(start(inputs), torch.from_numpy(few_digits.train.labels)).backward()
    expected = {}
    for name, weight in start.named_parameters():
        gradient = present(weight.grad) + recipe.weight_decay * weight
        expected[name] = (weight - recipe.lr * (1 + recipe.momentum) * gradient).detach()
    model = build_model(CNN, (1, 8, 8), 10, 0)
    batches = TensorBatches(
        torch.from_numpy(few_digits.train.images),
        torch.from_numpy(few_digits.train.labels),
        recipe=recipe,
        mean=MEAN,
        std=STD,
        device="cpu",
    )
    train(model, batches, recipe=recipe, iterations=1, generator=generator())
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight.detach(), expected[name], rtol=1e-4, atol=1e-5)


def test_same_seed_same_weights_and_other_seed_others(few_digits: Dataset) -> None:
    first, again, other = run(few_digits), run(few_digits), run(few_digits, seed=1)
    assert first[1] == again[1]
    for name, value in first[0].items():
        assert torch.equal(value, again[0][name]), name
    assert not torch.equal(first[0]["classifier.weight"], other[0]["classifier.weight"])


def test_global_random_state_plays_no_part_and_is_left_alone(few_digits: Dataset) -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = run(few_digits)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(first[0]["classifier.weight"], run(few_digits)[0]["classifier.weight"])


def test_scoring_the_test_set_does_not_touch_training(few_digits: Dataset) -> None:
    with_test, without = run(few_digits)[0], run(few_digits, test=False)[0]
    for name, value in with_test.items():
        assert torch.equal(value, without[name]), name


@pytest.mark.parametrize(
    ("iterations", "times", "expected"),
    [(20, 4, [5, 10, 15, 20]), (7, 3, [2, 5, 7]), (3, 10, [1, 2, 3]), (1, 1, [1]), (9, 1, [9])],
)
def test_evaluation_points(few_digits: Dataset, iterations: int, times: int, expected: list[int]) -> None:
    recipe = RECIPE.model_copy(update={"evaluations": times})
    steps = []
    _, scored = run(
        few_digits, iterations=iterations, recipe=recipe, progress=lambda done, total: steps.append((done, total))
    )
    assert [item.iteration for item in scored] == expected
    assert steps[-1] == (iterations, iterations)


def test_accuracy_is_that_of_the_predictions_and_an_absent_class_has_none(few_digits: Dataset) -> None:
    model = build_model(CNN, (1, 8, 8), 10, 0)
    train(model, batches_of(few_digits), recipe=RECIPE, iterations=30, generator=generator())
    kept = few_digits.test.labels != 3
    images, labels = few_digits.test.images[kept], few_digits.test.labels[kept]
    batches = make_batches(images, labels, recipe=RECIPE, dataset=few_digits, device="cpu")
    found = evaluate(model, batches, 5)
    with torch.no_grad():
        inputs = torch.from_numpy(((images / 255 - few_digits.mean[0]) / few_digits.std[0]).astype(np.float32))
        right = (model.eval()(inputs).argmax(1).numpy() == labels).astype(float)
    assert found.iteration == 5
    assert found.accuracy == pytest.approx(100 * right.mean(), abs=1e-4)
    assert math.isnan(found.per_class[3])
    for number in set(range(10)) - {3}:
        assert found.per_class[number] == pytest.approx(100 * right[labels == number].mean(), abs=1e-4)
    assert 20 < found.accuracy < 100


def test_the_last_scoring_also_averages_logits_with_those_of_the_mirror_images(few_digits: Dataset) -> None:
    model = build_model(CNN, (1, 8, 8), 10, 0)
    test = batches_of(few_digits)
    recipe = RECIPE.model_copy(update={"evaluations": 2, "test_flip": True})
    first, last = train(model, test, recipe=recipe, iterations=30, generator=generator(), test=test)
    with torch.no_grad():
        model.eval()
        logits = [(model(part.inputs), model(part.inputs.flip(3)), part.targets) for part in test.in_order()]
        hits = sum(((plain + mirrored).argmax(1) == targets).sum().item() for plain, mirrored, targets in logits)
    assert first.flipped is None
    assert last.flipped == pytest.approx(100 * hits / len(test))
    assert last.flipped != last.accuracy


def test_outputs_for_mirror_images_that_are_not_finite_are_no_prediction(few_digits: Dataset) -> None:
    class UnknownMirrored(nn.Module):
        mirrored = False

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            logits = torch.full((len(inputs), 10), math.nan if self.mirrored else 0.0)
            self.mirrored = not self.mirrored
            return logits

    with pytest.raises(NotFinite, match="outputs for"):
        evaluate(UnknownMirrored(), batches_of(few_digits), 1, flip=True)


@pytest.mark.parametrize("recipe", [RECIPE.model_copy(update={"lr": 1e12})])
def test_a_loss_that_is_not_finite_names_the_learning_rate(few_digits: Dataset, recipe: Recipe) -> None:
    with pytest.raises(TrainingError, match=r"loss is not finite by iteration \d+ of 40 \(lr=1000000000000.0"):
        run(few_digits, iterations=40, recipe=recipe)


def test_the_fused_optimiser_computes_the_same_step(few_digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    class Plain(torch.optim.SGD):
        def __init__(self, *given: Any, fused: bool, **more: Any) -> None:
            super().__init__(*given, fused=False, foreach=False, **more)

    recipe = RECIPE.model_copy(update={"precision": "bf16"})
    fused, _ = run(few_digits, iterations=2, recipe=recipe)
    monkeypatch.setattr(torch.optim, "SGD", Plain)
    plain, _ = run(few_digits, iterations=2, recipe=recipe)
    for name, value in fused.items():
        torch.testing.assert_close(value, plain[name], rtol=1e-5, atol=1e-6, msg=name)


def test_a_training_stopped_early_follows_the_long_schedule(
    few_digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = []
    taken = torch.optim.SGD.step

    def step(self: Any, *arguments: Any, **options: Any) -> Any:
        rates.append(self.param_groups[0]["lr"])
        return taken(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    for iterations, horizon in ((20, None), (7, 20)):
        network, generator = fresh_network(CNN, (1, 8, 8), 10, seed=0, device="cpu")
        train(
            network,
            first_images(few_digits),
            recipe=RECIPE,
            iterations=iterations,
            horizon=horizon,
            generator=generator,
        )
    assert rates[20:] == rates[:7]


def test_resized_crops_train(few_digits: Dataset) -> None:
    recipe = RECIPE.model_copy(update={"augmentation": "resized-crop-flip"})
    weights, _ = run(few_digits, recipe=recipe)
    assert all(torch.isfinite(value).all() for value in weights.values())
    assert not torch.equal(weights["classifier.weight"], run(few_digits)[0]["classifier.weight"])


@pytest.mark.integration
def test_training_learns(digits: Dataset) -> None:
    _, scored = run(digits, iterations=150)
    assert scored[-1].accuracy > 85


def test_a_network_that_diverges_in_its_last_step_is_not_scored(few_digits: Dataset) -> None:
    """Its loss was finite until then, and it would predict the first class of every image."""
    recipe = RECIPE.model_copy(update={"lr": 1e38, "precision": "fp32"})
    with pytest.raises(NotFinite, match=r"outputs .* are not finite after iteration 1;"):
        run(few_digits, recipe=recipe, iterations=1)


class Tokens(torch.nn.Module):
    """The kinds of parameters of transformers: tokens and scales have several axes, too."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = torch.nn.Parameter(torch.zeros(1, 1, 4))
        self.pos_embed = torch.nn.Parameter(torch.zeros(1, 5, 4))
        self.relative_position_bias_table = torch.nn.Parameter(torch.zeros(9, 2))
        self.layer_scale = torch.nn.Parameter(torch.ones(4, 1, 1))
        self.patches = torch.nn.Conv2d(3, 4, 2)
        self.attention = torch.nn.MultiheadAttention(4, 2)
        self.norm = torch.nn.LayerNorm(4)


def test_adamw_is_torchs_and_decays_only_matrices_and_filters() -> None:
    network = Tokens()
    optimiser = _optimiser(network, Recipe(optimiser="adamw", lr=1e-3, weight_decay=0.05), "cpu")
    assert isinstance(optimiser, torch.optim.AdamW)
    decay = {id(value): group["weight_decay"] for group in optimiser.param_groups for value in group["params"]}
    assert {name for name, value in network.named_parameters() if decay[id(value)] == 0.05} == {
        "patches.weight",
        "attention.in_proj_weight",
        "attention.out_proj.weight",
    }
    assert set(decay.values()) == {0.0, 0.05}
    assert len(decay) == len(list(network.parameters()))
