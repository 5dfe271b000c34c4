"""From rows to blocks of an accuracy table: one block per data set, encoder and model; nothing averages over holes."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from bench.calls import Call, family, parse_call
from bench.errors import RowError, SpecError
from bench.plugins import SUPERVISIONS, Supervision
from bench.recipe import Recipe
from bench.reported import Reported, reported
from bench.rows import Row, read_rows
from bench.stats import Summary, summarize

Metric = Literal["last", "best"]
DECIMALS = 1
NO_ENCODER = "-"
FULL = "full"
# Fields that must agree in a block; a row that has no encoder or proxy says nothing about the other rows' one.
_CONSTANT = ("protocol", "recipe", "pool_size", "fingerprint")
_OF_ENCODER = ("encoder_supervision", "encoder_weights")


@dataclass(frozen=True)
class Cell:
    """One method at one rate.

    Attributes:
        summary: over seeds; None where there is no row.
        seeds: ascending.
        complete: whether it has as many seeds as the pruned cell of the block that has most.
        best: whether it is the best of its column among complete cells of its family (see ``Line.family``).
        reported: the papers' number, where asked for and known.
    """

    summary: Summary | None = None
    seeds: tuple[int, ...] = ()
    complete: bool = False
    best: bool = False
    reported: Reported | None = None

    @property
    def difference(self) -> float | None:
        """Ours minus reported, in points."""
        if self.summary is None or self.reported is None:
            return None
        return self.summary.mean - self.reported.accuracy


@dataclass(frozen=True)
class Line:
    """One method with one set of parameters.

    Attributes:
        label: what a reader sees: the method's name, or the variant where the block has several of it.
        method: name.
        variant: the method as the user wrote it.
        supervision: what it saw.
        encoder: its rows' own encoder, or ``-``.
        cells: one per rate of the block; for ``full`` exactly one.
        average: mean of the cells; None unless every cell is complete.
        best_average: whether ``average`` is the best of its family.
    """

    label: str
    method: str
    variant: str
    supervision: Supervision
    encoder: str
    cells: tuple[Cell, ...]
    average: float | None = None
    best_average: bool = False

    @property
    def family(self) -> bool:
        """Whether the method read true labels, all or its coreset's; best cells are marked in each family apart."""
        return self.supervision in ("coreset", "labels")


@dataclass(frozen=True)
class Block:
    """All methods on one data set, with one encoder and one model.

    Attributes:
        dataset: name with parameters.
        encoder: name with parameters, or ``-`` where no row has one.
        model: name with parameters.
        metric: which accuracy.
        rates: ascending.
        full: no pruning, where it was run.
        lines: in the order of ``bench.plugins.SUPERVISIONS``, label-free first.
        rows: what the block was made of, in a fixed order.
        max_seeds: seeds of the pruned cell that has most; 0 without one.
    """

    dataset: str
    encoder: str
    model: str
    metric: Metric
    rates: tuple[float, ...]
    full: Line | None
    lines: tuple[Line, ...]
    rows: tuple[Row, ...]
    max_seeds: int

    @property
    def all_lines(self) -> tuple[Line, ...]:
        """``full`` first, where it was run, then the pruned ones."""
        return (self.full, *self.lines) if self.full else self.lines

    def rows_of(self, line: Line, rate: float) -> dict[int, Row]:
        """Seed -> row of one of the block's lines at one rate, in the rows' order."""
        return {row.seed: row for row in self.rows if row.variant == line.variant and _rate(row) == rate}

    @property
    def name(self) -> str:
        """Data set, encoder and model in words."""
        encoder = "no encoder" if self.encoder == NO_ENCODER else f"encoder {self.encoder}"
        return f"{self.dataset}, {encoder}, model {self.model}"


def collect(folders: Sequence[Path]) -> list[Row]:
    """Read the rows of several result folders; the same row in two of them counts once.

    Returns:
        Rows in an order that depends on their content alone.

    Raises:
        RowError: a folder that is missing or without rows, an invalid row, or two rows of one cell that disagree.
    """
    found: dict[str, tuple[Path, Row]] = {}
    for folder in folders:
        if not folder.is_dir():
            names = [path.name for path in folder.parent.iterdir()] if folder.parent.is_dir() else []
            near = difflib.get_close_matches(folder.name, names, n=3)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise RowError(f"{folder} is not a folder.{hint} Give the --out folder of a `bench run`.")
        rows = list(read_rows(folder))
        if not rows:
            raise RowError(f"{folder} holds no rows: {folder / 'rows'} is missing or empty. Run `bench run` first.")
        for row in rows:
            other, same = found.setdefault(row.cell_id, (folder, row))
            if _result(row) != _result(same):
                raise RowError(f"{other} and {folder} both hold the cell {row.cell_id}, with different results.")
    return sorted((row for _, row in found.values()), key=_order)


