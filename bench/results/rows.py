"""Result rows: one JSON file per finished cell, written atomically, read back through a schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import RowError, lower_first
from bench.parts import Supervision
from bench.plain_files import read_regular
from bench.recipe import PROTOCOL, Recipe
from bench.results.pseudo_quality import PseudoLabelQuality
from bench.store.files import write_atomically
from bench.units import Count, Seconds

SCHEMA_VERSION: Final = 5
"""Version of the row's fields that this harness writes; it reads all versions up to it.

A field that is left out at its default does not raise it: all other rows stay as they were, and an earlier harness
refuses one that has the field.
"""
DIGEST = "^[0-9a-f]{64}$"
SHA256 = re.compile("[0-9a-f]{64}")
SINCE = {
    **dict.fromkeys(("config_sha256", "best_iteration", "test_class_counts", "paid_seconds"), 2),
    **dict.fromkeys(("train_peak_bytes", "train_peak_gpu_bytes", "peak_bytes", "peak_gpu_bytes"), 2),
    **dict.fromkeys(("dataset_version", "encoder_version", "model_version", "proxy_version", "selection_code"), 3),
    **dict.fromkeys(("proxy_recipe", "clean_fingerprint"), 4),
    **dict.fromkeys(("judged", "taken", "weighted"), 5),
}
"""Field -> the schema version that brought it; the others are of version 1."""
MOST_BYTES = 16_000_000
"""Of one row: with 20,000 classes it has about 1 MB."""

# What reaches file names, terminals and tables: no way out of a folder, no control characters, nothing that breaks a
# line, nothing that turns the direction of writing, so that one text is read as another (U+202E and its like), and
# nothing that a spreadsheet would take for a formula (``-`` alone stands for none).
FileName = Annotated[str, Field(pattern=r"^\w[\w.-]*$", max_length=240)]
_UNSEEN = r"\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}"
Label = Annotated[str, Field(pattern=rf"^(-|[^=+@{_UNSEEN}-][^{_UNSEEN}]*)?$")]
Percent = Annotated[float, Field(ge=0, le=100)]


class StageUse(BaseModel):
    """One shared stage that a row rests on.

    Attributes:
        kind: ``encoder``, ``embeddings``, ``neighbors``, ``cluster-count``, ``pseudo-labels``, ``dynamics``,
            ``gradient-norms``, ``outputs`` or ``selection``.
        key: what it is stored under, a SHA-256 of all that decides its content.
        seconds: wall time of whoever computed it.
        reused: whether it was there before the run that wrote the row.
        paid_seconds: in rows made before 2026-11-28 alone, the row's part of the stage's ``seconds``. What a folder
            cost follows from its rows: their ``train_seconds``, and the ``seconds`` of every distinct ``key`` once.
        peak_bytes: as ``train_peak_bytes``, of the process that computed the stage.
        peak_gpu_bytes: as ``train_peak_gpu_bytes``, of the process that computed the stage.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Label
    key: Label
    seconds: Seconds
    reused: bool
    paid_seconds: Seconds | None = None
    peak_bytes: Count | None = None
    peak_gpu_bytes: Count | None = None


