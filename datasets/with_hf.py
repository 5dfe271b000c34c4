"""Data sets of Hugging Face's library ``datasets``: folders offline, the hub with ``--download``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from bench import DataError, Dataset, make_dataset, register_dataset
from bench.addresses import local_path
from bench.data import IMAGENET_MEAN, IMAGENET_STD
from bench.datasets._common import PHOTOGRAPHS, required_root
from bench.datasets._pictures import Arrays, held_out, pictures
from bench.errors import WeightsError
from bench.weights.locations import probe_host
from bench.zoo.names import library


@register_dataset(
    "hf",
    source="Hugging Face data sets of images, by folder or name",
    **PHOTOGRAPHS,
)
def hf(
    root: Path | None,
    *,
    path: str = "",
    config: str = "",
    image: str = "image",
    label: str = "label",
    split: str = "train",
    test: str = "",
    size: Annotated[int, Field(ge=4, le=1024)] = 64,
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2,
    memory_gb: Annotated[float, Field(ge=0)] = 4.0,
    download: bool = False,
) -> Dataset:
    """A Hugging Face data set of images: a folder of parquet or arrow files, or a name such as ethz/food101.

    The short side is scaled to ``size`` and the centre cut. Mean and std are ImageNet's, whatever the images. What the
    hub gives is kept below ``root`` as a folder, and read from there ever after; no code of a repository is run.

    Args:
        root: directory that ``path`` is relative to, and where downloads are kept.
        path: a folder that ``save_to_disk`` wrote, one of parquet files (train-00000.parquet, test-00000.parquet), or a
            name on the hub.
        config: which of a repository's configurations.
        image: column of pictures.
        label: column of classes: class labels, whole numbers from 0, or texts.
        split: of the pool.
        test: test split; by default ``test``, else ``validation``, else a fixed stratified part is held out (seed 0).
        size: side of the images in pixels.
        test_fraction: held out of each class where there is no test split.
        memory_gb: up to this many gigabytes (10^9 bytes) the images are held in memory; more are refused.
        download: fetch the name from the hub where it is not below ``root`` yet.

    Returns:
        Images uint8 [N, 3, size, size] in the data set's order.

    Raises:
        BenchError: the library is not installed.
        DataError: no such folder, split or column, or items that are no pictures with classes.
    """
    loaded = _open(root, path, config, download)
    if split not in loaded:
        raise DataError(f"{path} has no split {split!r}; valid: {', '.join(loaded)}.")
    # A pool that is the validation split must not be its own test.
    held = test or next((name for name in ("test", "validation") if name in loaded and name != split), "")
    if held and (held not in loaded or held == split):
        raise DataError(f"{path} has no other split {held!r}; valid for test: {', '.join(set(loaded) - {split})}.")
    classes, labels = _labels(loaded, [split, held] if held else [split], image, label, path)

    def read(name: str) -> Arrays:
        items = _Items(loaded[name], image, labels[name])
        return pictures(items, len(labels[name]), size, memory_gb, f"{path}, split {name}")

    whole = read(split)
    train, apart = (whole, read(held)) if held else held_out(whole, test_fraction)
    return make_dataset(train, apart, class_names=classes, mean=IMAGENET_MEAN, std=IMAGENET_STD)


class _Items:
    """Rows as (picture, class number)."""

    def __init__(self, rows: Any, image: str, labels: list[int]) -> None:
        self._rows, self._image, self._labels = rows, image, labels

    def __getitem__(self, position: int) -> tuple[Any, int]:
        # The row first: the column first would decode all pictures for one of them.
        return self._rows[position][self._image], self._labels[position]


def _open(root: Path | None, path: str, config: str, download: bool) -> Any:
    """Return the splits by name."""
    datasets = library("datasets", owner="dataset 'hf'", extra="hf", having="load_dataset")
    if not path:
        raise DataError("say which one: hf(path=FOLDER), or hf(path=ethz/food101) with --download.")
    given = local_path(path)
    folder = given if root is None else root / given
    kept = folder if root is None or folder.is_dir() else root / _folder(path, config)
    try:
        if kept.is_dir():
            return _from_folder(datasets, kept, config)
        base = required_root(root, f"the data set {path}")
        if not download:
            raise DataError(
                f"{path} is no folder{'' if root is None else f' below {root}'}; a name on the hub needs --download."
            )
        probe_host(datasets.config.HF_ENDPOINT)
        loaded = datasets.load_dataset(path, config or None)
        _keep(loaded, base / _folder(path, config))
    # Neither is damage, and must not be told as such.
    except (DataError, MemoryError):
        raise
    except WeightsError as error:
        raise DataError(f"{path} cannot be fetched: {error}") from error
    except Exception as error:  # the library lets through what its readers raise
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise DataError(f"{path} cannot be read as a Hugging Face data set: {reason}") from error
    return loaded


def _folder(path: str, config: str) -> Path:
    """Where a download of a name is kept, below the root."""
    return Path("hf", path.replace("/", "--"), config or "default")


def _keep(loaded: Any, target: Path) -> None:
    """Write a download to its folder whole or not at all: half of one would be read ever after."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=target.parent) as beside:
        written = Path(beside, "whole")
        loaded.save_to_disk(str(written))
        try:
            written.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was faster
                raise


def _from_folder(datasets: Any, folder: Path, config: str) -> Any:
    if (folder / "dataset_dict.json").is_file():
        return datasets.load_from_disk(str(folder))
    if (folder / "dataset_info.json").is_file() and (folder / "state.json").is_file():
        return {"train": datasets.load_from_disk(str(folder))}
    # Scripts are refused by the library itself, from version 4 on.
    return datasets.load_dataset(str(folder), config or None)


def _labels(sets: Any, splits: list[str], image: str, label: str, path: str) -> tuple[list[str], dict[str, list[int]]]:
    """Names of the classes, by the first of the splits where they have none, and each split's class numbers."""
    values: dict[str, list[Any]] = {}
    for split in splits:
        rows, what = sets[split], f"{path}, split {split}"
        for column, option in ((image, "image"), (label, "label")):
            if column not in rows.column_names:
                valid = ", ".join(rows.column_names)
                raise DataError(f"{what} has no column {column!r}; use {option}=COLUMN; valid: {valid}.")
        values[split] = list(rows[label])
        for item, value in enumerate(values[split]):
            if not isinstance(value, str | int):
                held = "nothing" if value is None else f"a {type(value).__name__}"
                raise DataError(
                    f"{what}: column {label} holds {held} at item {item}; classes are whole numbers or texts. "
                    "Use another column as label=COLUMN, or leave such items out."
                )
    names = getattr(sets[splits[0]].features[label], "names", None)
    own = set(values[splits[0]])
    known = list(range(len(names))) if names else sorted(value for value in own if isinstance(value, str) or value >= 0)
    numbers = {value: number for number, value in enumerate(known)}
    for split in splits:
        if unknown := [item for item, value in enumerate(values[split]) if value not in numbers]:
            first = values[split][unknown[0]]
            withheld = " (-1 often says that a label is withheld)" if first == -1 else ""
            others = sorted(set(sets) - {splits[0], split}, key=lambda name: name != "validation")
            remedy = f"; take another one, such as test={others[0]}" if others and split != splits[0] else ""
            raise DataError(
                f"{path}, split {split}: {len(unknown)} of {len(values[split])} items are of none of the {len(known)} "
                f"classes, the first is item {unknown[0]} of {first!r}{withheld}{remedy}."
            )
    return [str(name) for name in names or known], {name: [numbers[value] for value in values[name]] for name in splits}
