from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from bench import Dataset, Recipe, Split
from bench.errors import TrainingError
from bench.identity import ModelRef
from bench.training.batches import Batches, TensorBatches, split_epoch
from bench.training.fit import LabelledInputs, build_model, fit, make_batches, proxy_iterations
from bench.training.loop import evaluate, steps_per_epoch, train
from bench.training.precision import full_logits
from bench.training.recorder import DynamicsRecorder
from tests.narrowing import in_memory, present

CNN, PROBE, SPEEDRUN = (ModelRef(name=name) for name in ("small_cnn", "linear_probe", "speedrun"))
RECIPE = Recipe(
    iterations=20, proxy_epochs=12, batch_size=32, lr=0.05, augmentation="crop", crop_padding=1, evaluations=4
)
MEAN, STD = (0.3,), (0.4,)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batches_of(dataset: Dataset, split: str = "train", recipe: Recipe = RECIPE) -> Batches:
    part = getattr(dataset, split)
    return make_batches(part.images, part.labels, recipe=recipe, dataset=dataset, device="cpu")


def run(
    dataset: Dataset, *, iterations: int = 20, seed: int = 0, test: bool = True, recipe: Recipe = RECIPE, **more: Any
) -> tuple[dict[str, torch.Tensor], list[Any]]:
    """Train a small network; its weights and evaluations."""
    model = build_model(CNN, (1, 8, 8), 10, seed)
    scored = train(
        model,
        batches_of(dataset, recipe=recipe),
        recipe=recipe,
        iterations=iterations,
        generator=generator(seed),
        test=batches_of(dataset, "test") if test else None,
        **more,
    )
    return {name: value.clone() for name, value in model.state_dict().items()}, scored


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


def test_a_cpu_scores_fewer_images_at_once_than_other_devices() -> None:
    images = torch.zeros(1_500, 1, 2, 2, dtype=torch.uint8)
    for device, sizes in (("cpu", [256] * 5 + [220]), ("meta", [1_024, 476])):
        targets = torch.zeros(len(images), dtype=torch.int64)
        batches = TensorBatches(images, targets, recipe=RECIPE, mean=MEAN, std=STD, device=device)
        assert [len(batch.targets) for batch in batches.in_order()] == sizes


class Listening(DynamicsRecorder):
    """Keeps every output beside the running numbers."""

    def __init__(self, size: int, classes: int, epochs: int) -> None:
        super().__init__(size, "cpu")
        self.logits = np.full((epochs, size, classes), np.nan)
        self.now = 0

    def update(self, positions: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor) -> None:
        self.logits[self.now, positions.numpy()] = logits.float().numpy()
        super().update(positions, logits, targets)

    def end_epoch(self) -> None:
        self.now += 1
        super().end_epoch()


