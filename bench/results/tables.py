"""From rows to blocks of an accuracy table: one block per data set, encoder and model; nothing averages over holes."""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from bench.errors import RowError, SpecError
from bench.grammar import Modifiers, family, merged, parse_call
from bench.identity import NO_ENCODER
from bench.parts import SUPERVISIONS, Supervision
from bench.results.compatibility import check_block, check_line, check_protocol, rate_of
from bench.results.planned import GridPoint
from bench.results.reported import Reported, reported
from bench.results.rows import Row, read_rows
from bench.results.shown import Shown
from bench.results.stats import PERCENT, Summary, summarize

Metric = Literal["last", "best"]
FULL = "full"


@dataclass(frozen=True)
class Measured:
    """What was measured of one method at one rate; ``Reported`` is what a paper says.

    Attributes:
        summary: over seeds; None where there is no row.
        seeds: ascending.
        complete: whether it has the seeds of the block (``Block.seeds``); ``full`` is complete with any.
        best: whether it is the best of its column among the complete ones that read labels, or that read none.
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
        label: what a reader sees: the name that the user gave it, or the method's, or the variant where the block has
            several of the method.
        method: name.
        variant: the method as the user wrote it, with the values at all rates that any row was planned with.
        supervision: what it saw.
        encoder: its rows' own encoder, or ``-``.
        rows: what it was made of, in a fixed order.
        measured: one per rate of the block; for ``full`` exactly one.
        average: mean over the rates; None unless every rate is complete.
        best_average: whether ``average`` is the best among the methods that read labels, or that read none.
    """

    label: str
    method: str
    variant: str
    supervision: Supervision
    encoder: str
    rows: tuple[Row, ...]
    measured: tuple[Measured, ...] = ()
    average: float | None = None
    best_average: bool = False

    @property
    def reads_labels(self) -> bool:
        """Whether the method saw true labels, all or its coreset's; the best of those and of the others are marked."""
        return self.supervision in ("coreset", "labels")

    @property
    def family(self) -> str:
        """What its rows have in common, and names the same line in another block (``bench.grammar.family``)."""
        return family(self.variant)

    def rows_at(self, rate: float) -> dict[int, Row]:
        """Seed -> row at one rate, seeds ascending."""
        here = {row.seed: row for row in self.rows if rate_of(row) == rate}
        return dict(sorted(here.items()))

    def accuracies(self, rate: float, metric: Metric) -> dict[int, float]:
        """Seed -> accuracy in percent at one rate, seeds ascending."""
        return {
            seed: row.accuracy if metric == "last" else row.best_accuracy for seed, row in self.rows_at(rate).items()
        }


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
        lines: in the order of ``bench.plugins.SUPERVISIONS``, label-free first; or in the user's.
        rows: what the block was made of, in a fixed order.
        seeds: what methods are compared at, ascending: of the pruned methods and rates that have most seeds, those that
            most of them have. Empty without a pruned row.
        digits: decimals that are shown; what is equal in them is equally good.
        planned: cells of the block that were asked for, where that is known.
        hidden: methods that the rows have and the user left out.
        compare: whether the papers' numbers are shown beside ours.
    """

    dataset: str
    encoder: str
    model: str
    metric: Metric
    rates: tuple[float, ...]
    full: Line | None
    lines: tuple[Line, ...]
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    digits: int = 1
    planned: tuple[GridPoint, ...] = ()
    hidden: int = 0
    compare: bool = False

    @property
    def all_lines(self) -> tuple[Line, ...]:
        """``full`` first, where it was run, then the pruned ones."""
        return (self.full, *self.lines) if self.full else self.lines

    @property
    def identity(self) -> dict[str, str]:
        """What names the block in a record."""
        return {"dataset": self.dataset, "encoder": self.encoder, "model": self.model}

    @property
    def averages(self) -> bool:
        """Whether a table of the block has a column of averages."""
        return len(self.rates) > 1 and any(line.average is not None for line in self.lines)

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
    by_cell: dict[str, tuple[Path, Row]] = {}
    for folder in folders:
        if not folder.is_dir():
            names = [path.name for path in folder.parent.iterdir() if path.is_dir()] if folder.parent.is_dir() else []
            near = difflib.get_close_matches(folder.name, names, n=3)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise RowError(f"{folder} is not a folder.{hint} Give the --out folder of a `bench run`.")
        rows = list(read_rows(folder))
        if not rows:
            raise RowError(f"{folder} holds no rows: {folder / 'rows'} is missing or empty. Run `bench run` first.")
        for row in rows:
            other, same = by_cell.setdefault(row.cell_id, (folder, row))
            if _result(row) != _result(same):
                raise RowError(f"{other} and {folder} both hold the cell {row.cell_id}, with different results.")
    return sorted((row for _, row in by_cell.values()), key=_order)


def blocks(
    rows: Iterable[Row],
    *,
    metric: Metric = "last",
    compare: bool = False,
    digits: int = 1,
    shown: Shown | None = None,
    keep: str = "",
    planned: Iterable[GridPoint] = (),
) -> list[Block]:
    """Sort rows into blocks; rows of methods without an encoder enter every block of their data set and model.

    Args:
        rows: in any order; the result does not depend on it.
        metric: ``last`` is accuracy after the last iteration, ``best`` the best seen during training.
        compare: attach the papers' numbers.
        digits: decimals that are shown.
        shown: the methods to show, by default all.
        keep: a method or variant that stays whatever ``shown`` says.
        planned: cells that were asked for (``bench.results.planned``).

    Returns:
        Blocks sorted by data set, model and encoder.

    Raises:
        RowError: rows that are not comparable would meet in one table, or a cell has two rows.
        SpecError: ``shown`` names a method that no row has, or several lines alike.
    """
    everything = sorted(rows, key=_order)
    check_protocol(everything)
    chosen = everything if shown is None else shown.among(everything, keep=keep)
    asked = [point for point in planned if shown is None or shown.has(point.variant)]
    made = []
    for dataset, model in sorted({(row.dataset, row.model) for row in chosen}):
        # Of all rows: the table says how many methods the user left out.
        known = {family(row.variant) for row in everything if (row.dataset, row.model) == (dataset, model)}
        encoders = {row.encoder for row in chosen if (row.dataset, row.model) == (dataset, model)} - {NO_ENCODER}
        # Rows without an encoder are a block of their own only where there are no others to join.
        for encoder in sorted(encoders) or [NO_ENCODER]:

            def stands_here(item: Row | GridPoint, of: tuple[str, str, str] = (dataset, model, encoder)) -> bool:
                return (item.dataset, item.model) == of[:2] and item.encoder in (of[2], NO_ENCODER)

            rows_here = tuple(filter(stands_here, chosen))
            bare = Block(
                *(dataset, encoder, model, metric, (), None, (), rows_here, ()),
                digits=digits,
                planned=tuple(filter(stands_here, asked)),
                hidden=0 if shown is None else len(known - {family(row.variant) for row in rows_here}),
                compare=compare,
            )
            made.append(_block(bare, shown))
    return made


def parameters(variant: str) -> str:
    """Return the parameters that the user set, as ``heads=10, beta=0.3``; empty where there are none."""
    try:
        call = parse_call(variant)
    except SpecError:
        return ""
    return str(call)[len(call.name) + 1 : -1] if call.params else ""


def dataset_modifiers(dataset: str) -> Modifiers:
    """Return the modifiers in a row's data set, such as ``{"noise": 0.2}``."""
    try:
        return parse_call(dataset).modifiers
    except SpecError:
        return {}


