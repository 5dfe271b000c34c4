"""Blocks of tables: the rows on one data set with one encoder and one model, and the frames computed from them."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.identity import NO_ENCODER
from bench.parts import Supervision
from bench.results.frame import named
from bench.results.metric import ACCURACY, Metric
from bench.results.planned import GridPoint, grid_point
from bench.results.reported import Reported, reported
from bench.results.stats import PERCENT, summarize

if TYPE_CHECKING:
    import pandas as pd

FULL = "full"
_NUMBERS = ("mean", "std", "ci_low", "ci_high", "reported", "difference")


class Line(NamedTuple):
    """One method with one set of parameters.

    Attributes:
        label: name in the table, unique in the block: the user's name for it, or the method's name, or the variant if
            the block has several variants of the method.
        method: name of the method.
        variant: the method as the user wrote it, with the values at all rates that any row was planned with.
        family: common part of its rows' variants, which identifies the line in other blocks
            (``bench.grammar.family``).
        supervision: what the method saw.
        encoder: encoder of its rows, or ``-``.
    """

    label: str
    method: str
    variant: str
    family: str
    supervision: Supervision
    encoder: str


# Blocks are compared by identity: comparing frames gives no single answer.
@dataclass(frozen=True, eq=False)
class Block:
    """All methods on one data set, with one encoder and one model.

    Attributes:
        dataset: name with parameters.
        encoder: name with parameters, or ``-`` if no row has an encoder.
        model: name with parameters.
        metric: which accuracy the block shows.
        cells: rows of the block in a fixed order, with the columns of ``bench.load_rows`` and the ``label`` and
            ``family`` of each row's line.
        lines: the pruned methods, in the order of ``bench.plugins.SUPERVISIONS`` (label-free first) or in the user's.
        full: the line without pruning, if it was run.
        digits: decimals that are shown; accuracies that are equal in them are equally good.
        planned: planned cells of the block, if they are known.
        hidden: number of methods in the rows that the user left out.
        compare: whether to show the papers' numbers next to ours.
    """

    dataset: str
    encoder: str
    model: str
    metric: Metric
    cells: pd.DataFrame
    lines: tuple[Line, ...]
    full: Line | None
    digits: int = 1
    planned: tuple[GridPoint, ...] = ()
    hidden: int = 0
    compare: bool = False

    @property
    def all_lines(self) -> tuple[Line, ...]:
        """All lines: ``full`` first, if it was run, then the pruned methods."""
        return (self.full, *self.lines) if self.full else self.lines

    @property
    def identity(self) -> dict[str, str]:
        """Fields that identify the block in a record."""
        return {"dataset": self.dataset, "encoder": self.encoder, "model": self.model}

    @property
    def points(self) -> set[GridPoint]:
        """Grid points of the block's cells."""
        return set(map(grid_point, named(self.cells[[*GridPoint._fields]])))

    @property
    def name(self) -> str:
        """Data set, encoder and model in words."""
        encoder = "no encoder" if self.encoder == NO_ENCODER else f"encoder {self.encoder}"
        return f"{self.dataset}, {encoder}, model {self.model}"

    @property
    def pruned(self) -> pd.DataFrame:
        """The cells without those of the full data."""
        return self.cells[self.cells["method"] != FULL]

    @cached_property
    def rates(self) -> tuple[float, ...]:
        """Rates of the pruned cells, ascending."""
        return tuple(sorted(self.pruned["rate"].unique().tolist()))

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Seeds at which methods are compared, ascending: the most frequent seed set among those of maximal size.

        Seed sets are those of the pruned methods and rates; ties go to the smallest. Empty without a pruned cell.
        """
        counts = Counter(tuple(sorted(seeds.tolist())) for _, seeds in self.pruned.groupby(["label", "rate"])["seed"])
        most = max(map(len, counts), default=0)
        longest = [seeds for seeds in counts if len(seeds) == most]
        return min(longest, key=lambda seeds: (-counts[seeds], seeds), default=())

    @cached_property
    def accuracies(self) -> pd.DataFrame:
        """Accuracy in percent: rate and seed down, both ascending, labels across; NaN without a cell."""
        return self.cells.pivot(index=["rate", "seed"], columns="label", values=ACCURACY[self.metric])

    @cached_property
    def means(self) -> pd.DataFrame:
        """One line per method and rate, in the order of ``all_lines`` and of ``rates``.

        Returns:
            The columns of ``accuracy.csv``; without a cell n is 0 and there are no numbers. ``complete`` says whether
            ``seeds`` are the block's (``full`` is always complete). Further columns: ``label``; ``family``; ``paper``,
            the reported number, if requested and known; ``best``, whether the mean is the best complete one of its
            column among methods that read labels, or among those that read none.
        """
        import pandas as pd

        lines = [(self.full, 0.0)] if self.full else []
        lines += itertools.product(self.lines, self.rates)
        cells: dict[tuple[str, float], list[Any]] = {}
        ascending = self.cells[["label", "rate", "seed", ACCURACY[self.metric], "params"]].sort_values("seed")
        for label, rate, *cell in ascending.itertuples(index=False):
            cells.setdefault((label, rate), []).append(cell)
        means = pd.DataFrame([self._mean(line, rate, cells.get((line.label, rate), [])) for line, rate in lines])
        # Otherwise a column without any number would have the type object.
        means = means.astype(dict.fromkeys(_NUMBERS, float))
        complete = means["mean"].where(means["complete"] & (means["method"] != FULL))
        return means.assign(best=_best(complete, [means["rate"], _reads_labels(means)], self.digits))

    @cached_property
    def averages(self) -> pd.DataFrame:
        """Mean over all rates by label, for methods that are complete at every rate; ``best`` as in ``means``.

        Empty with a single rate. Means over different rates would compare the rates.
        """
        several = self.means[(self.means["method"] != FULL) & (len(self.rates) > 1)]
        complete = several.groupby("label")["complete"].transform("all")
        averages = (
            several[complete]
            .groupby("label")
            .agg(mean=("mean", lambda means: math.fsum(means) / len(means)), supervision=("supervision", "first"))
        )
        return averages.assign(best=_best(averages["mean"], [_reads_labels(averages)], self.digits))

    def cells_of(self, line: Line, rate: float | None = None) -> pd.DataFrame:
        """Return the cells of one method, at one rate or ordered by rate; seeds ascending."""
        cells = self._cells[line.label]
        return cells if rate is None else cells[cells["rate"] == rate]

    def means_of(self, line: Line) -> list[Any]:
        """Return the lines of ``means`` of one method, as named tuples, one per rate."""
        return self._means[line.label]

    # Once for all methods: filtering a frame with so many columns takes a millisecond, and is done often.
    @cached_property
    def _cells(self) -> dict[str, pd.DataFrame]:
        return {str(label): cells for label, cells in self.cells.sort_values(["rate", "seed"]).groupby("label")}

    @cached_property
    def _means(self) -> dict[str, list[Any]]:
        groups: dict[str, list[Any]] = {}
        for mean in named(self.means):
            groups.setdefault(mean.label, []).append(mean)
        return groups

    def _mean(self, line: Line, rate: float, cells: list[Any]) -> dict[str, Any]:
        """Return a line of ``means``; each cell is a seed, an accuracy and the parameters."""
        seeds = [seed for seed, _, _ in cells]
        summary = summarize([accuracy for _, accuracy, _ in cells], within=PERCENT) if cells else None
        paper = self._reported(line, rate, cells[0][2]) if cells and self.compare else None
        return {
            **self.identity,
            "supervision": line.supervision,
            "method": line.method,
            "variant": line.variant,
            "uses_encoder": line.encoder != NO_ENCODER,
            "rate": rate,
            "pool_size": self.cells["pool_size"].iloc[0],
            "metric": self.metric,
            "n": len(seeds),
            "complete": bool(seeds) and (line is self.full or tuple(seeds) == self.seeds),
            "seeds": seeds,
            "mean": summary and summary.mean,
            "std": summary and summary.std,
            "ci_low": summary and summary.ci_low,
            "ci_high": summary and summary.ci_high,
            "reported": paper and paper.accuracy,
            "difference": summary.mean - paper.accuracy if summary and paper else None,
            "reported_paper": paper and paper.citation,
            "reported_kind": paper and paper.kind,
            "reported_where": paper and paper.where,
            "reported_encoder": paper and paper.encoder,
            "reported_note": paper and paper.note,
            "label": line.label,
            "family": line.family,
            "paper": paper,
        }

    def _reported(self, line: Line, rate: float, params: dict[str, Any]) -> Reported | None:
        """Return the papers' number for a method and its parameters at a rate; only whole percents have numbers."""
        percent = round(rate * 100)
        if not math.isclose(rate * 100, percent, abs_tol=1e-6):
            return None
        size = self.cells["pool_size"].iloc[0]
        return reported(self.dataset, size, self.model, line.method, params).get(percent)


def _reads_labels(frame: pd.DataFrame) -> pd.Series[bool]:
    """Return whether methods saw true labels (all, or their coreset's); tables mark the best of both groups."""
    return frame["supervision"].isin(["coreset", "labels"])


def _best(values: pd.Series[float], rivals: list[pd.Series[Any]], digits: int) -> pd.Series[bool]:
    """Return whether a value is the highest of its group of rivals, with ties at the decimals shown.

    A single value is not the best of anything.
    """
    # Python's rounding, as in the text of a table; numpy's differs for decimals that are no binary fraction.
    groups = (shown := values.map(lambda value: round(value, digits))).groupby(rivals)
    return shown.eq(groups.transform("max")) & groups.transform("count").gt(1)
