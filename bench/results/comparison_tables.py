"""Comparisons as text tables and as records for CSV."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bench.results.accuracy_table import signed
from bench.results.block import Block, Line
from bench.results.comparison import Compared, square
from bench.results.facts import chosen_facts, incomplete, other_code, other_seeds
from bench.results.frame import named, plain
from bench.results.metric import METRIC
from bench.results.rendering import MISSING, WARNING, Fact, Field, Section, TextTable
from bench.results.stats import RANK_INTERVAL, TIE
from bench.units import counted, percent

if TYPE_CHECKING:
    import pandas as pd


def contest_table(block: Block, baseline: Line | None, contests: pd.DataFrame) -> TextTable:
    """Return a table of ``contests``: accuracy, difference to the baseline with interval, p-values, wins and rank."""
    columns = ("method", "accuracy", "difference", "95 % interval", "p", "p (Holm)", "w/t/l", "rank", "rank 95 %")
    # NaN is the mean over all rates, and no percentage.
    headings = contests["rate"].map(lambda rate: f"{percent(rate)} removed", na_action="ignore")
    sections = [
        Section(str(heading), tuple(_fields(entry, block) for entry in group.itertuples()))
        for heading, group in contests.groupby(headings.fillna("mean over all rates"), sort=False)
    ]
    # A block without the baseline keeps its accuracies and ranks.
    name = baseline.label if baseline else "nothing"
    return TextTable(
        f"{block.name}: against {name}", columns, tuple(sections), facts=tuple(_facts(block, contests, baseline))
    )


def overlap_tables(block: Block, pairs: pd.DataFrame) -> list[TextTable]:
    """Return matrices of coresets (Jaccard) and, if methods reported any, of scores (Kendall); equal ones once.

    A matrix without a number, as that of one method at one seed, is left out.

    Args:
        block: the block that was compared.
        pairs: its ``method_agreements``.
    """
    tables = []
    coresets, scores = (pairs[pairs["measure"] == measure] for measure in ("jaccard", "kendall"))
    for rate, part in coresets.groupby("rate"):
        if part["mean"].isna().all() and not part["missing"].any():
            continue
        facts = [
            Fact("Jaccard overlap", f"images in both coresets divided by images in either; {_DIAGONAL}"),
            Fact("By chance", f"two random coresets of this size overlap by {part['chance'].iloc[0]:.2f}"),
        ]
        # An overlap over fewer seeds looks like any other.
        if part["missing"].any():
            rows = counted(int((block.pruned["rate"] == rate).sum()), "row")
            missing = f"{part['missing'].iloc[0]} of {rows}"
            facts.append(Fact(WARNING, f"left out, since there is no indices file: {missing}"))
        tables.append(_matrix(f"{block.name}, {percent(rate)} removed: overlap of coresets", part, facts))
    # Most methods have the same scores at all rates, so that their matrices are equal.
    by_rate = [
        (rate, part, plain(part[["method", "other_method", "mean", "n"]])) for rate, part in scores.groupby("rate")
    ]
    for _, group in itertools.groupby(by_rate, key=lambda entry: entry[2]):
        members = list(group)
        if members[0][1]["mean"].isna().all():
            continue
        what = "of the scores of all pool images, high = hard: 1 is the same order, 0 none in common"
        facts = [
            Fact("Kendall's tau-b", f"{what}; {_DIAGONAL}"),
            Fact("Methods", "only those that report a score"),
        ]
        rates = ", ".join(percent(rate) for rate, _, _ in members)
        tables.append(_matrix(f"{block.name}, {rates} removed: agreement of scores", members[0][1], facts))
    return tables


def encoder_tables(pairs: pd.DataFrame) -> list[TextTable]:
    """Return one table per data set, model and pair of encoders, from ``between_encoders``."""
    tables = []
    for key, group in pairs.groupby(["dataset", "model", "encoder", "other_encoder"], sort=False):
        measures = (named(group[group["measure"] == measure]) for measure in ("jaccard", "kendall"))
        lines = [
            (one.method, percent(one.rate), _mean(one.mean), _mean(tau.mean), str(max(one.n, tau.n)))
            for one, tau in zip(*measures, strict=True)
        ]
        fields = tuple(tuple(map(Field, line)) for line in lines)
        dataset, model, one, other = key
        title = f"{dataset}, model {model}: encoder {one} against {other}"
        facts = (Fact("Agreement", "of the same method at the same seed with either encoder; mean over n seeds"),)
        columns = ("method", "removed", "Jaccard", "Kendall", "n")
        tables.append(TextTable(title, columns, (Section("", fields),), facts=facts))
    return tables


def contest_records(comparisons: Iterable[Compared]) -> list[dict[str, Any]]:
    """Return one record per block, rate (None: mean over all rates) and method."""
    return [
        record
        for compared in comparisons
        for record in plain(compared.contests.drop(columns=["label", "wins", "ties"]))
    ]


def overlap_records(agreements: Iterable[pd.DataFrame]) -> list[dict[str, Any]]:
    """Return one record per pair of methods, per method (between its seeds) and per pair of encoders."""
    return [record for pairs in agreements for record in plain(pairs.drop(columns="missing"))]


def _fields(entry: Any, block: Block) -> tuple[Field, ...]:
    """Return the texts of a line of ``contests``; missing numbers are NaN."""
    digits, most = block.digits, len(block.seeds)

    def shown(value: float, text: str) -> Field:
        return Field(MISSING if math.isnan(value) else text)

    interval = f"[{signed(entry.ci_low, digits)}, {signed(entry.ci_high, digits)}]"
    return (
        Field(entry.label),
        shown(entry.mean, f"{entry.mean:.{digits}f}{_of(entry.n, most)}"),
        shown(entry.difference, f"{signed(entry.difference, digits)}{_of(entry.pairs, most)}"),
        shown(entry.ci_low, interval),
        shown(entry.p, _p(entry.p)),
        shown(entry.p_holm, _p(entry.p_holm)),
        shown(entry.difference, f"{entry.wins}/{entry.ties}/{entry.pairs - entry.wins - entry.ties}"),
        shown(entry.rank, f"{entry.rank:.1f}"),
        shown(entry.rank, f"[{entry.rank_low:.1f}, {entry.rank_high:.1f}]"),
    )


def _facts(block: Block, contests: pd.DataFrame, baseline: Line | None) -> Iterator[Fact]:
    yield Fact("Accuracy", f"{METRIC[block.metric]} in percent, mean over seeds")
    yield from incomplete(block)
    yield from other_code(block.cells)
    tests = contests[contests["pairs"] > 0]
    if baseline is None:
        yield Fact("Differences", "none, since the baseline was not run in this block")
    if len(tests):
        fewest, most = int(tests["pairs"].min()), int(tests["pairs"].max())
        pairs = counted(most, "pair") if fewest == most else f"{fewest} to {counted(most, 'pair')}"
        yield Fact("Difference", f"in points at the same seed, {pairs}")
        yield Fact("p", "paired t-test, two-sided")
        adjusted = "for all methods with a difference at that rate, including those without a p"
        yield Fact("Holm", f"adjusted {adjusted}")
        yield Fact("w/t/l", f"seeds won, tied (within {TIE:.5f} points) and lost")
        # Of one pair there is no p.
        tested = min((int(pairs) for pairs in tests["pairs"] if pairs > 1), default=fewest)
        if tested < _SEEDS_FOR_SIGNS:
            yield Fact(
                WARNING,
                f"with {counted(tested, 'pair')} no test without assumptions gives p below "
                f"{2.0 ** (1 - tested):g}; a smaller p assumes normally distributed differences",
            )
        if tests["p"].isna().any():
            yield Fact(f"{MISSING} for p", "one pair only, or differences that are all equal")
    if contests["rank"].notna().any():
        listed = ", ".join(map(str, block.seeds))
        yield Fact("Rank", f"among the methods that have all seeds ({listed}), 1 is best")
        yield Fact("Rank 95 %", RANK_INTERVAL)
    yield from other_seeds(block)
    yield from chosen_facts(block)


def _matrix(title: str, pairs: pd.DataFrame, facts: Sequence[Fact]) -> TextTable:
    """Return a matrix whose columns are numbered like its lines, since many names do not fit side by side."""
    means = square(pairs)
    lines = tuple(
        (
            *(Field(str(i + 1)), Field(label)),
            *(Field(_mean(value), faint=i == j) for j, value in enumerate(values)),
        )
        for i, (label, values) in enumerate(zip(means.index, means.to_numpy().tolist(), strict=True))
    )
    columns = ("#", "method", *(str(number + 1) for number in range(len(means))))
    return TextTable(title, columns, (Section("", lines),), facts=tuple(facts), left=2)


# Of 5 pairs the smallest p of all sign flips is 2 / 2^5 = 0.06, of 6 it is 0.03: below the usual 0.05.
_SEEDS_FOR_SIGNS = 6
_DIAGONAL = "mean over common seeds, on the diagonal between the seeds of one method"


def _mean(value: float) -> str:
    return MISSING if math.isnan(value) else f"{value:.2f}"


def _of(n: int, most: int) -> str:
    """Return the number of seeds, or "" if it is the block's."""
    return "" if n == most else f" (n={n})"


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"
