"""What keeping freed memory in the process gains on a CPU: training and embedding, with ``held_memory`` and without."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks._common import Clock, Meter, Result, Skip, alone, timed

TINY = {"cases": [["small_cnn", {}, 16, 2], ["tf_efficientnet_lite0", {"side": 32}, 8, 1]]}
CASES = [
    ["speedrun", {"width": 0.5}, 1024, 3],
    ["resnet18", {}, 128, 2],
    ["small_cnn", {}, 256, 20],
    ["tf_efficientnet_lite0", {"side": 96}, 512, 1],
]
"""Model and its parameters, batch size, steps; or encoder, side of its input, images, passes."""


def run(meter: Meter, *, cases: list[list] = CASES) -> list[Result]:
    """Time both in fresh processes, since memory that was kept once serves later arrays too; above 1 it pays."""
    if meter.device != "cpu":
        raise Skip("arrays on a GPU do not come from the C library")
    results = []
    for name, parameters, size, repeats in cases:
        given = {"name": name, "parameters": parameters, "size": size, "repeats": repeats}
        given |= {"clock": meter.clock, "threads": meter.threads}
        ours, other = meter.in_turns(*(partial(_alone, held=held, **given) for held in (True, False)))
        options = ", ".join(f"{key} {value}" for key, value in parameters.items())
        what = f"{name}{f' ({options})' if options else ''}, {size:,} images of 3x32x32"
        results.append(timed(what, ours, other, alternative="without", ratio="other / ours"))
    return results


def _alone(**given: Any) -> float:
    return alone(seconds_of, **given)[0]


def seconds_of(name: str, parameters: dict, size: int, repeats: int, clock: Clock, threads: int, held: bool) -> float:
    """Return the seconds of one step of training, or of one pass of an encoder, after a first one."""
    import torch

    torch.set_num_threads(threads)
    work = (embedding if "side" in parameters else training)(name, parameters, size, held)
    meter = Meter(clock=clock)
    work(1)
    started = meter.now()
    work(repeats)
    return (meter.now() - started) / repeats


def training(name: str, parameters: dict, size: int, held: bool) -> Callable[[int], object]:
    """Prepare steps of so many images."""
    import numpy as np

    from bench import Recipe
    from bench.identity import ModelRef
    from bench.training.fit import fresh_network, make_batches
    from bench.training.loop import train
    from benchmarks import _data

    recipe = Recipe(batch_size=size, precision="fp32", augmentation="crop-flip")
    data, inputs = _data.dataset(_data.CLUSTERS), _data.images(size)
    batches = make_batches(inputs, np.arange(size) % _data.CLUSTERS, recipe=recipe, dataset=data, device="cpu")
    ref = ModelRef(name=name, params=parameters)
    network, generator = fresh_network(ref, inputs.shape[1:], _data.CLUSTERS, seed=0, device="cpu")
    loop = train if held else train.__wrapped__  # type: ignore[attr-defined]
    return lambda steps: loop(network, batches, recipe=recipe, iterations=steps, generator=generator)


def embedding(name: str, parameters: dict, size: int, held: bool) -> Callable[[int], object]:
    """Prepare passes over so many images."""
    from bench.embedding.frozen import FrozenEncoder
    from bench.zoo.with_timm import headless
    from benchmarks import _data

    side = parameters["side"]
    encoder = FrozenEncoder(name, headless(name, owner=f"encoder {name!r}", size=side), size=side)
    embed = FrozenEncoder.embed if held else FrozenEncoder.embed.__wrapped__  # type: ignore[attr-defined]
    once = partial(embed, encoder, _data.images(size), device="cpu", batch_size=256)
    return lambda passes: [once() for _ in range(passes)]
