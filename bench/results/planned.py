"""The planned cells of a folder, ``OUT/planned.json``, so that a table can say what is missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.errors import RowError
from bench.grammar import family
from bench.identity import NO_ENCODER
from bench.plain_files import read_regular
from bench.results.rows import Label
from bench.store.cache import held
from bench.store.files import write_atomically
from bench.units import counted, in_percent

if TYPE_CHECKING:
    from bench.stages.training import Cell

NAME = "planned.json"
_LOCK = ".planned.lock"
_MOST_BYTES = 100_000_000


class GridPoint(NamedTuple):
    """A cell's coordinates in tables, the same for every version of its method and however its grid is enlarged."""

    dataset: Label
    variant: Label
    encoder: Label
    model: Label
    rate: float
    seed: int


class Planned(BaseModel):
    """Content of the file: all cells that any `bench run` into the folder planned."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    cells: tuple[GridPoint, ...] = ()


def write_planned(out: Path, cells: Iterable[Cell]) -> None:
    """Add the cells of a grid to the planned cells of the folder."""
    points = (
        GridPoint(
            cell.dataset.label,
            family(cell.variant),
            cell.table_fields()["encoder"],  # of a retrained row, the encoder that selected its coreset
            cell.model.label,
            round(cell.rate, 9),
            cell.seed,
        )
        for cell in cells
    )
    out.mkdir(parents=True, exist_ok=True)
    # Several runs into one folder, such as the jobs of an array, may begin at the same moment.
    with held(out / _LOCK):
        # A second run may add a rate or a method; the cells of the first stay planned.
        planned = Planned(cells=tuple(dict.fromkeys((*read_planned([out]), *points))))
        write_atomically(out / NAME, planned.model_dump_json().encode())


def read_planned(folders: Iterable[Path]) -> tuple[GridPoint, ...]:
    """Return the planned cells of the folders; none for folders without the file, such as published ones.

    Raises:
        RowError: the file is damaged.
    """
    points: dict[GridPoint, None] = {}
    for path in (folder / NAME for folder in folders):
        if not path.exists():
            continue
        try:
            points |= dict.fromkeys(Planned.model_validate_json(read_regular(path, at_most=_MOST_BYTES)).cells)
        except (OSError, ValidationError) as error:
            raise RowError(f"{path} cannot be read; delete it, and tables no longer say which cells miss.") from error
    return tuple(points)


def grid_point(row: Any) -> GridPoint:
    """Return the grid point of a row, or of a line of a frame of rows."""
    return GridPoint(row.dataset, family(row.variant), row.encoder, row.model, round(row.rate, 9), row.seed)


def missing_words(planned: Sequence[GridPoint], finished: Collection[GridPoint]) -> str:
    """Return in words which planned cells have no row; empty if none is missing.

    For example ``6 of 150 cells have a row; missing: elfs: all; aum: seed 2 at 90 %``.
    """
    missing = [point for point in planned if point not in finished]
    if not missing:
        return ""
    # Data set, encoder and model are only named if there are several.
    varying = [number for number in (0, 2, 3) if len({point[number] for point in planned} - {NO_ENCODER}) > 1]
    lines: defaultdict[tuple[str, ...], list[GridPoint]] = defaultdict(list)
    for point in missing:
        lines[point[:4]].append(point)
    # A line without any row is "all", without a list of seeds and rates.
    begun = {point[:4] for point in finished}
    parts = [
        f"{', '.join([line[1], *(line[number] for number in varying)])}: "
        f"{'; '.join(_cells(points)) if line in begun else 'all'}"
        for line, points in lines.items()
    ]
    count = len(planned) - len(missing)
    have = "has" if count == 1 else "have"
    return f"{count} of {counted(len(planned), 'cell')} {have} a row; missing: {'; '.join(parts)}"


def _cells(points: Sequence[GridPoint]) -> Iterator[str]:
    """Yield missing cells in words, ``seeds 1, 2 at 50, 70 %``, with rates that miss the same seeds together."""
    seeds: defaultdict[float, list[int]] = defaultdict(list)
    for point in points:
        seeds[point.rate].append(point.seed)
    rates: defaultdict[tuple[int, ...], list[str]] = defaultdict(list)
    for rate, lacking in sorted(seeds.items()):
        rates[tuple(sorted(lacking))].append(in_percent(rate))
    for numbers, at in rates.items():
        yield f"seed{'s' * (len(numbers) != 1)} {', '.join(map(str, numbers))} at {', '.join(at)} %"