def _block(bare: Block, shown: Shown | None) -> Block:
    where = f"the block {bare.name}"
    check_block(bare.rows, where)
    lines = sorted(_lines(bare.rows, where), key=_line_order)
    if shown is not None:
        lines = _arranged(lines, shown, where)
    pruned = [line for line in lines if line.method != FULL]
    rates = sorted({rate_of(row) for line in pruned for row in line.rows})
    seeds = _common_seeds([tuple(line.rows_at(rate)) for line in pruned for rate in rates])
    full = next((_measured(line, [0.0], None, bare) for line in lines if line.method == FULL), None)
    measured = [_measured(line, rates, seeds, bare) for line in pruned]
    return replace(bare, rates=tuple(rates), full=full, lines=_marked(measured, bare.digits), seeds=seeds)


def _arranged(lines: Sequence[Line], shown: Shown, where: str) -> list[Line]:
    """Return the lines in the user's order and under the user's names."""
    positions = {line.variant: shown.position(line.variant) for line in lines}
    named = [
        replace(line, label=positions[line.variant][1] or line.label)
        for line in sorted(lines, key=lambda line: positions[line.variant][0])
    ]
    for label, count in Counter(line.label for line in named).items():
        if count > 1:
            alike = " and ".join(line.variant for line in named if line.label == label)
            raise SpecError(f"--methods calls {alike} {label!r} alike in {where}; give each a name of its own.")
    return named