def blocks(rows: Iterable[Row], *, metric: Metric = "last", compare: bool = False) -> list[Block]:
    """Sort rows into blocks; rows of methods without an encoder enter every block of their data set and model.

    Args:
        rows: in any order; the result does not depend on it.
        metric: ``last`` is accuracy after the last iteration, ``best`` the best seen during training.
        compare: attach the papers' numbers.

    Returns:
        Blocks sorted by data set, model and encoder.

    Raises:
        RowError: rows of different protocols or recipes would meet in one table, or a cell has two rows for a seed.
    """
    ordered = sorted(rows, key=_order)
    _agree(ordered, ("protocol",), "one table")
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in ordered:
        groups.setdefault((row.dataset, row.model), []).append(row)
    made = []
    for (dataset, model), group in sorted(groups.items()):
        encoders = sorted({row.encoder for row in group} - {NO_ENCODER}) or [NO_ENCODER]
        for encoder in encoders:
            members = [row for row in group if row.encoder in (encoder, NO_ENCODER)]
            made.append(_block(dataset, encoder, model, members, metric, compare))
    return made


def parameters(variant: str) -> str:
    """The parameters that the user set, as ``heads=10, beta=0.3``; empty where there are none."""
    try:
        call = parse_call(variant)
    except SpecError:
        return ""
    return str(call)[len(call.name) + 1 : -1] if call.params else ""


def dataset_modifiers(dataset: str) -> Mapping[str, int | float]:
    """The modifiers in a row's data set, such as ``{"noise": 0.2}``."""
    try:
        return parse_call(dataset).modifiers
    except SpecError:
        return {}


def _block(dataset: str, encoder: str, model: str, rows: list[Row], metric: Metric, compare: bool) -> Block:
    bare = Block(dataset, encoder, model, metric, (), None, (), tuple(rows), 0)
    where = f"the block {bare.name}"
    _agree(rows, _CONSTANT, where)
    _agree([row for row in rows if row.encoder != NO_ENCODER], _OF_ENCODER, where)
    _agree([row for row in rows if row.proxy_model != "-"], ("proxy_model",), where)
    members = _lines(rows, where)
    rates = sorted({_rate(row) for line in members if line[0].method != FULL for row in line})
    several = {method for method in (line[0].method for line in members) if _variants(members, method) > 1}
    lines = []
    for line in members:
        columns = [0.0] if line[0].method == FULL else rates
        lines.append(_line(line, columns, several, metric, compare))
    pruned = [line for line in lines if line.method != FULL]
    most = max((len(cell.seeds) for line in pruned for cell in line.cells), default=0)
    pruned = _mark([_completed(line, most) for line in pruned])
    pruned.sort(key=_line_order)
    full = next((_completed(line, len(line.cells[0].seeds)) for line in lines if line.method == FULL), None)
    return replace(bare, rates=tuple(rates), full=full, lines=tuple(pruned), max_seeds=most)


def _lines(rows: list[Row], where: str) -> list[list[Row]]:
    """Rows by variant, whose parameters must agree except where the variant itself gives one value per rate.

    A grid that was enlarged by a rate wrote a longer mapping into its later rows; they are the same line.
    """
    groups: dict[str, list[Row]] = {}
    at_rate: dict[tuple[str, float], Row] = {}
    cells: dict[tuple[str, float, int], Row] = {}
    for row in rows:
        name = family(row.variant)
        group = groups.setdefault(name, [])
        group.append(row)
        _agree([group[0], row], ("method", "method_version", "supervision", "encoder"), where)
        _agree_in_params(group[0], row, _by_rate(row.variant), where)
        _agree_in_params(at_rate.setdefault((name, _rate(row)), row), row, frozenset(), where)
        other = cells.setdefault((name, _rate(row), row.seed), row)
        if other is not row:
            raise RowError(
                f"{where} has two rows for {row.variant}, rate {row.rate:g}, seed {row.seed}: "
                f"{other.cell_id} and {row.cell_id}. Remove one of them."
            )
    return list(groups.values())


def _by_rate(variant: str) -> frozenset[str]:
    """Parameters that the user gave as a mapping from rate to value."""
    try:
        return frozenset(name for name, value in parse_call(variant).params.items() if isinstance(value, dict))
    except SpecError:
        return frozenset()


def _variants(lines: list[list[Row]], method: str) -> int:
    return sum(line[0].method == method for line in lines)


