"""Comparisons as sheets and as CSV."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bench.quantities import counted
from bench.results.comparison import Agreement, Compared, Contest, Contests, EncoderOverlap, Overlap
from bench.results.facts import METRIC, chosen_facts, incomplete, other_code, other_seeds
from bench.results.sheets import MISSING, WARNING, Fact, Field, Section, Sheet
from bench.results.stats import RANK_INTERVAL, TIE, PairedTest
from bench.results.table_text import percent, signed
from bench.results.tables import Block, Line

_OVERLAP = (
    *("dataset", "model", "rate", "measure", "between", "method", "encoder", "other_method", "other_encoder"),
    *("mean", "n", "chance"),
)


def contest_sheet(block: Block, baseline: Line | None, made: Contests) -> Sheet:
    """One line per rate and method: accuracy, difference to the baseline with interval, p-values, wins and rank."""
    columns = ("method", "accuracy", "difference", "95 % interval", "p", "p (Holm)", "w/t/l", "rank", "rank 95 %")
    sections = [
        Section(
            "mean over all rates" if rate is None else f"{percent(rate)} removed",
            tuple(_fields(item, block) for item in group),
        )
        for rate, group in made.items()
    ]
    name = baseline.label if baseline else "nothing"
    return Sheet(f"{block.name}: against {name}", columns, tuple(sections), facts=tuple(_facts(block, made, baseline)))


def overlap_sheets(block: Block, found: Mapping[float, Overlap]) -> list[Sheet]:
    """Matrices of coresets (Jaccard) and, where methods reported any, of scores (Kendall); equal ones once."""
    sheets = []
    for rate, one in found.items():
        facts = [
            Fact("Jaccard overlap", f"images in both coresets divided by images in either; {_DIAGONAL}"),
            Fact("By chance", f"two random coresets of this size overlap by {one.chance:.2f}"),
        ]
        if one.missing:
            missing = f"{one.missing} of {counted(one.total, 'row')}"
            facts.append(Fact(WARNING, f"left out, since there is no indices file: {missing}"))
        title = f"{block.name}, {percent(rate)} removed: overlap of coresets"
        sheets.append(_matrix(title, one.labels, one.coresets, facts))
    with_scores = [(rate, one) for rate, one in found.items() if one.scores]
    for _, group in itertools.groupby(with_scores, key=lambda entry: (entry[1].labels, entry[1].scores)):
        members = list(group)
        one = members[0][1]
        kept = sorted({place for pair in one.scores for place in pair})
        numbers = {(kept.index(i), kept.index(j)): value for (i, j), value in one.scores.items()}
        rates = ", ".join(percent(rate) for rate, _ in members)
        what = "of the scores of all pool images, high = hard: 1 is the same order, 0 none in common"
        facts = [
            Fact("Kendall's tau-b", f"{what}; {_DIAGONAL}"),
            Fact("Methods", "only those that report a score"),
        ]
        title = f"{block.name}, {rates} removed: agreement of scores"
        sheets.append(_matrix(title, [one.labels[place] for place in kept], numbers, facts))
    return sheets


def encoder_sheets(found: Sequence[EncoderOverlap]) -> list[Sheet]:
    """One sheet per data set, model and pair of encoders."""
    sheets = []
    for key, group in itertools.groupby(found, key=lambda entry: (entry.dataset, entry.model, entry.one, entry.other)):
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
        sheets.append(Sheet(title, columns, (Section("", lines),), facts=facts))
    return sheets


def contest_records(made: Iterable[Compared]) -> list[dict[str, object]]:
    """Long format, one record per block, rate (None: mean over all rates) and method."""
    return [
        _contest_record(block, baseline, contest)
        for block, baseline, groups in made
        for group in groups.values()
        for contest in group
    ]


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
        for block, found in made
        for rate, one in found.items()
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


def _contest_record(block: Block, baseline: Line | None, contest: Contest) -> dict[str, object]:
    summary, test, rank = contest.summary, contest.test, contest.rank
    difference = test and test.difference
    return {
        "dataset": block.dataset,
        "encoder": block.encoder,
        "model": block.model,
        "rate": contest.rate,
        "method": contest.line.method,
        "variant": contest.line.variant,
        "supervision": contest.line.supervision,
        "metric": block.metric,
        "n": summary.n if summary else 0,
        "mean": summary and summary.mean,
        "baseline": baseline and baseline.variant,
        "pairs": difference.n if difference else 0,
        "difference": difference and difference.mean,
        "ci_low": difference and difference.ci_low,
        "ci_high": difference and difference.ci_high,
        "p": test and test.p,
        "p_holm": contest.p_holm,
        "p_floor": test and test.p_floor,
        "win_rate": test and test.win_rate,
        "rank": rank and rank.rank,
        "rank_low": rank and rank.low,
        "rank_high": rank and rank.high,
    }


def _fields(contest: Contest, block: Block) -> tuple[Field, ...]:
    summary, test, rank = contest.summary, contest.test, contest.rank
    difference, digits, most = test and test.difference, block.digits, len(block.seeds)
    interval = MISSING
    if difference and difference.ci_low is not None and difference.ci_high is not None:
        interval = f"[{signed(difference.ci_low, digits)}, {signed(difference.ci_high, digits)}]"
    return (
        Field(contest.line.label),
        Field(MISSING if summary is None else f"{summary.mean:.{digits}f}{_of(summary.n, most)}"),
        Field(f"{signed(difference.mean, digits)}{_of(difference.n, most)}" if difference else MISSING),
        Field(interval),
        Field(_p(test.p if test else None)),
        Field(_p(contest.p_holm)),
        Field(_record(test) if test else MISSING),
        Field(f"{rank.rank:.1f}" if rank else MISSING),
        Field(f"[{rank.low:.1f}, {rank.high:.1f}]" if rank else MISSING),
    )


def _facts(block: Block, made: Contests, baseline: Line | None) -> Iterator[Fact]:
    yield Fact("Accuracy", f"{METRIC[block.metric]} in percent, mean over seeds")
    yield from incomplete(block)
    yield from other_code(block.rows)
    tests = [contest.test for group in made.values() for contest in group if contest.test]
    if baseline is None:
        yield Fact("Differences", "none, since the baseline was not run in this block")
    if tests:
        fewest, most = min(test.difference.n for test in tests), max(test.difference.n for test in tests)
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
        if any(test.p is None for test in tests):
            yield Fact(f"{MISSING} for p", "one pair only, or differences that are all equal")
    if any(contest.rank for group in made.values() for contest in group):
        listed = ", ".join(map(str, block.seeds))
        yield Fact("Rank", f"among the methods that have all seeds ({listed}), 1 is best")
        yield Fact("Rank 95 %", RANK_INTERVAL)
    yield from other_seeds(block)
    yield from chosen_facts(block)


def _matrix(
    title: str, labels: Sequence[str], values: Mapping[tuple[int, int], Agreement], facts: Sequence[Fact]
) -> Sheet:
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
    return Sheet(title, columns, (Section("", lines),), facts=tuple(facts), left=2)


_SEEDS_FOR_SIGNS = 6
_DIAGONAL = "mean over the seeds that both have, on the diagonal between the seeds of one method"


def _mean(value: Agreement) -> str:
    return MISSING if value.mean is None else f"{value.mean:.2f}"


def _of(n: int, most: int) -> str:
    """The number of seeds, where it is not that of the whole block."""
    return "" if n == most else f" (n={n})"


def _p(value: float | None) -> str:
    if value is None:
        return MISSING
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _record(test: PairedTest) -> str:
    return f"{test.wins}/{test.ties}/{test.difference.n - test.wins - test.ties}"
