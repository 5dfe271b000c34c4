"""How many of timm's architectures, drawn at random, work at first try: as encoder and as network.

Not timed. ``python -m benchmarks._reach [COUNT] [SEED]`` prints one line for each; weights are random, saved to a file
and read back, as a user's own would be.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from bench.plugins import encoders, models
from bench.zoo.with_timm import build, names, side

LARGEST = 100_000_000
"""Parameters; larger ones are drawn again, since a laptop's memory would decide."""
SMALL, CLASSES = 64, 7


def drawn(count: int, seed: int) -> list[str]:
    """Architectures in the order of the draw, without those that are too large to be saved and read here."""
    order = sorted(name for name in names() if "." not in name)
    random.Random(seed).shuffle(order)
    found: list[str] = []
    for name in order:
        with torch.device("meta"):
            try:
                size = sum(value.numel() for value in build(name, owner=name, size=None).parameters())
            except (NotImplementedError, RuntimeError):
                size = 0  # it computes with its first weights; whether it works is told below
        if size <= LARGEST:
            found.append(name)
        if len(found) == count:
            break
    return found


def as_encoder(name: str, folder: Path, images: np.ndarray) -> str:
    """Save random weights with their classifier, read them back, and embed."""
    file = folder / "model.safetensors"
    whole = build(name, owner=name, size=None)
    save_file({key: value.clone().contiguous() for key, value in whole.state_dict().items()}, file)
    entry = encoders.get("timm")
    encoder = entry.function(file, **entry.resolve({"name": name, "supervision": "none"}))
    features = encoder.embed(images, device="cpu", batch_size=2)
    assert features.shape[0] == len(images)
    assert features.ndim == 2
    return f"{features.shape[1]} features at {side(name)} px"


def as_network(name: str, images: np.ndarray) -> str:
    """Train for one step at a small size, or at the network's own where it takes no other."""
    entry = models.get("timm")
    reasons = []
    for size in (SMALL, side(name)):
        try:
            network = entry.function(images.shape[1:], CLASSES, **entry.resolve({"name": name, "size": size}))
            logits = network(torch.from_numpy(images).float() / 255)
            torch.nn.functional.cross_entropy(logits, torch.arange(len(images))).backward()
            assert logits.shape == (len(images), CLASSES)
        except Exception as error:  # a network fails in ways of its own
            reasons.append(f"{size} px: {type(error).__name__}: {str(error).splitlines()[0][:90]}")
        else:
            return f"trains at {size} px"
    raise RuntimeError("; ".join(reasons))


def tried(work: Callable[[], str]) -> tuple[bool, str]:
    """Whether it worked, and what it says."""
    try:
        return True, work()
    except Exception as error:
        return False, f"FAILED: {str(error)[:200]}"


def main(count: int = 15, seed: int = 0) -> None:
    """Print one line for each architecture, and the sums."""
    images = np.random.default_rng(0).integers(0, 255, (2, 3, 32, 32), dtype=np.uint8)
    sums = [0, 0]
    for name in drawn(count, seed):
        with tempfile.TemporaryDirectory() as folder:
            results = [tried(lambda: as_encoder(name, Path(folder), images)), tried(lambda: as_network(name, images))]  # noqa: B023
        sums = [total + done for total, (done, _) in zip(sums, results, strict=True)]
        print(f"{name}: {results[0][1]}; {results[1][1]}", flush=True)
    print(f"of {count} drawn with seed {seed}: {sums[0]} work as encoder, {sums[1]} as network")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