def _line(rows: list[Row], rates: Sequence[float], several: set[str], metric: Metric, compare: bool) -> Line:
    first = rows[0]
    numbers = reported(first.dataset, first.pool_size, first.method, first.params) if compare else {}
    cells = []
    for rate in rates:
        here = {row.seed: row for row in rows if _rate(row) == rate}
        values = [here[seed].accuracy if metric == "last" else here[seed].best_accuracy for seed in sorted(here)]
        percent = round(rate * 100)
        number = numbers.get(percent) if math.isclose(rate * 100, percent, abs_tol=1e-6) else None
        cells.append(Cell(summarize(values) if values else None, tuple(sorted(here)), reported=number))
    variant = _whole_variant(rows)
    label = variant if first.method in several else first.method
    return Line(label, first.method, variant, first.supervision, first.encoder, tuple(cells))


def _whole_variant(rows: list[Row]) -> str:
    """The line's variant with the values at all rates that any of its rows was planned with."""
    if not _by_rate(rows[0].variant):
        return rows[0].variant
    calls = [parse_call(row.variant) for row in rows]
    merged = dict(calls[0].params)
    for name in _by_rate(rows[0].variant):
        values = {rate: value for call in calls for rate, value in call.params[name].items()}
        merged[name] = dict(sorted(values.items()))
    return str(Call(calls[0].name, merged))


def _completed(line: Line, most: int) -> Line:
    cells = tuple(replace(cell, complete=0 < len(cell.seeds) == most) for cell in line.cells)
    means = [cell.summary.mean for cell in cells if cell.complete and cell.summary]
    average = math.fsum(means) / len(means) if means and len(means) == len(cells) else None
    return replace(line, cells=cells, average=average)


def _mark(lines: list[Line]) -> list[Line]:
    """Mark the best of each column per family, ties at the decimals shown included; a lone value is no winner."""

    def winning(values: Sequence[float | None], lines: Sequence[Line]) -> list[bool]:
        won = []
        for value, line in zip(values, lines, strict=True):
            rivals = [
                round(other, DECIMALS)
                for other, owner in zip(values, lines, strict=True)
                if other is not None and owner.family == line.family
            ]
            won.append(value is not None and len(rivals) > 1 and round(value, DECIMALS) == max(rivals))
        return won

    columns = [
        winning([cell.summary.mean if cell.complete and cell.summary else None for cell in column], lines)
        for column in zip(*(line.cells for line in lines), strict=True)
    ]
    averages = winning([line.average for line in lines], lines)
    return [
        replace(
            line,
            cells=tuple(replace(cell, best=column[row]) for cell, column in zip(line.cells, columns, strict=True)),
            best_average=averages[row],
        )
        for row, line in enumerate(lines)
    ]


def _agree(rows: Sequence[Row], fields: Sequence[str], where: str) -> None:
    """Raise at the first field in which a row differs from the first one."""
    for row in rows[1:]:
        for name in fields:
            one, other = getattr(rows[0], name), getattr(row, name)
            if one != other:
                detail = _recipes(one, other) if name == "recipe" else f"{name}: {one!r} and {other!r}"
                raise _mixed(rows[0], row, where, detail)


def _agree_in_params(first: Row, row: Row, free: frozenset[str], where: str) -> None:
    one, other = first.params, row.params
    names = sorted(name for name in (one.keys() | other.keys()) - free if one.get(name) != other.get(name))
    if names:
        detail = ", ".join(f"parameter {name}: {one.get(name)!r} and {other.get(name)!r}" for name in names)
        raise _mixed(first, row, where, detail)


def _recipes(one: Recipe, other: Recipe) -> str:
    names = [name for name in Recipe.model_fields if getattr(one, name) != getattr(other, name)]
    return ", ".join(f"recipe.{name}: {getattr(one, name)!r} and {getattr(other, name)!r}" for name in names)


def _mixed(first: Row, row: Row, where: str, detail: str) -> RowError:
    return RowError(
        f"{where} cannot mix these two rows: {first.cell_id} ({first.variant}, seed {first.seed}) and "
        f"{row.cell_id} ({row.variant}, seed {row.seed}) differ in {detail}. "
        "Keep them in separate folders and make one table of each."
    )


def _rate(row: Row) -> float:
    return round(row.rate, 9)


def _result(row: Row) -> tuple[Any, ...]:
    return row.protocol, row.variant, row.rate, row.seed, row.accuracy, row.best_accuracy, row.indices_sha256


def _order(row: Row) -> tuple[Any, ...]:
    return row.dataset, row.model, row.encoder, row.method, row.variant, row.rate, row.seed, row.cell_id


def _line_order(line: Line) -> tuple[Any, ...]:
    return SUPERVISIONS.index(line.supervision), line.method != "random", line.method, line.variant
