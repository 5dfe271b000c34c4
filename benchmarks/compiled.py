"""Does ``torch.compile`` pay? The training loop with the network as it is, and with it compiled."""

from __future__ import annotations

import shutil
import time

import torch
from torch import nn

from bench import Recipe
from bench.identity import ModelRef
from bench.training.fit import fresh_network, make_batches
from bench.training.loop import train
from benchmarks import _data
from benchmarks._common import Meter, Result, Skip, timed

TINY = {"steps": 2, "batch": 40, "large": "small_cnn", "backend": "eager"}


def run(
    meter: Meter, *, steps: int = 6, batch: int = 256, large: str = "resnet18", backend: str = "inductor"
) -> list[Result]:
    """Compare a small and a large network, and how long compiling takes. On a GPU with CUDA graphs."""
    if backend == "inductor" and shutil.which("g++") is None:
        raise Skip("no C++ compiler, which torch.compile needs")
    # On a CPU a step of the large network at the full batch takes ten seconds; a GPU makes hundreds in a second.
    few, steps = (batch // 8, steps) if meter.device == "cpu" else (batch, 20 * steps)
    return [*compare("small_cnn", batch, steps, backend, meter), *compare(large, few, steps, backend, meter)]


def compare(model: str, batch: int, steps: int, backend: str, meter: Meter) -> list[Result]:
    """Time the same training with both forms of one network, then the first epoch of the compiled one."""
    device = meter.device
    dataset = _data.dataset(batch * steps)
    recipe = Recipe(batch_size=batch, precision="fp32" if device == "cpu" else "bf16")
    batches = make_batches(dataset.train.images, dataset.train.labels, recipe=recipe, dataset=dataset, device=device)
    plain, other = (
        fresh_network(ModelRef(name=model), (3, 32, 32), dataset.num_classes, seed=0, device=device)[0]
        for _ in range(2)
    )
    mode = "reduce-overhead" if backend == "inductor" and device != "cpu" else None
    compiled: nn.Module = torch.compile(other, backend=backend, mode=mode)

    def epoch(network: nn.Module) -> None:
        generator = torch.Generator().manual_seed(0)
        train(network, batches, recipe=recipe, iterations=steps, generator=generator)

    started = time.perf_counter()
    epoch(compiled)
    first = time.perf_counter() - started
    what = f"{steps} steps of {model}, 32x32, batch {batch}"
    both = meter.compare(lambda: epoch(plain), lambda: epoch(compiled))
    return [timed(what, *both, alternative="compiled"), Result(f"the first {what}, compiled", first, "s", 1)]
