"""The user's own embeddings: of texts, audio, tables, or images that were embedded elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.labelling.rows import BLOCK, StoredRows, in_blocks
from bench.labelling.tables import NAMES, column_of
from bench.plain_files import check_regular
from bench.units import some_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.lib.npyio import NpzFile

_EXTREME = 2.0**40
"""Between this and its inverse, squares of float32 numbers and large sums of them keep all their digits."""

_NPY = b"\x93NUMPY"

_NAMES = (*NAMES, "id")
_TORCH = (".pt", ".pth")
_SHOWN = 5
"""Most columns that an error shows."""


def read_embeddings(path: Path) -> tuple[StoredRows, list[str] | None]:
    """Return the embeddings in a ``.npy``, ``.npz`` or ``.parquet`` file; nothing in it is executed.

    A ``.npy`` file is memory-mapped and read when it is needed, so it must not change.

    Args:
        path: file with a matrix of numbers [N, D], one line per item. An archive has one array, or one named
            ``embeddings``, and beside it optionally one of N names, ``names``; a Parquet file has a column of lists of
            numbers, and optionally names in a column ``file``, ``item``, ``name``, ``filepath``, ``filename``, ``path``
            or ``id``. An archive may call its names like that too.

    Returns:
        Rows [N, D] that are read as float32, and the items' names if the file has them.

    Raises:
        DataError: the file is unreadable, has another shape or type, fewer than 2 items, numbers that are not finite,
            or a missing name.
    """
    if path.suffix.lower() == ".parquet":
        return _from_parquet(path)
    names: list[str] | None = None
    try:
        check_regular(path, path.stat().st_mode)
        _check_kind(path)
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(stored, np.ndarray):
            with stored:
                stored, names = _from_archive(stored, path)
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).rstrip(".")
        if "object" in str(reason).lower():
            numbers = "numbers, such as np.stack(list_of_vectors), and names.astype(str)"
            reason = f"it holds Python objects, which are not read; save {numbers}"
        kind = ".npz" if path.suffix.lower() == ".npz" else ".npy"
        raise DataError(f"cannot read {path} as a {kind} file: {reason}.") from error
    return as_vectors(stored, str(path)), names


def _check_kind(path: Path) -> None:
    """Refuse files that are not numpy's: numpy takes them for pickles, and its message says how to run their code."""
    torch_file = path.suffix.lower() in _TORCH  # a zip archive, as .npz is
    with path.open("rb") as file:
        begin = file.read(len(_NPY))
    if begin and begin != _NPY and (torch_file or not begin.startswith(b"PK")):
        hint = f' For a tensor: np.save("{path.stem}.npy", torch.load("{path.name}").numpy()).' if torch_file else ""
        if begin.startswith(b"PAR1"):
            hint = " It is a Parquet file: name it .parquet."
        elif path.suffix.lower() in (".csv", ".tsv", ".txt"):
            hint = f' For a table of numbers alone: np.save("{path.stem}.npy", pd.read_csv("{path.name}").to_numpy()).'
        raise DataError(f"{path} is not a .npy, .npz or .parquet file, which embeddings are read from.{hint}")


def _from_archive(stored: NpzFile, path: Path) -> tuple[NDArray[Any], list[str] | None]:
    if len(stored.files) == 1:
        return stored[stored.files[0]], None
    if "embeddings" in stored.files:
        matrix, named = stored["embeddings"], column_of(stored.files, ("names", *_NAMES))
        names = None if named is None else stored[stored.files[named]]
        # Other lengths are names of something else, such as the classes.
        return matrix, None if names is None or names.shape != matrix.shape[:1] else [str(name) for name in names]
    raise DataError(
        f"{path} is an archive of {len(stored.files)} arrays ({', '.join(stored.files) or 'none'}); expected one "
        "matrix [N, D], or one named embeddings."
    )


