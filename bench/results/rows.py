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
"""Version of the row's fields that this harness writes; it reads all versions up to this one.

A new field that is left out at its default does not raise the version: rows without it stay as they were, and an
earlier harness refuses rows with it.
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
"""Field -> the schema version that added it; other fields have version 1."""
MOST_BYTES = 16_000_000
"""Largest size of a row's file; a row with 20,000 classes has about 1 MB."""

# These texts reach file names, terminals and tables. They must not lead out of a folder, contain control characters or
# line breaks, change the direction of writing (U+202E and the like, by which one text is read as another), or be taken
# for a formula by a spreadsheet. A single ``-`` stands for none.
FileName = Annotated[str, Field(pattern=r"^\w[\w.-]*$", max_length=240)]
_UNSEEN = r"\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}"
Label = Annotated[str, Field(pattern=rf"^(-|[^=+@{_UNSEEN}-][^{_UNSEEN}]*)?$")]
Percent = Annotated[float, Field(ge=0, le=100)]


class StageUse(BaseModel):
    """A shared stage that a row depends on.

    Attributes:
        kind: ``encoder``, ``embeddings``, ``neighbors``, ``cluster-count``, ``pseudo-labels``, ``dynamics``,
            ``gradient-norms``, ``outputs`` or ``selection``.
        key: key in the cache, a SHA-256 of everything that decides its content.
        seconds: wall time of its computation, in whichever run it was computed.
        reused: whether it was stored before the run that wrote the row.
        paid_seconds: only in rows made before 2026-11-28, the row's part of the stage's ``seconds``. The cost of a
            folder follows from its rows: their ``train_seconds``, and the ``seconds`` of every distinct ``key`` once.
        peak_bytes: as ``train_peak_bytes``, for the process that computed the stage.
        peak_gpu_bytes: as ``train_peak_gpu_bytes``, for the process that computed the stage.
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
        schema_version: version of these fields; fields of a later version are empty in rows of an earlier one.
        protocol: version of the evaluation protocol; rows of different versions cannot be compared.
        cell_id: file name of the row and identity of the cell.
        config_sha256: SHA-256 of the cell's configuration as canonical JSON, which is everything that decides the
            result; its first 12 characters are the last of ``cell_id``. Empty in rows of version 1.
        dataset: name with the parameters that the user set, for example ``cifar10(pool_size=5000)``.
        dataset_version: declared version of the data set's reader.
        method: name of the method.
        variant: the method as the user wrote it, for example ``ccs(beta=0.3)``; one line of a table.
        method_version: declared version of the method.
        params: all parameters of the method.
        selection_code: digest of the code that selected the coreset: the method's source files and the versions of the
            shared stages that it uses; tables mark a mean over rows with different digests.
        supervision: what the method saw: ``none``, ``pseudo``, ``coreset`` or ``labels``.
        encoder: name with parameters, or ``-`` if the cell uses none.
        encoder_version: declared version of the encoder.
        encoder_supervision: what the encoder was trained with, or ``-``.
        encoder_weights: SHA-256 of the weights file, or empty.
        rate: fraction of the pool removed.
        budget: images kept.
        pool_size: images in the pool.
        seed: seed of clustering, proxy, selection and training.
        model: network trained on the coreset.
        model_version: declared version of the model.
        proxy_model: network whose training dynamics were observed, or ``-``.
        proxy_version: declared version of the proxy's network.
        proxy_recipe: how the proxy was trained; iterations and evaluations are not used. None without a proxy.
        recipe: how the model was trained.
        accuracy: test accuracy after the last iteration, in percent.
        best_accuracy: best test accuracy seen during training, in percent; for comparison with papers only.
        best_iteration: first iteration with ``best_accuracy``; multiplied by the batch size and divided by the budget,
            it is the epoch.
        flipped_accuracy: test accuracy after the last iteration, in percent, by the mean of the logits of each image
            and of its mirror image; left out unless the recipe has ``test_flip``.
        per_class_accuracy: last test accuracy of each class in percent, None for a class without test images.
        curve: pairs (iteration, test accuracy in percent).
        class_counts: images of each class in the coreset; computed after selection.
        test_class_counts: images of each class in the test split. Empty in rows of version 1.
        chosen: parameters that the method chose itself, for example beta if ``beta=auto``.
        judged: candidate -> judgement of its coreset by a judge that reads no label, in [0, 1], high = good; empty if
            the method used no judge.
        taken: the candidate whose coreset was taken; ``random 1`` if a guard took a random one.
        pseudo_labels: agreement of the selection's pseudo-labels with the true labels, computed after selection; None
            if the selection uses no pseudo-labels.
        scores_sha256: SHA-256 of the float32 little-endian bytes of the method's scores [N], high = hard; empty without
            scores. The file is ``scores/SHA256.npy``.
        indices_sha256: SHA-256 of the int64 little-endian bytes of the kept positions in the full training split; for a
            weighted coreset, of its records: each position followed by its weight as float64. The file is
            ``indices/CELL_ID.npy``.
        weighted: whether the coreset has a weight for each image, by which its loss is multiplied in training; left
            out if it has none.
        fingerprint: SHA-256 of the data set's content; for images in files, of their names and sizes.
        clean_fingerprint: fingerprint of the same images with their original labels; empty if no label was replaced.
        stages: shared stages that the coreset depends on, and the model's embeddings if it reads them; inputs first.
        train_seconds: wall time of training and evaluation.
        train_peak_bytes: peak resident memory of the process during training, libraries included; None if the system
            does not report it.
        train_peak_gpu_bytes: peak memory of torch on the GPU during training; None without a GPU.
        select_seconds: wall time of the selection itself, without its input stages.
        device: device that trained the model.
        threads: CPU threads of the trial.
        versions: package versions.
        git_revision: git revision of the working tree that produced the row; outside git BENCH_REVISION, or empty.
        git_dirty: whether that tree had uncommitted changes.
        created: time of writing in UTC, ISO 8601.
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
    flipped_accuracy: Percent | None = Field(default=None, exclude_if=lambda value: value is None)
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
    """Write ``row`` to ``folder/rows/<cell_id>.json`` as a whole or not at all, and return the path."""
    target = folder / "rows" / f"{row.cell_id}.json"
    write_atomically(target, row.model_dump_json(indent=1).encode())
    return target


def read_row(path: Path) -> Row:
    """Return the row in a file.

    Raises:
        RowError: the file is unreadable, truncated or does not fit the schema.
    """
    try:
        content = read_regular(path, at_most=MOST_BYTES)
        row = Row.model_validate_json(content, strict=True)
        # Parsed a second time, since pydantic takes the last of two equal keys; integers as text, since Python refuses
        # integers of more than 4,300 digits.
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
    """An object has a key twice; readers differ in which value they take."""


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise _Twice(next(name for number, (name, _) in enumerate(pairs) if name in dict(pairs[:number])))
    return content


def read_rows(folder: Path) -> Iterator[Row]:
    """Yield all rows in ``folder/rows``, in the order of their file names.

    Raises:
        RowError: a row is not valid.
    """
    for path in sorted((folder / "rows").glob("*.json")):
        yield read_row(path)


def runs_in(folder: Path) -> list[Path]:
    """Return the folders with rows that lie in a folder, in the order of their names."""
    return sorted(path.parent for path in folder.glob("*/rows"))
