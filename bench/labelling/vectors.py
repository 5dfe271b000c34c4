"""Embeddings that the user brings: text, audio, tables, or images that were embedded elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.plain_files import check_regular

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.lib.npyio import NpzFile

_EXTREME = 2.0**40
"""Between this and its inverse, squares of float32 and sums of very many of them hold all their digits."""

_NAMES = ("file", "item", "name", "id")


def read_embeddings(path: Path) -> tuple[NDArray[np.float32], list[str] | None]:
    """Read embeddings from a ``.npy``, ``.npz`` or ``.parquet`` file; nothing in it is executed.

    Args:
        path: a matrix of numbers [N, D], one line per item. An archive holds one array, or one named ``embeddings``; a
            Parquet file a column of lists of numbers, and perhaps names in a column ``file``, ``item``, ``name`` or
            ``id``.

    Returns:
        float32 [N, D], and the items' names where the file has them.

    Raises:
        DataError: unreadable, another shape or type, fewer than 2 items, or a number that is not finite.
    """
    if path.suffix.lower() == ".parquet":
        return _from_parquet(path)
    try:
        check_regular(path, path.stat().st_mode)
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(stored, np.ndarray):
            with stored:
                stored = _from_archive(stored, path)
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        kind = ".npz" if path.suffix.lower() == ".npz" else ".npy"
        raise DataError(f"cannot read {path} as a {kind} file: {reason}.") from error
    return as_vectors(stored, str(path)), None


def _from_archive(stored: NpzFile, path: Path) -> NDArray[Any]:
    if "embeddings" in stored.files or len(stored.files) == 1:
        return np.asarray(stored["embeddings" if "embeddings" in stored.files else stored.files[0]])
    raise DataError(
        f"{path} is an archive of {len(stored.files)} arrays ({', '.join(stored.files) or 'none'}); expected one "
        "matrix [N, D], or one named embeddings."
    )


def _from_parquet(path: Path) -> tuple[NDArray[np.float32], list[str] | None]:
    import pyarrow as pa
    import pyarrow.compute
    import pyarrow.parquet as pq

    try:
        check_regular(path, path.stat().st_mode)
        file = pq.ParquetFile(path)
        fields = file.schema_arrow
        lists = [field.name for field in fields if pa.types.is_list(field.type) or _is_fixed(field.type)]
        if len(lists) > 1:
            lists = [name for name in lists if name in ("embeddings", "embedding")]
        if len(lists) != 1:
            raise DataError(
                f"{path} has the columns {', '.join(fields.names)}; expected one of lists of numbers, or one named "
                "embeddings."
            )
        table = file.read(columns=[*lists, *(name for name in _NAMES if name in fields.names)])
    except (OSError, pa.ArrowException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"cannot read {path} as a .parquet file: {reason}.") from error
    column = table.column(lists[0]).combine_chunks()
    widths = pa.compute.unique(pa.compute.list_value_length(column)).to_pylist()
    if len(widths) != 1 or not widths[0]:
        raise DataError(
            f"{path}: column {lists[0]} has lists of different lengths, or empty ones; expected D numbers each."
        )
    matrix = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), widths[0])
    own = next((name for name in _NAMES if name in table.column_names), None)
    return as_vectors(matrix, str(path)), None if own is None else [str(v) for v in table.column(own).to_pylist()]


def _is_fixed(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind))


def as_vectors(stored: NDArray[Any], name: str) -> NDArray[np.float32]:
    """Check and copy a matrix of numbers [N, D]; one of extreme scale is divided by a power of two.

    Which items are near each other does not depend on the scale, but squares of 1e-30 are 0 in float32, and those of
    1e19 infinite.

    Args:
        stored: one line per item.
        name: what holds it, for messages.

    Raises:
        DataError: another shape or type, fewer than 2 items, no features, or a number that is not finite.
    """
    if stored.ndim != 2 or stored.dtype.kind not in "fiu" or len(stored) < 2 or not stored.shape[1]:
        raise DataError(
            f"{name} holds {stored.dtype} of shape {stored.shape}; expected numbers of shape [N, D], one line for each "
            "of at least 2 items."
        )
    largest = max(float(stored.max()), -float(stored.min()))
    if 0 < largest <= float(np.finfo(np.float32).max) and not 1 / _EXTREME < largest < _EXTREME:
        stored = np.ldexp(stored, -int(np.frexp(largest)[1]))
    with np.errstate(over="ignore"):
        embeddings = np.array(stored, dtype=np.float32)
    bad = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
    if len(bad):
        raise DataError(
            f"{name} holds NaN, infinity or numbers too large for float32 in {len(bad)} of {len(embeddings)} "
            f"lines, first in line {bad[0]} (counted from 0)."
        )
    return embeddings
