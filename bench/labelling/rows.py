"""Embeddings that are read as float32 in parts and stay where they are, such as in a memory-mapped file."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.errors import DataError

BLOCK = 4096
"""Rows that are converted at a time when all rows are read."""


class Rows(Protocol):
    """Embeddings of N items, float32 [N, D]: an array, or an object that is indexed like one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, D)."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Any:
        """Return float32 [M, D], for a slice or for int64 [M] positions."""
        ...


@dataclass(frozen=True, eq=False)
class StoredRows:
    """A matrix of numbers of any type, of which only the requested rows are converted.

    Attributes:
        stored: numbers [N, D]. Not modified.
        exponent: every number is divided by 2**exponent.
    """

    stored: NDArray[Any]
    exponent: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return self.stored.shape

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        part = np.asarray(self.stored[index])
        # Numbers that overflow float32 become infinite, which ``as_vectors`` counts and reports.
        with np.errstate(over="ignore"):
            # Dividing by a power of two is exact.
            return np.array(np.ldexp(part, -self.exponent) if self.exponent else part, dtype=np.float32, order="C")


@dataclass(frozen=True, eq=False)
class RowsAt:
    """Some of the rows, in any order; the others are not read.

    Attributes:
        rows: all rows.
        positions: int64 [M], positions of the rows to read.
    """

    rows: Rows
    positions: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.positions), *self.rows.shape[1:])

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        return self.rows[self.positions[index]]


def unmasked(name: str, values: ArrayLike) -> NDArray[Any]:
    """Return values as an array; refuse masked entries, since masks would be ignored here.

    Args:
        name: name of the argument, for the message.
        values: anything that numpy takes for an array.

    Raises:
        DataError: an entry is masked.
    """
    if isinstance(values, np.ma.MaskedArray) and (masked := np.ma.getmaskarray(values)).any():
        first = tuple(int(axis[0]) for axis in np.nonzero(np.atleast_1d(masked)))
        raise DataError(
            f"{name} is a masked array of which {int(masked.sum()):,} of {masked.size:,} values are masked, the first "
            f"at {list(first)}; masks are not used here. Leave those items out, or fill them: {name}.filled(...)."
        )
    return np.asarray(values)


def rows_at(rows: Rows, positions: NDArray[np.int64]) -> Rows:
    """Return the rows at ascending, unique positions."""
    # All rows are read by slices, which is faster from a file on disk than positions.
    return rows if len(positions) == len(rows) else RowsAt(rows, positions)


def in_blocks(rows: Rows, size: int = BLOCK) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield all rows in blocks: the slice of a block, and its float32 [at most ``size``, D]."""
    for start in range(0, len(rows), size):
        inside = slice(start, min(start + size, len(rows)))
        yield inside, rows[inside]


def contents_of(rows: Rows) -> list[Hashable]:
    """Return an object for each row, the same for equal rows."""
    return [hash(row.tobytes()) for _, part in in_blocks(rows) for row in part + 0.0]  # -0 and 0 are equal
