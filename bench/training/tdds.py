"""Temporal Dual-Depth Scores (TDDS), computed online."""

from __future__ import annotations

import torch
from torch import Tensor

LONG, SHORT = (30, 10), (10, 5)
"""Trajectory T and window J of TDDS: of its released code's example, and of the authors' for 90 % removed."""
DECAY = 0.9
"""Weight of the newest window in the moving average."""
EXACT_CELLS = 2**26
"""Up to this many numbers [N, C], the outputs of the last epoch are stored in float32, with more in float16."""


def outputs_bytes(size: int, classes: int) -> int:
    """Return the bytes of the outputs [N, C] of the last epoch, which the recorder stores."""
    return size * classes * _dtype(size, classes).itemsize


class TddsRecorder:
    """Accumulates Temporal Dual-Depth Scores (Zhang et al. 2024).

    The change of an image in epoch t is d_t = sum over c of |p_t[c] (ln p_t[c] - ln p_{t-1}[c])|, with 1e-8 added to
    probabilities inside the logarithm. The J - 1 changes inside J consecutive epochs form a window; its value is the
    L2 norm of their deviations from their mean. The score is the exponential moving average of the windows in the first
    T epochs, where the newest has the weight 0.9: sum over windows of value * 0.9 * 0.1^(number of later windows). All
    this follows the released code. A proxy of fewer than J epochs has one window, of all its epochs.

    The outputs [N, C] of an epoch are stored for the next: in float16 if there are more than 2^26 numbers, which
    changes d_t by about 0.001, and only up to epoch 30.

    Args:
        size: N.
        device: device of the batches.
    """

    def __init__(self, size: int, device: str) -> None:
        self._size, self._device = size, device
        self._epoch = 0
        self._previous: Tensor | None = None
        self._averages = {setting: torch.zeros(size, device=device) for setting in (LONG, SHORT)}
        self._changes = torch.zeros(size, LONG[1] - 1, device=device)

    def update(self, positions: Tensor, probabilities: Tensor) -> None:
        """Add one batch: ``positions`` int64 [B] (each image once per epoch), ``probabilities`` [B, C]."""
        # No score uses later epochs.
        if self._epoch >= LONG[0]:
            return
        if self._previous is None:
            shape = (self._size, probabilities.shape[1])
            self._previous = torch.zeros(shape, dtype=_dtype(*shape), device=self._device)
        if self._epoch:
            before = self._previous[positions].float()
            ratio = (probabilities + 1e-8).log() - (before + 1e-8).log()
            ring = self._changes.shape[1]
            # A change belongs to the later of its two epochs, so the first change has index 0.
            self._changes[positions, (self._epoch - 1) % ring] = (probabilities * ratio).abs().sum(1)
            for (epochs, window), average in self._averages.items():
                if window - 1 <= self._epoch < epochs:
                    # The ring holds one long window; short ones end before it wraps around.
                    newest = slice(None) if window > ring else slice(self._epoch - window + 1, self._epoch)
                    value = _spread(self._changes[positions, newest])
                    # The average starts at 0, as in the released code: the first window has weight 0.9 and not 1.
                    average[positions] = (1 - DECAY) * average[positions] + DECAY * value
        self._previous[positions] = probabilities.to(self._previous.dtype)

    def end_epoch(self) -> None:
        """Advance to the next epoch, and free outputs that are no longer needed."""
        self._epoch += 1
        if self._epoch >= LONG[0]:
            self._previous = None

    def score(self, epochs: int, window: int) -> Tensor:
        """Return the scores [N] so far, for T = ``epochs`` and J = ``window``."""
        if self._epoch < window:
            return DECAY * _spread(self._changes[:, : max(self._epoch - 1, 0)])
        return self._averages[epochs, window]


def _dtype(size: int, classes: int) -> torch.dtype:
    return torch.float32 if size * classes <= EXACT_CELLS else torch.float16


def _spread(values: Tensor) -> Tensor:
    """Return the L2 norm [B] of the deviations of values [B, J] from their mean; 0 if J is 0."""
    return (values - values.mean(1, keepdim=True)).square().sum(1).sqrt()
