"""Published coresets and scores: plain ``.npy`` files, named in the row by SHA-256 and checked when read back.

A coreset with weights is one file too, of records (index, weight): indices and weights cannot be separated, one hash
covers both, and a reader that expects only positions fails at the type instead of training without the weights.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.data import Dataset
from bench.errors import DataError, SelectionError, lower_first
from bench.grammar import parse_call
from bench.plain_files import read_regular
from bench.store.files import write_atomically
from bench.units import counted
from bench.weighted import Kept, check_weights

if TYPE_CHECKING:
    from bench.results.rows import Row

_MOST_BYTES = 1 << 30
"""Largest size of a file: the positions of 134 million images."""
_RECORD = np.dtype([("index", "<i8"), ("weight", "<f8")])


def coreset_sha256(indices: NDArray[np.integer], weights: NDArray[np.float64] | None = None) -> str:
    """Return the SHA-256 of the sorted positions as little-endian int64, each followed by its weight if it has one."""
    return hashlib.sha256(_content(indices, weights).tobytes()).hexdigest()


def indices_path(out: Path, cell_id: str) -> Path:
    """Return the path of a row's coreset in the run's folder."""
    return out / "indices" / f"{cell_id}.npy"


def scores_path(out: Path, sha256: str) -> Path:
    """Return the path of scores, named by their content, since all rates of a method at one seed share them."""
    return out / "scores" / f"{sha256}.npy"


def write_indices(
    indices: NDArray[np.int64], out: Path, cell_id: str, weights: NDArray[np.float64] | None = None
) -> str:
    """Write a coreset, sorted by positions in the full training split, and its weights; return ``coreset_sha256``."""
    write_atomically(indices_path(out, cell_id), _npy(_content(indices, weights)))
    return coreset_sha256(indices, weights)


def write_scores(scores: NDArray[np.float32] | None, out: Path) -> str:
    """Write scores [N], high = hard; return the SHA-256 of their little-endian float32 bytes, empty for None."""
    if scores is None:
        return ""
    plain = scores.astype("<f4")
    digest = hashlib.sha256(plain.tobytes()).hexdigest()
    # Files are named by content, so an existing file is the same.
    if not scores_path(out, digest).exists():
        write_atomically(scores_path(out, digest), _npy(plain))
    return digest


def read_indices(path: Path, *, sha256: str = "") -> NDArray[np.int64]:
    """Return only the positions of a published coreset, int64 [n], sorted; see ``read_coreset``."""
    return read_coreset(path, sha256=sha256).indices


def read_coreset(path: Path, *, sha256: str = "") -> Kept:
    """Return a published coreset with its weights.

    Args:
        path: ``.npy`` file of whole numbers, one dimension, any order; or of records (``index``, ``weight``).
        sha256: expected ``coreset_sha256``; empty to skip the check.

    Returns:
        Its n >= 2 positions, at least 0, and their weights if it has any.

    Raises:
        DataError: the file is unreadable or holds another kind of array, a position is repeated or negative, a weight
            is not above 0, or the hash differs.
    """
    array, weights = _read(path), None
    if array.dtype.names == _RECORD.names and array.ndim == 1:
        array, weights = array["index"], array["weight"]
    if array.ndim != 1 or array.dtype.kind not in "iu" or len(array) < 2:
        raise DataError(
            f"{path} holds {array.dtype} of shape {array.shape}; a coreset is one row of at least 2 whole numbers, "
            "the positions of its images in the full training split, or of records (index, weight)."
        )
    order = np.argsort(array)
    indices = array.astype(np.int64)[order]
    if weights is not None:
        try:
            weights = check_weights(weights, len(indices), str(path))[order]
        except SelectionError as error:
            raise DataError(str(error)) from error
    if indices[0] < 0:
        raise DataError(f"{path} holds the position {indices[0]}; positions start at 0.")
    repeated = np.unique(indices[1:][indices[1:] == indices[:-1]])
    if len(repeated):
        raise DataError(f"{path} holds {counted(len(repeated), 'position')} more than once ({repeated[0]} first).")
    digest = coreset_sha256(indices, weights)
    if sha256 and digest != sha256:
        raise DataError(f"{path} is not the coreset that was published: SHA-256 {digest}, not {sha256}.")
    return Kept(indices, weights)


def read_scores(path: Path, *, sha256: str) -> NDArray[np.float32]:
    """Return published scores [N], high = hard.

    Raises:
        DataError: the file is unreadable or not float32, or the hash differs.
    """
    array = _read(path)
    if array.dtype != np.float32:
        raise DataError(f"{path} holds {array.dtype}; scores are float32.")
    digest = hashlib.sha256(array.astype("<f4").tobytes()).hexdigest()
    if digest != sha256:
        raise DataError(f"{path} is damaged: SHA-256 {digest}, not {sha256}.")
    return array


def find_coreset(row: Row, folders: Iterable[Path]) -> NDArray[np.int64] | None:
    """Return a row's coreset from the first folder that has it, see ``read_indices``; None if no folder has it."""
    paths = (indices_path(folder, row.cell_id) for folder in folders)
    return next((read_indices(path, sha256=row.indices_sha256) for path in paths if path.exists()), None)


def find_scores(row: Row, folders: Iterable[Path]) -> NDArray[np.float32] | None:
    """Return a row's scores from the first folder that has them, see ``read_scores``; None if no folder has them."""
    paths = (scores_path(folder, row.scores_sha256) for folder in folders if row.scores_sha256)
    return next((read_scores(path, sha256=row.scores_sha256) for path in paths if path.exists()), None)


def is_whole_split(dataset: str) -> bool:
    """Return whether the pool of a row's ``dataset`` is the full training split, so that positions are the same."""
    call = parse_call(dataset)
    return "pool_size" not in call.params and "imbalance" not in call.modifiers


def pool_positions(indices: NDArray[np.int64], dataset: Dataset) -> NDArray[np.int64]:
    """Return the positions in the pool of images that are given by positions in the full training split.

    Args:
        indices: int64 [n], sorted positions in the full training split.
        dataset: its ``pool_index`` is sorted.

    Returns:
        int64 [n], sorted positions in the pool.

    Raises:
        DataError: an image is not in the pool.
    """
    index = dataset.pool_index
    # Clipped: a position beyond the last of the pool is compared with the last, from which it differs.
    positions = np.minimum(np.searchsorted(index, indices), len(index) - 1)
    outside = indices[index[positions] != indices]
    if len(outside):
        raise DataError(
            f"{len(outside)} of {len(indices)} positions are not in the pool of {len(index)} images, which lie "
            f"at {index[0]} to {index[-1]} of the training split ({outside[0]} first); another data set or pool size?"
        )
    return positions


def _read(path: Path) -> NDArray[Any]:
    """Return the array of a ``.npy`` file; refuse files that are not regular, or longer than their header says."""
    try:
        content = io.BytesIO(read_regular(path, at_most=_MOST_BYTES))
        array = np.lib.format.read_array(content, allow_pickle=False)
        # numpy reads only what the header announces and would ignore the rest.
        if content.read(1):
            raise ValueError("it is longer than its header says")
        return array
    except Exception as error:  # numpy parses the header as Python text, whose tokenizer raises its own errors
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"cannot read {path} as a .npy file: {lower_first(reason).rstrip('.')}.") from error


def _content(indices: NDArray[np.integer], weights: NDArray[np.float64] | None) -> NDArray[Any]:
    order = np.argsort(indices)
    if weights is None:
        return indices[order].astype("<i8")
    records = np.empty(len(indices), dtype=_RECORD)
    records["index"], records["weight"] = indices[order], weights[order]
    return records


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