@pytest.mark.parametrize("epochs", [1, 3, 12])
def test_recorder_agrees_with_outputs_stored_in_full(few_digits: Dataset, epochs: int) -> None:
    recipe = RECIPE.model_copy(update={"proxy_epochs": epochs})
    labels = few_digits.train.labels.copy()
    labels[::7] = (labels[::7] + 1) % 10  # some wrong ones, so that not everything is learned
    recorder = Listening(200, 10, epochs)
    fit(
        CNN,
        LabelledInputs(few_digits.train.images, labels, 10),
        dataset=few_digits,
        recipe=recipe,
        iterations=proxy_iterations(recipe, 200),
        seed=0,
        device="cpu",
        recorder=recorder,
    )
    found, logits = recorder.result(), recorder.logits
    assert np.isfinite(logits).all()
    assert found.epochs == epochs
    exponentials = np.exp(logits - logits.max(2, keepdims=True))
    probabilities = exponentials / exponentials.sum(2, keepdims=True)
    rows = np.arange(200)

    def margins(outputs: np.ndarray) -> np.ndarray:
        own = outputs[:, rows, labels]
        others = outputs.copy()
        others[:, rows, labels] = -np.inf
        return (own - others.max(2)).sum(0)

    correct = logits.argmax(2) == labels
    own = probabilities[:, rows, labels]
    errors = np.linalg.norm(probabilities - np.eye(10)[labels], axis=2)
    np.testing.assert_allclose(found.aum, margins(probabilities), atol=1e-5)
    np.testing.assert_allclose(found.aum_logits, margins(logits), rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(found.forgetting, (correct[:-1] & ~correct[1:]).sum(0))
    np.testing.assert_array_equal(found.learned, correct.any(0))
    np.testing.assert_allclose(found.el2n, errors[:10].mean(0), atol=1e-5)
    np.testing.assert_allclose(found.correctness, correct.mean(0), atol=1e-6)
    np.testing.assert_allclose(found.confidence, own.mean(0), atol=1e-6)
    np.testing.assert_allclose(found.variability, own.std(0), atol=1e-5)
    if epochs == 12:
        assert found.forgetting.max() > 0
        assert not found.learned.all()
        assert np.abs(errors.mean(0) - found.el2n).max() > 1e-3, "the window of 10 epochs plays no part in this test"


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


def test_later_fields_of_a_recipe_leave_earlier_hashes_as_they_were() -> None:
    assert not {"schedule", "label_smoothing"} & set(Recipe().model_dump())
    later = Recipe(schedule="triangular", label_smoothing=0.1)
    assert Recipe(**later.model_dump()) == later
    assert Recipe.model_validate_json(later.model_dump_json()) == later


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


@pytest.mark.parametrize("recipe", [RECIPE.model_copy(update={"lr": 1e12})])
def test_a_loss_that_is_not_finite_names_the_learning_rate(few_digits: Dataset, recipe: Recipe) -> None:
    with pytest.raises(TrainingError, match=r"loss is not finite by iteration \d+ of 40 \(lr=1000000000000.0"):
        run(few_digits, iterations=40, recipe=recipe)


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


def test_bf16_trains_on_the_cpu_and_differs_from_fp32(few_digits: Dataset) -> None:
    recipe = RECIPE.model_copy(update={"precision": "bf16"})
    weights, scored = run(few_digits, iterations=60, recipe=recipe)
    assert all(torch.isfinite(value).all() for value in weights.values())
    assert weights["classifier.weight"].dtype == torch.float32
    assert scored[-1].accuracy > 50
    assert not torch.equal(weights["classifier.weight"], run(few_digits, iterations=60)[0]["classifier.weight"])


def test_logits_are_in_fp32_though_the_rest_is_in_bf16(few_digits: Dataset) -> None:
    model: Any = build_model(CNN, (1, 8, 8), 10, 0)
    seen: list[torch.dtype] = []
    model.conv0.register_forward_hook(lambda layer, given, output: seen.append(output.dtype))
    recorder = Listening(200, 10, 1)
    recipe = RECIPE.model_copy(update={"precision": "bf16"})
    train(
        model,
        batches_of(few_digits, recipe=recipe),
        recipe=recipe,
        iterations=steps_per_epoch(len(few_digits.train), recipe.batch_size),
        generator=generator(),
        recorder=recorder,
    )
    assert set(seen) == {torch.bfloat16}
    logits = torch.from_numpy(recorder.logits).float()
    assert torch.isfinite(logits).all()
    assert not torch.equal(logits, logits.bfloat16().float())
    assert "forward" not in vars(model.classifier), "nothing stays on the model"


def test_the_last_layer_is_computed_once_and_restored_after_an_error() -> None:
    model: Any = build_model(PROBE, (16,), 10, 0)
    calls: list[torch.dtype] = []
    model.classifier.register_forward_hook(lambda layer, given, logits: calls.append(logits.dtype))
    inputs = torch.randn(8, 16, generator=generator())
    with full_logits(Recipe(precision="bf16"), model), torch.autocast("cpu", torch.bfloat16):
        logits = model(inputs)
    assert torch.equal(logits, model.classifier(model.norm(inputs)))
    assert calls == [torch.float32] * 2
    with pytest.raises(RuntimeError, match="shape"), full_logits(Recipe(precision="bf16"), model):
        model.classifier(inputs[:, 1:])
    assert "forward" not in vars(model.classifier)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_is_the_same_twice_and_fp32_rounds_as_published_rows_did(
    few_digits: Dataset, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    class Sgd(torch.optim.SGD):
        def __init__(self, *given: Any, fused: bool, **more: Any) -> None:
            asked.append(fused)
            super().__init__(*given, fused=fused, **more)

    recipe = RECIPE.model_copy(update={"precision": precision})
    first, scored = run(few_digits, recipe=recipe)
    monkeypatch.setattr(torch.optim, "SGD", Sgd)
    again, scored_again = run(few_digits, recipe=recipe)
    assert asked == [precision == "bf16"]
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert scored == scored_again


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


@pytest.mark.parametrize("asked", ["tf32", "bf16", "fp32"])
def test_tf32_holds_for_the_steps_and_for_scoring_alone(few_digits: Dataset, asked: str) -> None:
    def allowed() -> tuple[bool, bool]:
        return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32

    before = allowed()
    seen: dict[str, set[Any]] = {"forward": set(), "backward": set(), "evaluation": set()}
    model: Any = build_model(CNN, (1, 8, 8), 10, 0)
    model.register_forward_hook(lambda *_: seen["forward" if model.training else "evaluation"].add(allowed()))
    model.classifier.weight.register_hook(lambda _: seen["backward"].add(allowed()))
    recipe = RECIPE.model_copy(update={"precision": asked})
    source, test = batches_of(few_digits, recipe=recipe), batches_of(few_digits, "test")
    train(model, source, recipe=recipe, iterations=4, generator=generator(), test=test)
    steps, scoring = ({(True, True)} if asked in wanted else {before} for wanted in (("tf32",), ("tf32", "bf16")))
    assert seen == {"forward": steps, "backward": steps, "evaluation": scoring}
    assert allowed() == before


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
