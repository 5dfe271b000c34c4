"""The training loop of proxies and final models."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.errors import NotFinite, TrainingError
from bench.held_memory import held_memory
from bench.progress import Progress
from bench.recipe import Recipe, learning_rate_factors, scoring_steps
from bench.training.batches import Batch, Batches
from bench.training.precision import autocast, products, sound_layers
from bench.training.recorder import DynamicsRecorder

Loss = Callable[[Tensor, Batch, float], Tensor]
"""(logits of a batch, the batch, label smoothing) -> scalar."""
LOOK_EVERY = 100
"""Least number of steps between two checks of the loss, each of which makes a GPU wait for the host."""


@dataclass(frozen=True)
class Evaluation:
    """Test accuracy after ``iteration`` steps, in percent.

    Attributes:
        iteration: steps so far.
        accuracy: accuracy over all images.
        per_class: accuracy of each class, NaN for a class without images.
        flipped: accuracy by the mean of the logits of each image and of its mirror image; None if not asked for.
    """

    iteration: int
    accuracy: float
    per_class: tuple[float, ...]
    flipped: float | None = None


@held_memory()
def train(
    model: nn.Module,
    batches: Batches,
    *,
    recipe: Recipe,
    iterations: int,
    generator: torch.Generator,
    recorder: DynamicsRecorder | None = None,
    test: Batches | None = None,
    progress: Progress | None = None,
    horizon: int | None = None,
    loss: Loss | None = None,
) -> list[Evaluation]:
    """Train a network in place for exactly ``iterations`` steps, and return its evaluations on ``test``.

    The learning rate is set per step, the loss is cross-entropy by default, and all random numbers come from
    ``generator``. ``test`` is scored at even intervals, the last time at the end; no step, stop or checkpoint depends
    on it.

    Args:
        model: network on the batches' device.
        batches: at least 2 images.
        recipe: learning rate and its schedule, momentum, weight decay, precision, number of evaluations.
        iterations: optimiser steps.
        generator: CPU generator.
        recorder: gets every batch before the update.
        test: batches that are scored ``recipe.evaluations`` times.
        progress: called with (steps done, steps in all) once per epoch, or every ``LOOK_EVERY`` steps if epochs are
            short.
        horizon: steps over which the learning rate decays, if not ``iterations``: a training that stops early then
            follows the schedule of the whole.
        loss: loss of a batch; the batches must have the targets that it needs. By default the mean cross-entropy.

    Returns:
        The evaluations in order; empty without ``test``.

    Raises:
        TrainingError: there are fewer than 2 images, or (``NotFinite``) the loss or an output is not finite.
    """
    if len(batches) < 2:
        raise TrainingError(
            f"a network with batch normalisation cannot be trained on {len(batches)} image(s); 2 or more."
        )
    device = next(model.parameters()).device
    model.train()
    optimiser = _optimiser(model, recipe, device.type)
    # By steps and not by epochs, so that a small coreset and the whole pool see the same learning rates.
    schedule = _schedule(optimiser, recipe, horizon or iterations)
    score_at = set(scoring_steps(iterations, recipe.evaluations)) if test is not None else set()
    evaluations: list[Evaluation] = []
    # Summed on the device: reading the loss at every step would make a GPU wait for the host.
    total = torch.zeros((), device=device)
    checked = 0
    with sound_layers(recipe, model):
        for step, batch, ends_epoch in _stream(batches, iterations, generator):
            optimiser.zero_grad(set_to_none=True)
            logits, batch_loss = _gradients(model, batch, recipe, device.type, loss or cross_entropy)
            if recorder is not None:
                # Before the step: the papers' p_t(i) is the output before the network learns from this batch.
                recorder.update(batch.positions, logits, batch.targets)
            optimiser.step()
            schedule.step()
            total += batch_loss
            # At the end too, whatever the interval: a network whose loss is not finite must not be scored.
            if (ends_epoch and step - checked >= LOOK_EVERY) or step in score_at or step == iterations:
                checked = step
                if not math.isfinite(total.item()):
                    raise NotFinite(
                        f"the loss is not finite by iteration {step} of {iterations} (lr={recipe.lr}, "
                        f"batch_size={recipe.batch_size}, precision={recipe.precision}); try a smaller learning rate."
                    )
                if progress is not None:
                    progress(step, iterations)
            if recorder is not None and ends_epoch:
                recorder.end_epoch()
            if test is not None and step in score_at:
                with products(recipe, scoring=True):
                    flip = recipe.test_flip and step == iterations
                    evaluations.append(evaluate(model, test, step, flip=flip))
                # Scoring has put batch norm into evaluation mode.
                model.train()
    return evaluations


def _optimiser(model: nn.Module, recipe: Recipe, device: str) -> torch.optim.Optimizer:
    # Fused kernels round differently: in fp32 on a CPU, published rows could not be reproduced to the last digit.
    fused = device == "cuda" or recipe.precision == "bf16"
    # The layers of a fine-tuned network learn at different rates.
    rates: Callable[[], list[tuple[list[nn.Parameter], float]]] | None = getattr(model, "learning_rates", None)
    parts = [(list(model.parameters()), 1.0)] if rates is None else rates()
    if recipe.optimiser == "adamw":
        # Biases, scales, tokens and position embeddings have no weight decay, as in all recipes for transformers. By
        # name as well, since a token [1, 1, D] or a scale [C, 1, 1] has several axes too.
        decayed = {id(value) for name, value in model.named_parameters() if value.ndim > 1 and name.endswith("weight")}
        groups = [
            {
                "params": [value for value in values if value.requires_grad and (id(value) in decayed) == decays],
                "weight_decay": recipe.weight_decay if decays else 0.0,
                "lr": factor * recipe.lr,
            }
            for values, factor in parts
            for decays in (True, False)
        ]
        return torch.optim.AdamW(groups, lr=recipe.lr, fused=fused)
    return torch.optim.SGD(
        [{"params": values, "lr": factor * recipe.lr} for values, factor in parts],
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=fused,
    )


def _schedule(
    optimiser: torch.optim.Optimizer, recipe: Recipe, iterations: int
) -> torch.optim.lr_scheduler.LRScheduler:
    # torch's own cosine schedule: its recursion rounds differently from the closed form, and published rows used it.
    one_rate = len({group["lr"] for group in optimiser.param_groups}) == 1
    if recipe.schedule == "cosine" and not recipe.warm_up and one_rate:
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, iterations, eta_min=recipe.lr_min)
    # LambdaLR takes factors of the initial rate, and asks for one more than there are steps.
    factors = learning_rate_factors(recipe.schedule, iterations, recipe.lr_min / recipe.lr, recipe.warm_up)
    return torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: factors[min(step, iterations)])


def weighted_cross_entropy(weights: Tensor) -> Loss:
    """Return a loss: the mean over a batch of weight times cross-entropy.

    Its expectation over batches is the mean over all images. DeepCore divides by the sum of the batch's weights
    instead, so that the effect of a weight depends on the other images of the batch.

    Args:
        weights: float32 [n] with a mean of 1, on the batches' device, in the order of the source's images.
    """

    def loss(logits: Tensor, batch: Batch, smoothing: float) -> Tensor:
        each = functional.cross_entropy(logits, batch.targets, label_smoothing=smoothing, reduction="none")
        return (weights[batch.positions] * each).mean()

    return loss


def cross_entropy(logits: Tensor, batch: Batch, smoothing: float) -> Tensor:
    """Return the mean cross-entropy of a batch."""
    return functional.cross_entropy(logits, batch.targets, label_smoothing=smoothing)


def for_classes(num_classes: int, loss: Loss) -> Loss:
    """Return the loss, which first refuses outputs of another shape than [B, num_classes].

    With too few, torch would call a label out of bounds, and stop a GPU; with too many, it would say nothing.
    """

    def checked(logits: Tensor, batch: Batch, smoothing: float) -> Tensor:
        valid = (len(batch.targets), num_classes)
        if logits.shape != valid:
            raise TrainingError(
                f"the network's outputs have the shape {tuple(logits.shape)}, valid: {valid}, one for each image and "
                "class."
            )
        return loss(logits, batch, smoothing)

    return checked


def _gradients(model: nn.Module, batch: Batch, recipe: Recipe, device: str, loss: Loss) -> tuple[Tensor, Tensor]:
    """Do the forward and backward pass; return logits [B, C] and loss, detached."""
    # TF32 applies to both passes, autocast only to the forward pass.
    with products(recipe):
        with autocast(recipe, device):
            logits = model(batch.inputs)
            batch_loss = loss(logits, batch, recipe.label_smoothing)
        batch_loss.backward()
    return logits.detach(), batch_loss.detach()


@torch.no_grad()
def evaluate(model: nn.Module, batches: Batches, iteration: int, *, flip: bool = False) -> Evaluation:
    """Return the accuracy in evaluation mode, without augmentation; not in bf16, whose logits tie too often.

    Args:
        model: network on the batches' device.
        batches: the images to score.
        iteration: steps so far.
        flip: score with mirror images as well, which takes twice as long; see ``Evaluation.flipped``.

    Raises:
        NotFinite: outputs are NaN, which would count as predictions of the first class.
    """
    model.eval()
    seen: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    num_classes = 0
    for batch in batches.in_order():
        logits = model(batch.inputs)
        mean = (logits + model(batch.inputs.flip(-1))) / 2 if flip else logits
        # The number of the network's outputs, so that a class without test images has an entry.
        num_classes = logits.shape[1]
        plain, both = logits.argmax(1) == batch.targets, mean.argmax(1) == batch.targets
        # NaN in either logits is NaN in their mean.
        seen.append((plain, both, batch.targets, mean.isnan().any(1)))
    correct, flipped, targets, unknown = (torch.cat(parts).cpu() for parts in zip(*seen, strict=True))
    # The loss does not tell: it was computed before the last step.
    if unknown.any():
        raise NotFinite(
            f"the outputs for {int(unknown.sum())} of {len(targets)} images are not finite after iteration "
            f"{iteration}; try a smaller learning rate."
        )
    # Counted on the CPU in whole numbers, so that the accuracy does not depend on device and batch size.
    counts = torch.bincount(targets, minlength=num_classes).double()
    hits = torch.bincount(targets[correct], minlength=num_classes).double()
    return Evaluation(
        iteration,
        100 * hits.sum().item() / len(targets),
        tuple((100 * hits / counts).tolist()),
        flipped=100 * int(flipped.sum()) / len(targets) if flip else None,
    )


def _stream(batches: Batches, iterations: int, generator: torch.Generator) -> Iterator[tuple[int, Batch, bool]]:
    """Yield the first ``iterations`` batches of successive epochs: (step from 1, batch, whether it ends its epoch)."""
    step = 0
    while True:
        # One batch is held back: only the next one tells whether it is the last of its epoch.
        held: Batch | None = None
        for batch in batches.epoch(generator):
            if held is not None:
                step += 1
                yield step, held, False
                if step == iterations:
                    return
            held = batch
        if held is not None:
            step += 1
            yield step, held, True
            if step == iterations:
                return


def steps_per_epoch(size: int, batch_size: int) -> int:
    """Return the optimiser steps of one pass over ``size`` images, as ``split_epoch`` cuts them."""
    # A last batch of one joins the previous one, which is one step less.
    return max(1, math.ceil(size / batch_size) - (size > batch_size and size % batch_size == 1))
