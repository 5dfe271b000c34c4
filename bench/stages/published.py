"""Cells with a coreset from a file: nothing is selected, and their rows have the method ``indices``."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from pydantic import Field

from bench.identity import Frozen
from bench.parts import Supervision
from bench.stages.base import Stage
from bench.stages.training import Cell
from bench.weighted import Kept

if TYPE_CHECKING:
    from bench.results.rows import Row
    from bench.stages.session import Session


class Coreset(Frozen):
    """A file of positions that was checked against a data set.

    Attributes:
        of: name of the file in rows.
        sha256: SHA-256 of its positions, and of weights if any (``bench.results.published.coreset_sha256``); the path
            of the file does not matter.
        supervision: labels that the selection could see.
        budget: n.
        rate: the shortest rate that keeps n images of the data set's pool.
    """

    of: str
    sha256: str
    supervision: Supervision
    budget: int
    rate: float


class PublishedCell(Cell):
    """One training on a published coreset.

    Its ``params`` hold the coreset's ``sha256`` beside ``of``, only for the cell's id: the seeds in one line of a table
    may have different coresets, as with any method.

    Attributes:
        supervision: labels that the selection could see; not part of the id, since no accuracy depends on it.
        rests_on: encoder and proxy that the coreset depends on, as fields of the row that is reproduced.
        selection_code: code digest of that row.
    """

    supervision: Supervision = Field(exclude=True)
    rests_on: dict[str, Any] = Field(default={}, exclude=True)
    selection_code: str = Field(default="", exclude=True)

    def made(self, row: Row) -> bool:
        """Return whether a row with the cell's id has the same supervision, which is not part of the id."""
        return row.supervision == self.supervision

    def table_fields(self) -> dict[str, Any]:
        return {**super().table_fields(), **self.rests_on}

    def stages(self) -> list[Stage]:
        return list(self.model_stages())

    def coreset(self, session: Session, computed: Collection[str]) -> tuple[Kept, dict[str, Any]]:
        """Return the same as ``Cell.coreset``, read from the file.

        Raises:
            DataError: the file is not the one that the run was planned with.
        """
        from bench.results.published import pool_positions

        positions, weights = session.coreset(self.params["sha256"])
        # Both orders are ascending, so that each weight stays with its image.
        return Kept(pool_positions(positions, session.dataset(self.dataset)), weights), {
            "params": {"of": self.params["of"]},
            "selection_code": self.selection_code,
            "supervision": self.supervision,
            "stages": [],
            "select_seconds": 0.0,
        }
