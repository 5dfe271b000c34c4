"""Comparisons as tables and as CSV."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.results.accuracy_table import percent, signed
from bench.results.comparison import Agreement, Compared, EncoderOverlap, Overlap
from bench.results.facts import METRIC, chosen_facts, incomplete, other_code, other_seeds
from bench.results.frame import plain
from bench.results.rendering import MISSING, WARNING, Fact, Field, Section, TextTable
from bench.results.stats import RANK_INTERVAL, TIE
from bench.results.tables import Block, Line
from bench.units import counted

if TYPE_CHECKING:
    import pandas as pd

_OVERLAP = (
    *("dataset", "model", "rate", "measure", "between", "method", "encoder", "other_method", "other_encoder"),
    *("mean", "n", "chance"),
)


def contest_table(block: Block, baseline: Line | None, made: pd.DataFrame) -> TextTable:
    """One line per rate and method: accuracy, difference to the baseline with interval, p-values, wins and rank."""
    columns = ("method", "accuracy", "difference", "95 % interval", "p", "p (Holm)", "w/t/l", "rank", "rank 95 %")
    headings = made["rate"].map(lambda rate: f"{percent(rate)} removed", na_action="ignore")
    sections = [
        Section(str(heading), tuple(_fields(entry, block) for entry in group.itertuples()))
        for heading, group in made.groupby(headings.fillna("mean over all rates"), sort=False)
    ]
    name = baseline.label if baseline else "nothing"
    title, facts = f"{block.name}: against {name}", tuple(_facts(block, made, baseline))
    return TextTable(title, columns, tuple(sections), facts=facts)


def overlap_tables(block: Block, overlaps: Mapping[float, Overlap]) -> list[TextTable]:
    """Matrices of coresets (Jaccard) and, where methods reported any, of scores (Kendall); equal ones once."""
    tables = []
    for rate, one in overlaps.items():
        facts = [
            Fact("Jaccard overlap", f"images in both coresets divided by images in either; {_DIAGONAL}"),
            Fact("By chance", f"two random coresets of this size overlap by {one.chance:.2f}"),
        ]
        if one.missing:
            missing = f"{one.missing} of {counted(one.total, 'row')}"
            facts.append(Fact(WARNING, f"left out, since there is no indices file: {missing}"))
        title = f"{block.name}, {percent(rate)} removed: overlap of coresets"
        tables.append(_matrix(title, one.labels, one.coresets, facts))
    with_scores = [(rate, one) for rate, one in overlaps.items() if one.scores]
    for _, group in itertools.groupby(with_scores, key=lambda entry: (entry[1].labels, entry[1].scores)):
        members = list(group)
        one = members[0][1]
        # Methods without scores would be empty lines and columns.
        kept = sorted({number for pair in one.scores for number in pair})
        numbers = {(kept.index(i), kept.index(j)): value for (i, j), value in one.scores.items()}
        rates = ", ".join(percent(rate) for rate, _ in members)
        what = "of the scores of all pool images, high = hard: 1 is the same order, 0 none in common"
        facts = [
            Fact("Kendall's tau-b", f"{what}; {_DIAGONAL}"),
            Fact("Methods", "only those that report a score"),
        ]
        title = f"{block.name}, {rates} removed: agreement of scores"
        tables.append(_matrix(title, [one.labels[number] for number in kept], numbers, facts))
    return tables


def encoder_tables(overlaps: Sequence[EncoderOverlap]) -> list[TextTable]:
    """One table per data set, model and pair of encoders."""
    tables = []
    for key, group in itertools.groupby(
        overlaps, key=lambda entry: (entry.dataset, entry.model, entry.one, entry.other)
    ):
        dataset, model, one, other = key
        lines = tuple(
            (
                Field(entry.label),
                Field(percent(entry.rate)),
                Field(_mean(entry.coresets)),
                Field(_mean(entry.scores)),
                Field(str(max(entry.coresets.n, entry.scores.n))),
            )
            for entry in group
        )
        title = f"{dataset}, model {model}: encoder {one} against {other}"
        facts = (Fact("Agreement", "of the same method at the same seed with either encoder; mean over n seeds"),)
        columns = ("method", "removed", "Jaccard", "Kendall", "n")
        tables.append(TextTable(title, columns, (Section("", lines),), facts=facts))
    return tables


def contest_records(made: Iterable[Compared]) -> list[dict[str, Any]]:
    """Long format, one record per block, rate (None: mean over all rates) and method."""
    return [record for one in made for record in plain(one.contests.drop(columns=["label", "wins", "ties"]))]


def overlap_records(
    made: Iterable[tuple[Block, Mapping[float, Overlap]]], encoders: Iterable[EncoderOverlap]
) -> list[dict[str, object]]:
    """Long format, one record per pair of methods, per method (between its seeds) and per pair of encoders."""
    lines = [
        (
            *(block.dataset, block.model, rate, measure, "seeds" if i == j else "methods"),
            *(one.labels[i], block.encoder, one.labels[j], block.encoder, *value),
            one.chance if measure == "jaccard" else None,
        )
        for block, overlaps in made
        for rate, one in overlaps.items()
        for measure, values in (("jaccard", one.coresets), ("kendall", one.scores))
        for (i, j), value in values.items()
    ]
    lines += [
        (
            *(entry.dataset, entry.model, entry.rate, measure, "encoders"),
            *(entry.label, entry.one, entry.label, entry.other, *value, None),
        )
        for entry in encoders
        for measure, value in (("jaccard", entry.coresets), ("kendall", entry.scores))
    ]
    return [dict(zip(_OVERLAP, line, strict=True)) for line in lines]


def _fields(entry: Any, block: Block) -> tuple[Field, ...]:
    """Return what a line of ``contests`` shows; a number that is missing is no number (NaN)."""
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


def _facts(block: Block, made: pd.DataFrame, baseline: Line | None) -> Iterator[Fact]:
    yield Fact("Accuracy", f"{METRIC[block.metric]} in percent, mean over seeds")
    yield from incomplete(block)
    yield from other_code(block.rows)
    tests = made[made["pairs"] > 0]
    if baseline is None:
        yield Fact("Differences", "none, since the baseline was not run in this block")
    if len(tests):
        fewest, most = int(tests["pairs"].min()), int(tests["pairs"].max())
        pairs = counted(most, "pair") if fewest == most else f"{fewest} to {counted(most, 'pair')}"
        yield Fact("Difference", f"in points at the same seed, {pairs}")
        yield Fact("p", "paired t-test, two-sided")
        adjusted = "for all methods that have a difference at that rate, those without a p too"
        yield Fact("Holm", f"adjusted {adjusted}")
        yield Fact("w/t/l", f"seeds won, tied (within {TIE:.5f} points) and lost")
        if fewest < _SEEDS_FOR_SIGNS:
            yield Fact(
                WARNING,
                f"with {counted(fewest, 'pair')} no test without assumptions gives p below "
                f"{2.0 ** (1 - fewest):g}; a smaller p rests on the differences being normal",
            )
        if tests["p"].isna().any():
            yield Fact(f"{MISSING} for p", "one pair only, or differences that are all equal")
    if made["rank"].notna().any():
        listed = ", ".join(map(str, block.seeds))
        yield Fact("Rank", f"among the methods that have all seeds ({listed}), 1 is best")
        yield Fact("Rank 95 %", RANK_INTERVAL)
    yield from other_seeds(block)
    yield from chosen_facts(block)


def _matrix(
    title: str, labels: Sequence[str], values: Mapping[tuple[int, int], Agreement], facts: Sequence[Fact]
) -> TextTable:
    """Columns are numbered like the lines, since the names of many methods do not fit side by side."""
    lines = tuple(
        (
            Field(str(i + 1)),
            Field(label),
            *(Field(_mean(values[min(i, j), max(i, j)]), faint=i == j) for j in range(len(labels))),
        )
        for i, label in enumerate(labels)
    )
    columns = ("#", "method", *(str(number + 1) for number in range(len(labels))))
    return TextTable(title, columns, (Section("", lines),), facts=tuple(facts), left=2)


# Of 5 pairs the smallest p of all sign flips is 2 / 2^5 = 0.06, of 6 it is 0.03: below the usual 0.05.
_SEEDS_FOR_SIGNS = 6
_DIAGONAL = "mean over the seeds that both have, on the diagonal between the seeds of one method"


def _mean(value: Agreement) -> str:
    return MISSING if value.mean is None else f"{value.mean:.2f}"


def _of(n: int, most: int) -> str:
    """Give the number of seeds, where it is not that of the whole block."""
    return "" if n == most else f" (n={n})"


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"
