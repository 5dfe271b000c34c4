"""Result rows: one JSON file per finished cell, written atomically, read back through a schema."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import RowError, lower_first
from bench.plugins import Supervision
from bench.recipe import Recipe

PROTOCOL = 1
"""Version of the evaluation protocol. Rows of different versions are never shown in one table."""


class StageUse(BaseModel):
    """One shared stage that a row's selection rests on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    key: str
    seconds: float
    reused: bool


class Row(BaseModel):
    """The result of one cell.

    Attributes:
        cell_id: file name of the row and identity of the cell.
        dataset: name with the parameters that the user set, for example ``cifar10(pool_size=5000)``.
        method: name of the method.
        variant: the method as the user wrote it, for example ``ccs(beta=0.3)``; one line of a table.
        method_version: the method's declared version.
        params: all its parameters.
        supervision: what the method saw: ``none``, ``pseudo``, ``coreset`` or ``labels``.
        encoder: name with parameters, or ``-`` where the cell uses none.
        encoder_supervision: what the encoder was trained with, or ``-``.
        encoder_weights: SHA-256 of the weights file, or empty.
        rate: fraction of the pool removed.
        budget: images kept.
        pool_size: images in the pool.
        seed: seed of clustering, proxy, selection and training.
        model: network trained on the coreset.
        proxy_model: network that training dynamics were observed on, or ``-``.
        recipe: how the model was trained.
        accuracy: test accuracy after the last iteration, in percent.
        best_accuracy: best test accuracy seen during training, in percent; for comparison with papers only.
        per_class_accuracy: test accuracy of each class in percent, None for a class without test images.
        curve: pairs (iteration, test accuracy in percent).
        class_counts: images of each class in the coreset; computed after selection.
        chosen: parameters that the method chose itself, for example beta where ``beta=auto``.
        scores_sha256: of the float32 little-endian bytes of the method's scores [N], high = hard; empty without any.
        indices_sha256: of the int64 little-endian bytes of the kept positions in the full training split.
        fingerprint: SHA-256 of the data set's content.
        stages: shared stages that the selection rests on.
        train_seconds: wall time of training and evaluation.
        select_seconds: wall time of the selection itself, without its stages.
        device: what trained the model.
        threads: CPU threads of the trial.
        versions: package versions.
        git_revision: of the working tree that produced the row, or empty.
        git_dirty: whether that tree had uncommitted changes.
        created: UTC, ISO 8601.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    schema_version: Literal[1] = 1
    protocol: int = PROTOCOL
    cell_id: str
    dataset: str
    method: str
    variant: str
    method_version: int = 1
    params: dict[str, Any]
    supervision: Supervision
    encoder: str
    encoder_supervision: str
    encoder_weights: str
    rate: Annotated[float, Field(ge=0, lt=1)]
    budget: Annotated[int, Field(ge=0)]
    pool_size: Annotated[int, Field(ge=1)]
    seed: int
    model: str
    proxy_model: str
    recipe: Recipe
    accuracy: Annotated[float, Field(ge=0, le=100)]
    best_accuracy: Annotated[float, Field(ge=0, le=100)]
    per_class_accuracy: list[float | None]
    curve: list[tuple[int, float]]
    class_counts: list[int]
    chosen: dict[str, float] = {}
    scores_sha256: str = ""
    indices_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    fingerprint: str
    stages: list[StageUse]
    train_seconds: float
    select_seconds: float
    device: str
    threads: int
    versions: dict[str, str]
    git_revision: str
    git_dirty: bool
    created: str


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
        return Row.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RowError(f"cannot read the row {path}: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise RowError(f"{path} is not a valid row: {where}: {lower_first(first['msg'])}.") from None


def read_rows(folder: Path) -> Iterator[Row]:
    """All rows below ``folder/rows``, in the order of their file names.

    Raises:
        RowError: one of them is not valid.
    """
    for path in sorted((folder / "rows").glob("*.json")):
        yield read_row(path)


def write_atomically(target: Path, content: bytes) -> None:
    """Write a temporary file beside ``target``, flush it to disk and rename it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f".tmp-{uuid.uuid4().hex}"
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
