"""Training as most released code does it: per-image PIL transforms in a DataLoader, and a look at every step."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms

from bench import Dataset, Recipe


class PilImages(torch.utils.data.Dataset):
    """One PIL image at a time, transformed as most released code does it."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64], transform: transforms.Compose) -> None:
        channels_last = images.transpose(0, 2, 3, 1)
        self._images = channels_last[..., 0] if images.shape[1] == 1 else channels_last
        self._labels, self._transform = labels, transform

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(Image.fromarray(self._images[index])), int(self._labels[index])


def make_loader(dataset: Dataset, recipe: Recipe, *, seed: int = 0) -> DataLoader:
    """Shuffled batches of cropped, mirrored (``crop-flip``) and normalised images, in this process."""
    images = np.asarray(dataset.train.images)
    crop = transforms.RandomCrop(images.shape[2:], padding=recipe.crop_padding, padding_mode="reflect")
    flip = [transforms.RandomHorizontalFlip()] if recipe.augmentation == "crop-flip" else []
    scale = [transforms.ToTensor(), transforms.Normalize(dataset.mean, dataset.std)]
    return DataLoader(
        PilImages(images, dataset.train.labels, transforms.Compose([crop, *flip, *scale])),
        batch_size=recipe.batch_size,
        shuffle=True,
        generator=torch.Generator().manual_seed(seed),
    )


def train_plainly(model: nn.Module, loader: DataLoader, recipe: Recipe, iterations: int, device: str) -> None:
    """As many steps in fp32, in place, with the recipe's optimiser; looks at loss and accuracy after every step."""
    model.train()
    optimiser = torch.optim.SGD(
        model.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, iterations, eta_min=recipe.lr_min)
    total, hits = 0.0, 0
    epochs = itertools.chain.from_iterable(loader for _ in itertools.count())
    for inputs, targets in itertools.islice(epochs, iterations):
        inputs, targets = inputs.to(device), targets.to(device)
        optimiser.zero_grad()
        outputs = model(inputs)
        loss = nn.functional.cross_entropy(outputs, targets)
        loss.backward()
        optimiser.step()
        schedule.step()
        total += loss.item()
        hits += (outputs.argmax(1) == targets).sum().item()
