"""The 8x8 digits that scikit-learn ships: the default data set, no download."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import Dataset, Recipe, make_dataset, register_dataset
from bench.datasets._common import stratified_split

MEAN, STD = (0.3055,), (0.3759,)


@register_dataset(
    "digits",
    num_classes=10,
    image_size=8,
    mean=MEAN,
    std=STD,
    recipe=Recipe(
        iterations=600,
        proxy_epochs=30,
        batch_size=64,
        lr=0.05,
        # No mirror: most mirrored digits are no digits.
        augmentation="crop",
        crop_padding=1,
        evaluations=10,
    ),
    model="small_cnn",
    encoder="pixels",
    source="UCI optical recognition of handwritten digits, as scikit-learn ships it (1,797 images, 8x8 grey)",
)
def digits(root: Path | None) -> Dataset:
    """Handwritten digits, 8x8 grey: 1,438 for training, 359 for testing.

    Alpaydin and Kaynak 1998, as in scikit-learn. That copy lacks the original split by writers, so a fifth of each
    class is held out with a fixed seed. Mean and std are measured on the training images.

    Args:
        root: not used.

    Returns:
        Images uint8 [N, 1, 8, 8]; the 17 grey levels are spread over 0 to 255.
    """
    table = _read_table()
    images = np.rint(table[:, :-1].reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    labels = table[:, -1].astype(np.int64)
    train, test = stratified_split(labels, 0.2)
    return make_dataset(
        (images[train], labels[train]),
        (images[test], labels[test]),
        class_names=[str(digit) for digit in range(10)],
        mean=MEAN,
        std=STD,
    )


@cache
def _read_table() -> NDArray[np.float64]:
    """Return 64 grey levels from 0 to 16 and the label of each image, [N, 65].

    ``load_digits`` reads the same file, but the import of scikit-learn takes two seconds of every worker.
    """
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("No module named 'sklearn'", name="sklearn")
    return np.loadtxt(Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
