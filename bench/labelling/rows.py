"""Embeddings that stay where they are, such as in a memory-mapped file, and are read as float32 a part at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.errors import DataError

BLOCK = 4096
"""Rows that are converted at a time where all are looked through."""


class Rows(Protocol):
    """N items' embeddings, float32 [N, D]: an array, or what is read like one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, D)."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Any:
        """Float32 [M, D], by a slice or by int64 [M] positions."""
        ...


@dataclass(frozen=True, eq=False)
class StoredRows:
    """A matrix of numbers of any type, which is never converted whole unless it is asked for whole.

    Attributes:
        stored: numbers [N, D]. Not modified.
        exponent: every number is divided by 2 to the power of this.
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
        # What overflows float32 becomes infinite, which ``as_vectors`` counts and names.
        with np.errstate(over="ignore"):
            # A division by a power of two rounds no digit.
            return np.array(np.ldexp(part, -self.exponent) if self.exponent else part, dtype=np.float32, order="C")


@dataclass(frozen=True, eq=False)
class RowsAt:
    """Some of the rows, in an order of their own; the others are not read.

    Attributes:
        rows: of which they are.
        positions: int64 [M].
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


def unmasked(name: str, given: ArrayLike) -> NDArray[Any]:
    """Return what a caller gave as an array; refuse one with masked entries, since nothing here would heed a mask.

    Args:
        name: of the argument, for the message.
        given: anything that numpy takes for an array.

    Raises:
        DataError: see above.
    """
    if isinstance(given, np.ma.MaskedArray) and (masked := np.ma.getmaskarray(given)).any():
        first = tuple(int(axis[0]) for axis in np.nonzero(np.atleast_1d(masked)))
        raise DataError(
            f"{name} is a masked array of which {int(masked.sum()):,} of {masked.size:,} values are masked, the first "
            f"at {list(first)}; masks are not used here. Leave those items out, or fill them: {name}.filled(...)."
        )
    return np.asarray(given)


def rows_at(rows: Rows, positions: NDArray[np.int64]) -> Rows:
    """Return the rows at some positions, ascending and unique: all of them are the rows themselves."""
    # The rows themselves are read by slices, which a file on disk gives faster than positions.
    return rows if len(positions) == len(rows) else RowsAt(rows, positions)


def in_blocks(rows: Rows, size: int = BLOCK) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Read all rows, some at a time; yields where they lie, and float32 [at most ``size``, D]."""
    for start in range(0, len(rows), size):
        inside = slice(start, min(start + size, len(rows)))
        yield inside, rows[inside]
