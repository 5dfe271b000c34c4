"""SimSiam trained on the pool: learned features without network access, labels or other images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import BenchError, Images, register_encoder
from bench.data import Arrays
from bench.embedding.encoder import FittedEncoder, batches
from bench.errors import DataError, TrainingError

if TYPE_CHECKING:
    from torch import Tensor, nn

_READ = 256
_LAYERS_KEPT = 60_000
"""Values that the backward pass needs of one view of 32 x 32 pixels, at width 32, rounded up twice."""


def _memory(params: Mapping[str, Any], images: int, shape: tuple[int, ...]) -> int:
    """Return the bytes of the pool at the network's size, and of two views of a batch in the network."""
    area, width = params["size"] ** 2, params["width"] / 32
    values = 2 * params["batch_size"] * _LAYERS_KEPT * area / 32**2 * width
    return images * shape[0] * area + int(2 * 4 * values)


@register_encoder(
    "simsiam",
    supervision="self-supervised",
    source="Chen and He 2021 (arXiv:2011.10566), trained on the pool",
    fitted=True,
    memory=_memory,
    passes=lambda params: params["epochs"],
)
def simsiam(
    weights: Path | None,
    *,
    epochs: Annotated[int, Field(ge=1)] = 60,
    size: Annotated[int, Field(ge=8, le=256)] = 32,
    width: Annotated[int, Field(ge=8, le=512)] = 32,
    batch_size: Annotated[int, Field(ge=2)] = 128,
    lr: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.2,
    seed: Annotated[int, Field(ge=0)] = 0,
) -> FittedEncoder:
    """A small ConvNet, trained on the pool's images to give two random views of an image the same features.

    Source: Chen and He 2021; ``bench.training.siamese`` and ``bench.training.views`` list the deviations. The network
    is this project's: three blocks of 3x3 convolution, BatchNorm and ReLU as in ``small_cnn``, with a wider last block,
    so that it can be trained on CPU cores. The same seed, device and number of threads give the same weights.

    Fitting reads no label. The defaults, however, were chosen with labels: a prototype was tried with several learning
    rates, batch sizes and lengths on 5,000 training images of CIFAR-10, by the accuracy of kNN on their labels.

    Args:
        weights: None.
        epochs: passes over the pool.
        size: side of the network's input in pixels; images are resized once, before training.
        width: channels of the first block; there are four times as many features.
        batch_size: images per step.
        lr: learning rate per 256 images.
        seed: seed of weights, order and views; it is independent of the grid's seeds.

    Returns:
        An encoder that must be fitted to the pool before it embeds.
    """
    return SimSiamEncoder(epochs=epochs, size=size, width=width, batch_size=batch_size, lr=lr, seed=seed)


class SimSiamEncoder:
    """A network trained by SimSiam, see ``simsiam``."""

    def __init__(self, *, epochs: int, size: int, width: int, batch_size: int, lr: float, seed: int) -> None:
        self._epochs, self._size, self._width = epochs, size, width
        self._batch_size, self._lr, self._seed = batch_size, lr, seed
        self._state: Mapping[str, NDArray[Any]] | None = None

    def fit(self, images: Images, *, device: str, progress: Callable[[int, int], None] | None = None) -> Arrays:
        """Train the network, see ``FittedEncoder.fit``; images in files are read once, at the network's size.

        Raises:
            DataError: the images do not have 1 or 3 channels.
            TrainingError: there are fewer than 2 images, the loss is not finite, or the network has collapsed.
        """
        import torch

        from bench.identity import derive_seed
        from bench.training.fit import seeded
        from bench.training.siamese import Schedule, SiameseHeads, train_siamese

        # Built on the CPU with its own seed, so that every device starts with the same weights.
        with seeded(derive_seed(self._seed, "simsiam", "weights"), "cpu"):
            backbone, heads = _network(self._width), SiameseHeads(4 * self._width)
        backbone = backbone.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        health = train_siamese(
            backbone,
            heads.to(device),
            self._read(images).to(device),
            schedule=Schedule(self._epochs, self._batch_size, self._lr),
            generator=torch.Generator().manual_seed(derive_seed(self._seed, "simsiam", "order")),
            progress=progress,
        )
        if health.collapsed:
            raise TrainingError(
                f"encoder 'simsiam' has collapsed: it hardly tells images apart (spread of the outputs "
                f"{health.spread:.2g}, about 1 is healthy; effective rank {health.rank:.2g}, 5 or more is healthy). "
                f"Try an lr below {self._lr:g}, a larger batch_size or another seed; images that are all alike teach "
                "nothing."
            )
        return {name: value.cpu().numpy() for name, value in backbone.state_dict().items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore a trained network, see ``FittedEncoder.restore``."""
        self._state = state

    def embed(
        self, images: Images, *, device: str, batch_size: int, progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Return the embeddings, see ``Encoder.embed``.

        Raises:
            BenchError: ``restore`` was not called.
        """
        import torch

        from bench.embedding.frozen import FrozenEncoder
        from bench.training.siamese import MEAN, STD

        if self._state is None:
            raise BenchError("encoder 'simsiam' must be fitted to the pool's images before it can embed.")
        with torch.random.fork_rng(devices=[]):
            # Its initial weights are replaced, and must not use the caller's random numbers.
            network = _network(self._width)
        network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in self._state.items()})
        frozen = FrozenEncoder("simsiam", network, size=self._size, mean=(MEAN,) * 3, std=(STD,) * 3)
        return frozen.embed(images, device=device, batch_size=batch_size, progress=progress)

    def _read(self, images: Images) -> Tensor:
        """Return all images at the network's size, uint8 [N, C, size, size]."""
        import torch

        from bench.embedding.frozen import resize

        if images.shape[1] not in (1, 3):
            raise DataError(f"encoder 'simsiam' takes images of 1 or 3 channels, got {images.shape[1]}.")
        resized = torch.empty(len(images), images.shape[1], self._size, self._size, dtype=torch.uint8)
        for index in batches(len(images), _READ):
            pixels = torch.from_numpy(np.ascontiguousarray(images[index])).float().div_(255)
            # Stored as uint8: float32 would take four times the memory.
            resized[int(index[0]) : int(index[-1]) + 1] = resize(pixels, self._size).mul_(255).round_().to(torch.uint8)
        return resized


def _network(width: int) -> nn.Module:
    """Return a network, float32 [B, 3, S, S] -> features [B, 4 width], with weights from torch's global generator.

    The first convolution has stride 2, so that a step takes a quarter of the time.
    """
    from torch import nn

    layers: list[nn.Module] = []
    channels = 3
    for number, wide in enumerate((width, 2 * width, 4 * width)):
        layers += [
            # No bias: BatchNorm's own takes its place.
            nn.Conv2d(channels, wide, 3, stride=2 if number == 0 else 1, padding=1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2) if number < 2 else nn.AdaptiveAvgPool2d(1),
        ]
        channels = wide
    return nn.Sequential(*layers, nn.Flatten())
