"""Precision: bf16, fp32 and TF32 of steps, of logits and of scoring."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bench import Dataset, Recipe
from bench.training.fit import build_model
from bench.training.loop import steps_per_epoch, train
from bench.training.precision import sound_layers
from tests.training.runs import CNN, PROBE, RECIPE, Listening, batches_of, generator, run

pytestmark = pytest.mark.integration


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
    with sound_layers(Recipe(precision="bf16"), model), torch.autocast("cpu", torch.bfloat16):
        logits = model(inputs)
    assert torch.equal(logits, model.classifier(model.norm(inputs)))
    assert calls == [torch.float32] * 2
    with pytest.raises(RuntimeError, match="shape"), sound_layers(Recipe(precision="bf16"), model):
        model.classifier(inputs[:, 1:])
    assert "forward" not in vars(model.classifier)


@pytest.mark.parametrize(("side", "kernel", "stride"), [(1, 3, 2), (1, 7, 2), (2, 5, 4)])
def test_gradients_of_a_stride_beyond_the_image_are_those_of_fp32(side: int, kernel: int, stride: int) -> None:
    layer = torch.nn.Conv2d(32, 64, kernel, stride=stride, padding=kernel // 2, bias=False)
    torch.nn.init.normal_(layer.weight, generator=generator())
    inputs = torch.randn(64, 32, side, side, generator=generator())
    layer(inputs).square().sum().backward()
    expected, layer.weight.grad = layer.weight.grad, None
    assert expected is not None
    for _ in range(4):  # what is left in memory differs from try to try
        torch.full((2**22,), torch.nan)
        with sound_layers(Recipe(precision="bf16"), layer), torch.autocast("cpu", torch.bfloat16):
            layer(inputs).square().sum().backward()
        assert layer.weight.grad is not None
        torch.testing.assert_close(layer.weight.grad, expected)
        layer.weight.grad = None
    assert "forward" not in vars(layer)


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
