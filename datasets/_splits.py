"""Telling split folders from class folders by their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import DataError
from bench.images.folders import class_folders

TRAIN = ("train", "training", "trn", "tr", "trainval")
TEST = ("test", "testing", "tst")
VALIDATION = ("val", "valid", "validation", "dev", "eval", "evaluation", "holdout")
UNLABELLED = ("unlabeled", "unlabelled")
_ROLE = {word: words for words in (TRAIN, TEST, VALIDATION, UNLABELLED) for word in words}
_FILLERS = "data|dataset|set|split|images|image|imgs|img|folder"
"""Words that people add to a split's name, as in trainset or test_images."""


@dataclass(frozen=True)
class Named:
    """A folder whose name says which split it is.

    Attributes:
        name: name of the folder.
        role: TRAIN, TEST, VALIDATION or UNLABELLED.
        rest: other words of its name in lower case: none for ``Train`` and ``test_set``, ``seg`` for ``seg_train``.
    """

    name: str
    role: tuple[str, ...]
    rest: str


def split_name(name: str) -> Named | None:
    """Return which split a folder's name stands for, ignoring case, filler words and digits; None if it is no split."""
    # Letters only, with a break before a capital: train2017, trainSet and TRAIN-images are the same word.
    words = re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))
    bare = [re.sub(rf"^(?:{_FILLERS})+|(?:{_FILLERS})+$", "", word.lower()) for word in words]
    roles = [word for word in bare if word in _ROLE]
    # No role is a class; two roles, as in train_val_test, name no single split.
    if len(roles) != 1:
        return None
    return Named(name, _ROLE[roles[0]], " ".join(word for word in bare if word and word not in _ROLE))


def find_splits(base: Path) -> tuple[str, str] | None:
    """Return the folders of the training and of the test split in ``base``.

    A test split is preferred to a validation split. Splits contain class folders. A folder that contains only images
    is a class, whatever its name, unless another folder forms a pair of splits with it.

    Returns:
        The names of both folders, or None if the folders of ``base`` are classes.

    Raises:
        DataError: the names look like splits that cannot be read as such; the message says what to do.
    """
    named = [split for name in class_folders(base) if (split := split_name(name)) is not None]
    # Grouped by the other words of their names: seg_train belongs to seg_test and not to pred_test.
    pairs = [group for group in _groups(named) if len({split.role for split in group}) > 1]
    if len(pairs) > 1:
        names = ", ".join(split.name for group in pairs for split in group)
        raise DataError(
            f"{base} has several pairs of splits: {names}. Sort the images as train/CLASS/IMAGE and test/CLASS/IMAGE, "
            "or put one pair into a directory of its own."
        )
    if pairs:
        return _pair(base, pairs[0])
    for split in named:
        nested = class_folders(base / split.name)
        # A name with another word in it, such as train_station, is as likely a class.
        if nested and not split.rest:
            _refuse_alone(base, split, nested)
    return None


def refuse_mixed(base: Path, files: Sequence[str]) -> None:
    """Refuse splits below the classes, as in ``CLASS/train/IMAGE``: their images would be mixed.

    Args:
        base: directory of class folders.
        files: paths of the images relative to it.

    Raises:
        DataError: the message names the first such class and says what to do.
    """
    # A dict for its order: the message names the first class in alphabetical order.
    within = dict.fromkeys((parts[0], parts[1]) for file in files if len(parts := file.split("/", 2)) > 2)
    roles: dict[str, list[Named]] = {}
    for outer, inner in within:
        if (split := split_name(inner)) is not None:
            roles.setdefault(outer, []).append(split)
    for name, splits in roles.items():
        if any(split.role is TRAIN for split in splits) and any(split.role in (TEST, VALIDATION) for split in splits):
            raise DataError(
                f"{base / name} holds {' and '.join(split.name for split in splits)}: these splits would be mixed. Put "
                f"splits above classes, as in {base / 'train' / name} and {base / 'test' / name}, or use {base / name} "
                "as path."
            )


def _groups(named: Sequence[Named]) -> list[list[Named]]:
    return [[split for split in named if split.rest == rest] for rest in dict.fromkeys(split.rest for split in named)]


def _pair(base: Path, group: Sequence[Named]) -> tuple[str, str]:
    def only(role: tuple[str, ...]) -> str | None:
        names = [split.name for split in group if split.role is role]
        if len(names) > 1:
            raise DataError(
                f"{base} has {' and '.join(names)}, which name the same split. Merge or remove one of them."
            )
        return names[0] if names else None

    # A test split first: if there is one, the authors tuned on the validation split.
    train, held = only(TRAIN), only(TEST) or only(VALIDATION)
    names = " and ".join(split.name for split in group)
    if train is None or held is None:
        missing = "training" if train is None else "test or validation"
        raise DataError(
            f"{base} has {names}, which look like splits, but no {missing} split. Add one (train, test), or use one of "
            "them as path: a part of it is then held out."
        )
    flat = [name for name in (train, held) if not class_folders(base / name)]
    if flat:
        raise DataError(
            f"{base} has {names}, which look like splits, but there are no class folders in {' and '.join(flat)}. Sort "
            "the images of each split into one folder per class; if these names are classes, rename the folders, for "
            f"example to class_{flat[0]}."
        )
    return train, held


def _refuse_alone(base: Path, split: Named, nested: Sequence[str]) -> None:
    if split.role is TRAIN:
        raise DataError(
            f"{base} has {split.name} with class folders in it, but none of test, val, valid beside it. Add one, or "
            f"use {base / split.name} as path: a part of it is then held out."
        )
    raise DataError(
        f"{base} has {split.name} with folders in it ({', '.join(nested[:3])}), which looks like a split, and no train "
        f"beside it. Put the training classes into {base / 'train'}; if {split.name} is a class, put its images into "
        f"{base / split.name} itself."
    )