def _from_parquet(path: Path) -> tuple[StoredRows, list[str] | None]:
    import pyarrow as pa
    import pyarrow.compute
    import pyarrow.parquet as pq

    try:
        check_regular(path, path.stat().st_mode)
        file = pq.ParquetFile(path)
        fields = file.schema_arrow
        lists = [field.name for field in fields if pa.types.is_list(field.type) or _is_fixed(field.type)]
        # With several columns of lists, such as tags and embeddings, only a name tells which is meant.
        if len(lists) > 1:
            lists = [name for name in lists if name in ("embeddings", "embedding")]
        if len(lists) != 1:
            copy = f'np.save("{path.stem}.npy", pd.read_parquet("{path.name}").to_numpy())'
            raise DataError(
                f"{path} has the columns {some_of(fields.names, _SHOWN)}; expected one of lists of numbers, or one "
                f"named embeddings.{'' if lists else f' For a table of numbers alone: {copy}.'}"
            )
        named = column_of(fields.names, _NAMES)
        table = file.read(columns=[*lists, *([] if named is None else [fields.names[named]])])
    except (OSError, pa.ArrowException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"cannot read {path} as a .parquet file: {reason}.") from error
    column = table.column(lists[0])
    widths = pa.compute.unique(pa.compute.list_value_length(column)).to_pylist()
    if len(widths) != 1 or not widths[0]:
        raise DataError(
            f"{path}: column {lists[0]} has lists of different lengths, or empty ones; expected D numbers each."
        )
    # By chunks: Arrow counts the numbers of an array in 32 bits, which 1,000,000 x 3,072 exceeds.
    parts = [chunk.flatten().to_numpy(zero_copy_only=False).reshape(len(chunk), widths[0]) for chunk in column.chunks]
    matrix = np.concatenate(parts)
    if named is None:
        return as_vectors(matrix, str(path)), None
    name_column = fields.names[named]
    names = table.column(name_column).to_pylist()
    if None in names:
        raise DataError(
            f"{path}: column {name_column} is empty in {names.count(None):,} of {len(names):,} lines, first in line "
            f"{names.index(None)} (counted from 0); expected a name for each, or no such column."
        )
    return as_vectors(matrix, str(path)), [str(name) for name in names]


def _is_fixed(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind))


def _parts(stored: NDArray[Any]) -> Iterator[NDArray[Any]]:
    return (stored[start : start + BLOCK] for start in range(0, len(stored), BLOCK))


def as_vectors(stored: NDArray[Any], name: str) -> StoredRows:
    """Return a checked matrix of numbers [N, D]; numbers of extreme scale are divided by a power of two.

    The scale does not change which items are near each other, but in float32 squares of 1e-30 are 0, and squares of
    1e19 infinite. The matrix is read in blocks.

    Args:
        stored: one line per item. Not modified, and not copied.
        name: file or argument that holds it, for messages.

    Raises:
        DataError: the matrix has another shape or type, fewer than 2 items, no features, numbers that are not finite,
            or only equal lines.
    """
    if stored.ndim != 2 or stored.dtype.kind not in "fiu" or len(stored) < 2 or not stored.shape[1]:
        raise DataError(
            f"{name} holds {stored.dtype} of shape {stored.shape}; expected numbers of shape [N, D], one line for each "
            "of at least 2 items."
        )
    rows = StoredRows(stored)
    # Not ``abs``: of the smallest integer it is negative.
    largest = max(max(float(part.max()), -float(part.min())) for part in _parts(stored))
    if all((part == stored[0]).all() for part in _parts(stored)):
        raise DataError(f"{name} holds {len(stored):,} lines that are all the same: nothing tells the items apart.")
    if 0 < largest <= float(np.finfo(np.float32).max) and not 1 / _EXTREME < largest < _EXTREME:
        rows = StoredRows(stored, int(np.frexp(largest)[1]))
    bad = [inside.start + np.flatnonzero(~np.isfinite(part).all(axis=1)) for inside, part in in_blocks(rows)]
    if count := sum(map(len, bad)):
        raise DataError(
            f"{name} holds NaN, infinity or numbers too large for float32 in {count} of {len(stored)} "
            f"lines, first in line {np.concatenate(bad)[0]} (counted from 0)."
        )
    return rows
