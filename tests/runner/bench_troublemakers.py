"""An outside plugin whose methods and models go wrong, one in each way that a run must survive."""

from __future__ import annotations

import os
import signal

import numpy as np

from bench import SelectionError, register_method, register_model


@register_method("raises", supervision="none")
def raises(pool, budget, rng):
    """Raise an error that the harness does not know."""
    raise ZeroDivisionError("this method divides by zero")


@register_method("refuses", supervision="none")
def refuses(pool, budget, rng, *, above: int = 0):
    """Keep the first images, but refuse budgets above ``above``."""
    if budget > above:
        raise SelectionError(f"cannot keep {budget}, at most {above}")
    return np.arange(budget)


@register_method("dies", supervision="none")
def dies(pool, budget, rng):
    """Kill the process that runs the selection."""
    os.kill(os.getpid(), signal.SIGKILL)


@register_model("dies-in-training", inputs="images", source="test")
def dies_in_training(shape, num_classes, *, after: int = 5):
    """A linear network that kills its process in the forward pass number ``after``."""
    from torch import nn

    class Deadly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), num_classes))
            self.left = after

        def forward(self, inputs):
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return self.layers(inputs)

    return Deadly()
