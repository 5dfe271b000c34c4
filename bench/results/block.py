"""One block of a table: the rows on one data set with one encoder and model, and the frames that follow from them."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from bench.identity import NO_ENCODER
from bench.parts import Supervision
from bench.results.frame import named
from bench.results.planned import GridPoint, grid_point
from bench.results.reported import Reported, reported
from bench.results.stats import PERCENT, summarize

if TYPE_CHECKING:
    import pandas as pd

Metric = Literal["last", "best"]
FULL = "full"
_ACCURACY: Final = {"last": "accuracy", "best": "best_accuracy"}
_NUMBERS = ("mean", "std", "ci_low", "ci_high", "reported", "difference")


class Line(NamedTuple):
    """One method with one set of parameters.

    Attributes:
        label: what a reader sees: the name that the user gave it, or the method's, or the variant where the block has
            several of the method; no two lines of a block have the same.
        method: name.
        variant: the method as the user wrote it, with the values at all rates that any row was planned with.
        family: what the variants of its rows have in common, and names the same line in another block
            (``bench.grammar.family``).
        supervision: what it saw.
        encoder: its rows' own encoder, or ``-``.
    """

    label: str
    method: str
    variant: str
    family: str
    supervision: Supervision
    encoder: str


# Blocks are compared by identity, since frames have no one answer to whether they are equal.
@dataclass(frozen=True, eq=False)
class Block:
    """All methods on one data set, with one encoder and one model.

    Attributes:
        dataset: name with parameters.
        encoder: name with parameters, or ``-`` where no row has one.
        model: name with parameters.
        metric: which accuracy.
        cells: its rows in a fixed order, with the columns of ``bench.load_rows``, and ``label`` and ``family`` of the
            line that each is in.
        lines: the pruned methods, in the order of ``bench.plugins.SUPERVISIONS``, label-free first; or in the user's.
        full: no pruning, where it was run.
        digits: decimals that are shown; what is equal in them is equally good.
        planned: cells of the block that were asked for, where that is known.
        hidden: methods that the rows have and the user left out.
        compare: whether the papers' numbers are shown beside ours.
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
        """``full`` first, where it was run, then the pruned ones."""
        return (self.full, *self.lines) if self.full else self.lines

    @property
    def identity(self) -> dict[str, str]:
        """What names the block in a record."""
        return {"dataset": self.dataset, "encoder": self.encoder, "model": self.model}

    @property
    def points(self) -> set[GridPoint]:
        """Where its cells stand in the grid."""
        return set(map(grid_point, named(self.cells[[*GridPoint._fields]])))

    @property
    def name(self) -> str:
        """Data set, encoder and model in words."""
        encoder = "no encoder" if self.encoder == NO_ENCODER else f"encoder {self.encoder}"
        return f"{self.dataset}, {encoder}, model {self.model}"

    @property
    def pruned(self) -> pd.DataFrame:
        """The cells but for those of the full data."""
        return self.cells[self.cells["method"] != FULL]

    @cached_property
    def rates(self) -> tuple[float, ...]:
        """Rates of the pruned cells, ascending."""
        return tuple(sorted(self.pruned["rate"].unique().tolist()))

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """What methods are compared at, ascending: of the pruned methods and rates that have most seeds, those that
        most of them have; the lowest ones where that is undecided. Empty without a pruned cell.
        """
        counts = Counter(tuple(sorted(own.tolist())) for _, own in self.pruned.groupby(["label", "rate"])["seed"])
        most = max(map(len, counts), default=0)
        longest = [seeds for seeds in counts if len(seeds) == most]
        return min(longest, key=lambda seeds: (-counts[seeds], seeds), default=())

    @cached_property
    def accuracies(self) -> pd.DataFrame:
        """Accuracy in percent: rate and seed down, both ascending, labels across; NaN where no cell is."""
        return self.cells.pivot(index=["rate", "seed"], columns="label", values=_ACCURACY[self.metric])

    @cached_property
    def means(self) -> pd.DataFrame:
        """One line per method and rate, in the order of ``all_lines`` and of ``rates``.

        Returns:
            The columns of ``accuracy.csv``; where no cell is, n = 0 and there are no numbers. ``complete``: whether
            ``seeds`` are the block's; ``full`` is complete with any. Besides them ``label``; ``family``; ``paper``,
            the reported number, where asked for and known; ``best``: whether it is the best of its column among the
            complete ones that read labels, or that read none.
        """
        import pandas as pd

        lines = [(self.full, 0.0)] if self.full else []
        lines += itertools.product(self.lines, self.rates)
        there: dict[tuple[str, float], list[Any]] = {}
        ascending = self.cells[["label", "rate", "seed", _ACCURACY[self.metric], "params"]].sort_values("seed")
        for label, rate, *cell in ascending.itertuples(index=False):
            there.setdefault((label, rate), []).append(cell)
        means = pd.DataFrame([self._mean(line, rate, there.get((line.label, rate), [])) for line, rate in lines])
        # Or a column of which no line has a number would be one of objects.
        means = means.astype(dict.fromkeys(_NUMBERS, float))
        whole = means["mean"].where(means["complete"] & (means["method"] != FULL))
        return means.assign(best=_best(whole, [means["rate"], _reads_labels(means)], self.digits))

    @cached_property
    def averages(self) -> pd.DataFrame:
        """Mean over the rates, by label, of the methods that are complete at each of several; ``best`` as in ``means``.

        Over all rates or none: means over different rates would compare the rates.
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
        own = self._cells[line.label]
        return own if rate is None else own[own["rate"] == rate]

    def means_of(self, line: Line) -> list[Any]:
        """Return the lines of ``means`` of one method, as named tuples, one per rate."""
        return self._means[line.label]

    # Once for all methods: to filter a frame of so many columns takes a millisecond, and there are many questions.
    @cached_property
    def _cells(self) -> dict[str, pd.DataFrame]:
        return {str(label): own for label, own in self.cells.sort_values(["rate", "seed"]).groupby("label")}

    @cached_property
    def _means(self) -> dict[str, list[Any]]:
        groups: dict[str, list[Any]] = {}
        for one in named(self.means):
            groups.setdefault(one.label, []).append(one)
        return groups

    def _mean(self, line: Line, rate: float, cells: list[Any]) -> dict[str, Any]:
        """Return a line of ``means``; the cells are seed, accuracy and parameters of the method at the rate."""
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
        """Return the papers' number for a method as it was run at one rate; whole percents alone have any."""
        percent = round(rate * 100)
        if not math.isclose(rate * 100, percent, abs_tol=1e-6):
            return None
        return reported(self.dataset, self.cells["pool_size"].iloc[0], line.method, params).get(percent)


def _reads_labels(frame: pd.DataFrame) -> pd.Series[bool]:
    """Whether methods saw true labels, all or their coreset's; the best of those and of the others are marked apart."""
    return frame["supervision"].isin(["coreset", "labels"])


def _best(values: pd.Series[float], rivals: list[pd.Series[Any]], digits: int) -> pd.Series[bool]:
    """Mark the highest of each group of rivals, all that tie at the decimals shown; a lone value is no winner."""
    # Python's rounding, which is that of the text; numpy's differs where a decimal is no binary fraction.
    groups = (shown := values.map(lambda value: round(value, digits))).groupby(rivals)
    return shown.eq(groups.transform("max")) & groups.transform("count").gt(1)