class Row(BaseModel):
    """The result of one cell.

    Attributes:
        schema_version: version of these fields; what a later version added is empty in rows of an earlier one.
        protocol: version of the evaluation protocol; rows of different versions cannot be compared.
        cell_id: file name of the row and identity of the cell.
        config_sha256: of the cell's configuration as canonical JSON: everything that decides the result; the last
            12 characters of ``cell_id`` are its first. Empty in rows of version 1.
        dataset: name with the parameters that the user set, for example ``cifar10(pool_size=5000)``.
        dataset_version: declared version of the data set's reader.
        method: name of the method.
        variant: the method as the user wrote it, for example ``ccs(beta=0.3)``; one line of a table.
        method_version: the method's declared version.
        params: all its parameters.
        selection_code: digest of what selected the coreset: the method's source files and the versions of the shared
            stages that it rests on; tables mark a mean over rows of different ones.
        supervision: what the method saw: ``none``, ``pseudo``, ``coreset`` or ``labels``.
        encoder: name with parameters, or ``-`` where the cell uses none.
        encoder_version: its declared version.
        encoder_supervision: what the encoder was trained with, or ``-``.
        encoder_weights: SHA-256 of the weights file, or empty.
        rate: fraction of the pool removed.
        budget: images kept.
        pool_size: images in the pool.
        seed: seed of clustering, proxy, selection and training.
        model: network trained on the coreset.
        model_version: its declared version.
        proxy_model: network that training dynamics were observed on, or ``-``.
        proxy_version: its declared version.
        proxy_recipe: how that network was trained; iterations and evaluations play no part. None without one.
        recipe: how the model was trained.
        accuracy: test accuracy after the last iteration, in percent.
        best_accuracy: best test accuracy seen during training, in percent; for comparison with papers only.
        best_iteration: first iteration with ``best_accuracy``; times the batch size, divided by the budget, it is
            the epoch.
        per_class_accuracy: last test accuracy of each class in percent, None for a class without test images.
        curve: pairs (iteration, test accuracy in percent).
        class_counts: images of each class in the coreset; computed after selection.
        test_class_counts: images of each class in the test split. Empty in rows of version 1.
        chosen: parameters that the method chose itself, for example beta where ``beta=auto``.
        judged: candidate -> what a judge that reads no label said of its coreset, in [0, 1], high = good; empty where
            the method had none judged.
        taken: which of these candidates the coreset is; ``random 1`` where a guard took a random one.
        pseudo_labels: how well the pseudo-labels that the selection rests on agree with the true labels; computed after
            selection; None where it rests on none.
        scores_sha256: of the float32 little-endian bytes of the method's scores [N], high = hard; empty without any.
            The file is ``scores/SHA256.npy``.
        indices_sha256: of the int64 little-endian bytes of the kept positions in the full training split. The file is
            ``indices/CELL_ID.npy``. Of a weighted coreset, of its records: each position, then its weight as float64.
        weighted: whether the coreset has a weight for each image, by which its loss was multiplied in training; left
            out where it has none.
        fingerprint: SHA-256 of the data set's content; of images in files, of their names and sizes.
        clean_fingerprint: that of the same images with their own labels; empty where no label was replaced.
        stages: shared stages that the coreset rests on, and the model's embeddings where it reads them; inputs first.
        train_seconds: wall time of training and evaluation.
        train_peak_bytes: most memory that the whole process had resident meanwhile, libraries included; None where
            the system does not tell.
        train_peak_gpu_bytes: most memory that torch held on the GPU meanwhile; None without a GPU.
        select_seconds: wall time of the selection itself, without the stages it rests on.
        device: what trained the model.
        threads: CPU threads of the trial.
        versions: package versions.
        git_revision: of the working tree that produced the row, or empty.
        git_dirty: whether that tree had uncommitted changes.
        created: UTC, ISO 8601.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    schema_version: Literal[1, 2, 3, 4, 5] = SCHEMA_VERSION
    protocol: Annotated[int, Field(ge=1)] = PROTOCOL
    cell_id: FileName
    config_sha256: Annotated[str, Field(pattern=f"{DIGEST}|^$")] = ""
    dataset: Label
    dataset_version: int | None = None
    method: Label
    variant: Label
    method_version: int = 1
    params: dict[str, Any]
    selection_code: Label = ""
    supervision: Supervision
    encoder: Label
    encoder_version: int | None = None
    encoder_supervision: Label
    encoder_weights: Label
    rate: Annotated[float, Field(ge=0, lt=1)]
    budget: Count
    pool_size: Annotated[int, Field(ge=1, lt=2**63)]
    seed: int
    model: Label
    model_version: int | None = None
    proxy_model: Label
    proxy_version: int | None = None
    proxy_recipe: Recipe | None = None
    recipe: Recipe
    accuracy: Percent
    best_accuracy: Percent
    best_iteration: Count | None = None
    per_class_accuracy: list[Percent | None]
    curve: list[tuple[Count, Percent]]
    class_counts: list[Count]
    test_class_counts: list[Count] = []
    chosen: dict[Label, float] = {}
    judged: dict[Label, Annotated[float, Field(ge=0, le=1)]] = {}
    taken: Label = ""
    pseudo_labels: PseudoLabelQuality | None = None
    scores_sha256: Annotated[str, Field(pattern=f"{DIGEST}|^$")] = ""
    indices_sha256: Annotated[str, Field(pattern=DIGEST)]
    weighted: bool = Field(default=False, exclude_if=lambda value: not value)
    fingerprint: Label
    clean_fingerprint: Label = ""
    stages: list[StageUse]
    train_seconds: Seconds
    train_peak_bytes: Count | None = None
    train_peak_gpu_bytes: Count | None = None
    select_seconds: Seconds
    device: Label
    threads: Count
    versions: dict[Label, Label]
    git_revision: Label
    git_dirty: bool
    created: Label


def write_row(row: Row, folder: Path) -> Path:
    """Write ``row`` to ``folder/rows/<cell_id>.json`` so that a reader sees all of it or nothing."""
    target = folder / "rows" / f"{row.cell_id}.json"
    write_atomically(target, row.model_dump_json(indent=1).encode())
    return target


def read_row(path: Path) -> Row:
    """Read one row.

    Raises:
        RowError: the file is unreadable, truncated or does not fit the schema.
    """
    try:
        content = read_regular(path, at_most=MOST_BYTES)
        row = Row.model_validate_json(content, strict=True)
        # A second reading, since pydantic takes the last of two equal keys; integers as text, since Python refuses to
        # read one of more than 4,300 digits.
        json.loads(content, object_pairs_hook=_each_once, parse_int=str)
        return row
    except OSError as error:
        raise RowError(f"cannot read the row {path}: {error.strerror}.") from error
    except _Twice as error:
        raise RowError(f"{path} is not a valid row: {error} is there twice.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise RowError(f"{path} is not a valid row: {where}: {lower_first(first['msg'])}.") from None


class _Twice(Exception):
    """A key that an object has twice: readers differ in which of its values counts."""


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise _Twice(next(name for number, (name, _) in enumerate(pairs) if name in dict(pairs[:number])))
    return content


def read_rows(folder: Path) -> Iterator[Row]:
    """All rows below ``folder/rows``, in the order of their file names.

    Raises:
        RowError: one of them is not valid.
    """
    for path in sorted((folder / "rows").glob("*.json")):
        yield read_row(path)
