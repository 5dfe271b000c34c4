"""The training loop against one in the style of released code: per-image PIL transforms in a DataLoader."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms

from bench import Dataset as BenchDataset
from bench import Recipe
from bench.refs import ModelRef
from bench.training.fit import build_model, make_batches
from bench.training.loop import steps_per_epoch, train
from benchmarks import _data
from benchmarks._common import Meter, Result, Target, timed

TINY = {"size": 512}


def run(meter: Meter, *, size: int = 5_120) -> list[Result]:
    """One epoch of each, same network, batch and augmentation; the DataLoader works in this process, like our loop."""
    dataset, recipe = _data.dataset(size), Recipe(precision="bf16" if meter.device != "cpu" else "fp32")
    model = build_model(ModelRef(name="small_cnn"), (3, 32, 32), dataset.num_classes, 0).to(meter.device)
    batches = make_batches(
        dataset.train.images, dataset.train.labels, recipe=recipe, dataset=dataset, device=meter.device
    )
    loader = make_loader(dataset, recipe)

    def ours() -> None:
        train(
            model.to(memory_format=torch.channels_last),
            batches,
            recipe=recipe,
            iterations=steps_per_epoch(size, recipe.batch_size),
            generator=torch.Generator().manual_seed(0),
            device=meter.device,
        )

    fast, slow = meter.compare(
        ours, lambda: released_style(model.to(memory_format=torch.contiguous_format), loader, recipe, meter.device)
    )
    return [
        timed(
            f"an epoch of small_cnn on {size:,} images of 32x32, batch {recipe.batch_size}",
            fast,
            slow,
            alternative="PIL transforms in a DataLoader",
            target=Target("other / ours", "at least", 2),
        )
    ]


class PilImages(torch.utils.data.Dataset):
    """One PIL image at a time, transformed as most released code does it."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64], transform: transforms.Compose) -> None:
        self._images, self._labels, self._transform = images.transpose(0, 2, 3, 1), labels, transform

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(Image.fromarray(self._images[index])), int(self._labels[index])


def make_loader(dataset: BenchDataset, recipe: Recipe) -> DataLoader:
    """Shuffled batches of cropped, mirrored and normalised images."""
    transform = transforms.Compose(
        [
            transforms.RandomCrop(32, padding=recipe.crop_padding, padding_mode="reflect"),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(dataset.mean, dataset.std),
        ]
    )
    images = np.asarray(dataset.train.images)
    return DataLoader(PilImages(images, dataset.train.labels, transform), batch_size=recipe.batch_size, shuffle=True)


def released_style(model: nn.Module, loader: DataLoader, recipe: Recipe, device: str) -> None:
    """An epoch that looks at loss and accuracy after every step."""
    model.train()
    optimiser = torch.optim.SGD(
        model.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, len(loader), eta_min=recipe.lr_min)
    total, hits = 0.0, 0
    for inputs, targets in loader:
        inputs, targets = inputs.to(device), targets.to(device)
        optimiser.zero_grad()
        outputs = model(inputs)
        loss = nn.functional.cross_entropy(outputs, targets)
        loss.backward()
        optimiser.step()
        schedule.step()
        total += loss.item()
        hits += (outputs.argmax(1) == targets).sum().item()
