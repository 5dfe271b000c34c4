"""Embedding extraction by ``timm(name=...)``, its preprocessing included, against the bare encoder on ready tensors."""

from __future__ import annotations

from functools import partial

import torch

from bench import BenchError
from bench.embedding.frozen import FrozenEncoder, images_at_once
from bench.zoo.with_timm import headless, prepared
from benchmarks import _data
from benchmarks._common import Meter, Result, Skip, Target, timed

TINY = {"size": 8, "networks": {"tf_efficientnet_lite0": 32}}
NETWORKS = {"tf_efficientnet_lite0": 128, "vit_small_patch16_224": 224}


def run(meter: Meter, *, size: int = 512, batch: int = 256, networks: dict[str, int] = NETWORKS) -> list[Result]:
    """Images of 32x32 through timm's networks with random weights, which cost what trained ones cost."""
    pool, results = _data.images(size), []
    for name, side in networks.items():
        # A vision transformer at 224 px costs about fifty times as much.
        count = size if side < 224 or meter.device != "cpu" else size // 16
        images, at_once = pool[:count], min(batch, count)
        try:
            network = headless(name, owner=f"encoder {name!r}", size=side)
            prepare = prepared(name, side)
            encoder = FrozenEncoder(name, network, size=side, prepare=prepare)
        except BenchError as error:
            raise Skip(str(error)) from error
        inputs = prepare(torch.from_numpy(images)).to(meter.device, memory_format=torch.channels_last)

        def ours(encoder: FrozenEncoder = encoder, images=images, at_once: int = at_once) -> None:
            encoder.embed(images, device=meter.device, batch_size=at_once)

        # On a GPU both are the same.
        steps = dict.fromkeys([images_at_once(side**2, at_once, torch.device(meter.device)), at_once])
        nets = [partial(bare, encoder, inputs, step) for step in steps]
        own, *others = meter.compare(ours, *nets, repeats=3)
        results += [
            timed(
                f"{count:,} images of 32x32 by {name} at {side} px",
                own,
                other,
                alternative=f"bare network on ready tensors in steps of {step}",
                target=Target("other / ours", "at least", 0.95),
            )
            for step, other in zip(steps, others, strict=True)
        ]
    return results


def bare(encoder: FrozenEncoder, inputs: torch.Tensor, at_once: int) -> None:
    """Time the network alone."""
    with torch.inference_mode():
        for part in inputs.split(at_once):
            encoder.module(part).cpu()
