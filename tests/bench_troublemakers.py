"""An outside plugin whose methods and models go wrong, one in each way that a run must survive."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench import Pool, SelectionError, register_method, register_model

if TYPE_CHECKING:  # a listing of plugins does without torch
    import torch


@register_method("raises", supervision="none")
def raises(pool: Pool, budget: int, rng: np.random.Generator) -> None:
    """Raise an error that the harness does not know."""
    raise ZeroDivisionError("this method divides by zero")


@register_method("refuses", supervision="none")
def refuses(pool: Pool, budget: int, rng: np.random.Generator, *, above: int = 0) -> np.ndarray:
    """Keep the first images, but refuse budgets above ``above``."""
    if budget > above:
        raise SelectionError(f"cannot keep {budget}, at most {above}")
    return np.arange(budget)


@register_method("exits", supervision="none")
def exits(pool: Pool, budget: int, rng: np.random.Generator) -> None:
    """Call ``sys.exit`` as a script does that found nothing to do."""
    sys.exit(0)


@register_method("dies", supervision="none")
def dies(pool: Pool, budget: int, rng: np.random.Generator) -> None:
    """Kill the process that runs the selection."""
    os.kill(os.getpid(), signal.SIGKILL)


@register_method("vanishes", supervision="none")
def vanishes(pool: Pool, budget: int, rng: np.random.Generator) -> None:
    """End the process that runs the selection as if all were well."""
    os._exit(0)


@register_method("dies-once", supervision="none")
def dies_once(pool: Pool, budget: int, rng: np.random.Generator, *, mark: str = "") -> np.ndarray:
    """Kill the process unless the file ``mark`` is there; make it before."""
    if not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return np.arange(budget)


@register_method("hungry", supervision="none")
def hungry(pool: Pool, budget: int, rng: np.random.Generator, *, megabytes: int = 300) -> None:
    """Ask for more and more memory in a process that may have ``megabytes`` more than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + megabytes * 2**20, before[1]))
    try:
        kept = []
        while True:
            kept.append(np.ones(2**22))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@register_method("sleeps", supervision="none")
def sleeps(pool: Pool, budget: int, rng: np.random.Generator, *, deaf: bool = False) -> None:
    """Never end; where ``deaf``, not for the time limit either."""
    while True:
        try:
            time.sleep(0.1)
        except BaseException:
            if not deaf:
                raise


@register_method("cannot-read", supervision="none")
def cannot_read(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    """Read a file that is not there."""
    return np.load("/no/such/file.npy")


@register_model("exits-in-training", inputs="images", source="test")
def exits_in_training(shape: tuple[int, ...], num_classes: int) -> torch.nn.Module:
    """A linear network that calls ``sys.exit`` in the forward pass."""
    from torch import nn

    class Exiting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), num_classes))

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            sys.exit("done")

    return Exiting()


@register_model("dies-in-training", inputs="images", source="test")
def dies_in_training(shape: tuple[int, ...], num_classes: int, *, after: int = 5) -> torch.nn.Module:
    """A linear network that kills its process in the forward pass number ``after``."""
    from torch import nn

    class Deadly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), num_classes))
            self.left = after

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return self.layers(inputs)

    return Deadly()


@register_model("sleeps-in-training", inputs="images", source="test")
def sleeps_in_training(
    shape: tuple[int, ...], num_classes: int, *, mark: str = "mark", seconds: float = 0.0
) -> torch.nn.Module:
    """A linear network that writes its process number to the file ``mark`` and takes ``seconds`` per step."""
    from torch import nn

    class Slow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), num_classes))

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            if self.training:
                Path(mark).write_text(str(os.getpid()))
                time.sleep(seconds)
            return self.layers(inputs)

    return Slow()
