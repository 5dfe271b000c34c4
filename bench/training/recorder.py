"""Recording training dynamics online: a few numbers per image, for any number of epochs and classes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bench.dynamics import Dynamics
from bench.training.tdds import LONG, SHORT, TddsRecorder

EL2N_EPOCHS = 10
"""First epochs over which EL2N is averaged."""
WINDOW = 10
"""Epochs per window of Dyn-Unc and DUAL, as in both papers."""
DUAL_EPOCHS = 30
"""First epochs that DUAL uses, as in its paper on CIFAR."""
_UNCERTAINTIES = ("least_confidence", "margin", "entropy")


class DynamicsRecorder:
    """Accumulates ``Dynamics`` from every training batch of a proxy, before the update.

    Args:
        size: N.
        device: device of the batches.
    """

    def __init__(self, size: int, device: str) -> None:
        self._epoch = 0
        names = ("aum", "aum_logits", "el2n", "correctness", "confidence", "squares", "dyn_unc", "dual")
        more = ("early_confidence", *(f"mean_{name}" for name in _UNCERTAINTIES))
        # A few numbers per image: all outputs of all epochs would be 2 GB for CIFAR-100 and 150 GB for ImageNet.
        self._sums = {name: torch.zeros(size, device=device) for name in (*names, *more)}
        self._last = {name: torch.zeros(size, device=device) for name in _UNCERTAINTIES}
        self._tdds = TddsRecorder(size, device)
        self._recent = torch.zeros(size, WINDOW, device=device)
        self._forgetting = torch.zeros(size, dtype=torch.int32, device=device)
        self._was_correct = torch.zeros(size, dtype=torch.bool, device=device)
        self._learned = torch.zeros(size, dtype=torch.bool, device=device)

    @torch.no_grad()
    def update(self, positions: Tensor, logits: Tensor, targets: Tensor) -> None:
        """Add one batch: ``positions`` int64 [B] (each image once per epoch), ``logits`` [B, C], ``targets`` [B]."""
        # In bf16, margins of two close probabilities would be 0 far too often.
        logits = logits.float()
        probabilities = logits.softmax(1)
        confidence = probabilities.gather(1, targets[:, None]).squeeze(1)
        correct = logits.argmax(1) == targets
        self._add("aum", positions, _margin(probabilities, confidence, targets))
        self._add("aum_logits", positions, _margin(logits, logits.gather(1, targets[:, None]).squeeze(1), targets))
        self._add("correctness", positions, correct.float())
        self._add_confidence(positions, confidence)
        self._add_window(positions, confidence)
        if self._epoch < EL2N_EPOCHS:
            # |p - onehot(y)|^2 = |p|^2 - 2 p[y] + 1, without the one-hot matrix
            self._add("el2n", positions, (probabilities.square().sum(1) - 2 * confidence + 1).clamp_min(0).sqrt())
        if self._epoch < DUAL_EPOCHS:
            self._add("early_confidence", positions, confidence)
        for name, values in _uncertainty(probabilities).items():
            self._last[name][positions] = values
            self._add(f"mean_{name}", positions, values)
        self._tdds.update(positions, probabilities)
        # ``+=`` by index needs unique positions, as they are in a batch.
        self._forgetting[positions] += (self._was_correct[positions] & ~correct).int()
        # After the count above, which compares with the previous epoch.
        self._was_correct[positions] = correct
        self._learned[positions] |= correct

    def end_epoch(self) -> None:
        """Advance to the next epoch."""
        self._epoch += 1
        self._tdds.end_epoch()

    def result(self) -> Dynamics:
        """Return the dynamics so far, as numpy arrays [N]."""
        epochs = max(self._epoch, 1)
        sums = {name: total.cpu().numpy() for name, total in self._sums.items()}
        # With fewer epochs than a window, one window of all epochs is used.
        if self._epoch < WINDOW:
            uncertain, dual = (values.cpu().numpy() for values in _window_scores(self._recent[:, : self._epoch]))
        else:
            uncertain = sums["dyn_unc"] / np.float32(epochs - WINDOW + 1)
            dual = sums["dual"] / np.float32(min(epochs, DUAL_EPOCHS) - WINDOW + 1)
        return Dynamics(
            aum=sums["aum"],
            aum_logits=sums["aum_logits"],
            forgetting=self._forgetting.cpu().numpy(),
            learned=self._learned.cpu().numpy(),
            el2n=sums["el2n"] / np.float32(min(epochs, EL2N_EPOCHS)),
            correctness=sums["correctness"] / np.float32(epochs),
            confidence=sums["confidence"],
            variability=np.sqrt(sums["squares"] / np.float32(epochs)),
            dyn_unc=uncertain,
            dual=dual,
            early_confidence=sums["early_confidence"] / np.float32(min(epochs, DUAL_EPOCHS)),
            **{name: values.cpu().numpy() for name, values in self._last.items()},
            **{f"mean_{name}": sums[f"mean_{name}"] / np.float32(epochs) for name in _UNCERTAINTIES},
            tdds=self._tdds.score(*LONG).cpu().numpy(),
            tdds_early=self._tdds.score(*SHORT).cpu().numpy(),
            epochs=self._epoch,
        )

    def _add_confidence(self, positions: Tensor, confidence: Tensor) -> None:
        """Update Welford's mean and sum of squared deviations; differences of large sums would lose digits."""
        mean = self._sums["confidence"][positions]
        updated = mean + (confidence - mean) / (self._epoch + 1)
        self._sums["confidence"][positions] = updated
        self._add("squares", positions, (confidence - mean) * (confidence - updated))

    def _add_window(self, positions: Tensor, confidence: Tensor) -> None:
        """Store the confidences of the last epochs, and score the window that this epoch completes."""
        # A ring buffer: deviation and mean of a window do not depend on its order.
        self._recent[positions, self._epoch % WINDOW] = confidence
        if self._epoch + 1 < WINDOW:
            return
        uncertain, dual = _window_scores(self._recent[positions])
        self._add("dyn_unc", positions, uncertain)
        if self._epoch < DUAL_EPOCHS:
            self._add("dual", positions, dual)

    def _add(self, name: str, positions: Tensor, values: Tensor) -> None:
        self._sums[name][positions] += values


def _uncertainty(probabilities: Tensor) -> dict[str, Tensor]:
    """Return the three uncertainties of softmax outputs [B, C], each [B]."""
    # ``entr`` is 0 at p = 0, where -p ln p by hand is NaN.
    largest, second = probabilities.topk(2, dim=1).values.unbind(1)
    return dict(
        zip(_UNCERTAINTIES, (1 - largest, largest - second, torch.special.entr(probabilities).sum(1)), strict=True)
    )


def _window_scores(confidences: Tensor) -> tuple[Tensor, Tensor]:
    """Return the standard deviation [B] of confidences [B, J], and that times 1 - mean [B]; 0 if J is below 2."""
    if confidences.shape[1] < 2:
        nothing = torch.zeros(len(confidences), device=confidences.device)
        return nothing, nothing
    # Unbiased, torch's default: windows of 10 have 9 in the denominator, as ``Dynamics`` says.
    spread, mean = torch.std_mean(confidences, dim=1)
    return spread, spread * (1 - mean)


def _margin(values: Tensor, of_label: Tensor, targets: Tensor) -> Tensor:
    """Return ``values[y]`` minus the largest other value, [B]."""
    # The label is masked; removing it would need an index per image.
    return of_label - values.scatter(1, targets[:, None], -torch.inf).amax(1)
