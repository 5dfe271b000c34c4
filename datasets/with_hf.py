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

    The short side is scaled to ``size`` and the centre is cropped. Mean and std are ImageNet's. A data set from the hub
    is stored as a folder below ``root`` and read from there in later runs; no code of a repository is run.

    Args:
        root: directory that ``path`` is relative to, and where downloads are stored.
        path: a folder written by ``save_to_disk``, a folder of parquet files (train-00000.parquet, test-00000.parquet),
            or a name on the hub.
        config: configuration of the repository, if it has several.
        image: column of pictures.
        label: column of classes: class labels, whole numbers from 0, or texts.
        split: split that is the pool.
        test: test split; by default ``test``, else ``validation``, else a stratified part is held out (seed 0).
        size: side of the images in pixels.
        test_fraction: fraction of each class that is held out if there is no test split.
        memory_gb: the most memory that the images may take, in gigabytes (10^9 bytes); larger sets are refused.
        download: whether to fetch the name from the hub if it is not below ``root`` yet.

    Returns:
        Images uint8 [N, 3, size, size] in the data set's order.

    Raises:
        BenchError: the library is not installed.
        DataError: the folder, split or column is missing, or an item is not a picture with a class.
    """
    loaded = _open(root, path, config, download)
    if split not in loaded:
        raise DataError(f"{path} has no split {split!r}; valid: {', '.join(loaded)}.")
    # If the pool is the validation split, that split must not be the test too.
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
    """The rows of a data set as (picture, class number)."""

    def __init__(self, rows: Any, image: str, labels: list[int]) -> None:
        self._rows, self._image, self._labels = rows, image, labels

    def __getitem__(self, position: int) -> tuple[Any, int]:
        # The row first: taking the column first would decode all pictures.
        return self._rows[position][self._image], self._labels[position]


def _open(root: Path | None, path: str, config: str, download: bool) -> Any:
    """Return the splits by name, from a folder or from the hub."""
    datasets = library("datasets", owner="dataset 'hf'", extra="hf", having="load_dataset")
    if not path:
        raise DataError("say which one: hf(path=FOLDER), or hf(path=ethz/food101) with --download.")
    local = local_path(path)
    folder = local if root is None else root / local
    stored = folder if root is None or folder.is_dir() else root / _folder(path, config)
    try:
        if stored.is_dir():
            return _from_folder(datasets, stored, config)
        base = required_root(root, f"the data set {path}")
        if not download:
            raise DataError(
                f"{path} is not a folder{'' if root is None else f' below {root}'}; a name on the hub needs --download."
            )
        probe_host(datasets.config.HF_ENDPOINT)
        loaded = datasets.load_dataset(path, config or None)
        _keep(loaded, base / _folder(path, config))
    # These two are no damage and must not be reported as such.
    except (DataError, MemoryError):
        raise
    except WeightsError as error:
        raise DataError(f"{path} cannot be fetched: {error}") from error
    except Exception as error:  # the library's readers raise errors of many types
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise DataError(f"{path} cannot be read as a Hugging Face data set: {reason}") from error
    return loaded


def _folder(path: str, config: str) -> Path:
    """Return the folder of a download, relative to the root."""
    return Path("hf", path.replace("/", "--"), config or "default")


def _keep(loaded: Any, target: Path) -> None:
    """Write a download to its folder as a whole or not at all: later runs would read a half one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=target.parent) as temporary:
        written = Path(temporary, "whole")
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
    # From version 4 on, the library itself refuses scripts.
    return datasets.load_dataset(str(folder), config or None)


def _labels(sets: Any, splits: list[str], image: str, label: str, path: str) -> tuple[list[str], dict[str, list[int]]]:
    """Return the class names, and each split's class numbers; without names, the first split's values name classes."""
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
    seen = set(values[splits[0]])
    classes = (v for v in seen if isinstance(v, str) or v >= 0)
    known = list(range(len(names))) if names else sorted(classes)
    numbers = {value: number for number, value in enumerate(known)}
    for split in splits:
        if unknown := [item for item, value in enumerate(values[split]) if value not in numbers]:
            first = values[split][unknown[0]]
            withheld = " (-1 often says that a label is withheld)" if first == -1 else ""
            others = sorted(set(sets) - {splits[0], split}, key=lambda name: name != "validation")
            remedy = f"; take another one, such as test={others[0]}" if others and split != splits[0] else ""
            raise DataError(
                f"{path}, split {split}: {len(unknown)} of {len(values[split])} items have none of the {len(known)} "
                f"classes, the first is item {unknown[0]} of {first!r}{withheld}{remedy}."
            )
    return [str(name) for name in names or known], {name: [numbers[value] for value in values[name]] for name in splits}