def _lines(rows: Iterable[Row], where: str) -> list[Line]:
    """Rows by line. A grid that was enlarged by a rate wrote a longer mapping into its later rows: one family."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(family(row.variant), []).append(row)
    several = Counter(group[0].method for group in groups.values())
    lines = []
    for group in groups.values():
        check_line(group, where)
        first, variant = group[0], merged([row.variant for row in group])
        label = variant if several[first.method] > 1 else first.method
        lines.append(Line(label, first.method, variant, first.supervision, first.encoder, tuple(group)))
    return lines


def _common_seeds(cells: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """Of the cells that have most seeds, the seeds that most of them have; the lowest ones where that is undecided."""
    counts = Counter(cells)
    most = max(map(len, counts), default=0)
    return min((seeds for seeds in counts if len(seeds) == most), key=lambda seeds: (-counts[seeds], seeds), default=())


def _measured(line: Line, rates: Sequence[float], seeds: tuple[int, ...] | None, block: Block) -> Line:
    """Return what was measured of a line at each rate; complete with the given seeds, or with any."""
    measured = []
    for rate in rates:
        values = line.accuracies(rate, block.metric)
        summary = summarize(list(values.values()), within=PERCENT) if values else None
        complete = bool(values) and tuple(values) == (tuple(values) if seeds is None else seeds)
        number = _reported(line, rate) if block.compare else None
        measured.append(Measured(summary, tuple(values), complete, reported=number))
    means = [one.summary.mean for one in measured if one.complete and one.summary]
    # Over all rates or none: means over different rates would compare the rates.
    average = math.fsum(means) / len(means) if means and len(means) == len(measured) else None
    return replace(line, measured=tuple(measured), average=average)


def _reported(line: Line, rate: float) -> Reported | None:
    """Return the papers' number for the line as it was run at one rate; whole percents alone have any."""
    percent = round(rate * 100)
    # Any seed will do: its parameters at this rate are those of all.
    row = next(iter(line.rows_at(rate).values()), None)
    if row is None or not math.isclose(rate * 100, percent, abs_tol=1e-6):
        return None
    return reported(row.dataset, row.pool_size, row.method, row.params).get(percent)


def _marked(lines: list[Line], digits: int) -> tuple[Line, ...]:
    """Mark the best of each column among the methods that read labels, and among the others.

    Ties at the decimals shown are all marked; a lone value is no winner.
    """
    if not lines:
        return ()
    import pandas as pd

    means = [[one.summary.mean if one.complete and one.summary else None for one in line.measured] for line in lines]
    columns = pd.DataFrame([[*own, line.average] for own, line in zip(means, lines, strict=True)], dtype=float)
    # Python's rounding, which is that of the text; numpy's differs where a decimal is no binary fraction.
    shown = columns.map(lambda value: round(value, digits))
    rivals = shown.groupby([line.reads_labels for line in lines])
    best = shown.eq(rivals.transform("max")) & rivals.transform("count").gt(1)
    marked = []
    for line, (*won, average) in zip(lines, best.to_numpy().tolist(), strict=True):
        measured = tuple(replace(one, best=here) for one, here in zip(line.measured, won, strict=True))
        marked.append(replace(line, measured=measured, best_average=average))
    return tuple(marked)


def _result(row: Row) -> tuple[Any, ...]:
    return row.protocol, row.variant, row.rate, row.seed, row.accuracy, row.best_accuracy, row.indices_sha256


def _order(row: Row) -> tuple[Any, ...]:
    return row.dataset, row.model, row.encoder, row.method, row.variant, row.rate, row.seed, row.cell_id


def _line_order(line: Line) -> tuple[Any, ...]:
    # ``random`` leads its group: the others are read against it.
    return SUPERVISIONS.index(line.supervision), line.method != "random", line.method, line.variant
