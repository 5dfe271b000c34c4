"""Ranks methods over many columns; a method with a hole is listed with what it misses, and not ranked."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.errors import RowError
from bench.results.accuracy_table import percent
from bench.results.block import FULL, Block
from bench.results.facts import METRIC, common, incomplete, label_leak, other_seeds
from bench.results.frame import named, plain
from bench.results.rendering import MISSING, WARNING, Fact, Field, Section, TextTable
from bench.results.stats import RANK_INTERVAL, rank_intervals, ranks
from bench.results.tables import parameters
from bench.units import counted

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = [
    *("rank", "method", "supervision", "variants", "mean_rank", "rank_low", "rank_high", "wins", "mean_accuracy"),
    *("columns", "seeds", "metric", "protocol", "missing"),
]


def standings(blocks: Sequence[Block]) -> pd.DataFrame:
    """Rank methods by their mean rank over all columns, a column being a rate of a block.

    A method is ranked if it has the block's seeds in every column; ranks, wins and mean accuracies are then taken among
    ranked methods over all columns, so that nobody's mean is over other columns than another's. ``full`` is not ranked.

    Every data set with its model has the same weight, divided equally among its encoders and then among their rates:
    methods without an encoder have the same numbers in the block of every encoder, which must not count twice.

    The interval of a mean rank says how far it depends on seeds, and nothing of other data sets (``rank_intervals``).

    Args:
        blocks: from ``bench.results.tables.blocks``, with at least one pruned line.

    Returns:
        One line a method: ranked ones, best first, ties by mean accuracy and then by name; after them the others by
        name, without any number. ``rank``: its place, which equal mean ranks share. ``method``: its name, or its
        variant where a block has several of it. ``supervision``: what it saw. ``variants``: how it was written, over
        all blocks. ``mean_rank``: 1 is best. ``rank_low``, ``rank_high``: its 95 % interval; none where a block has one
        seed. ``wins``: weight of the columns in which no ranked method is better, in [0, 1]. ``mean_accuracy``: over
        the same columns, in percent. ``columns``: how many there are. ``seeds``: how many seeds a column has, ascending
        and distinct. ``metric``, ``protocol``: of all. ``missing``: what it misses, one text per block.

    Raises:
        RowError: there is no pruned line.
    """
    blocks = [block for block in blocks if block.lines]
    if not blocks:
        raise RowError("nothing to rank: all rows are of the full data set.")
    entered = entrants(blocks)
    table = entered.groupby("entrant", as_index=False).agg(
        supervision=("supervision", "first"),
        variants=("variant", lambda own: sorted(set(own))),
        seeds=("n", lambda own: sorted({*own} - {0})),
    )
    table = table.rename(columns={"entrant": "method"})
    table["missing"] = [_missing(blocks, entered[entered["entrant"] == method]) for method in table["method"]]
    table = table.join(_scores(blocks, entered), on="method")
    table = table.sort_values(["mean_rank", "mean_accuracy", "method"], ascending=[True, False, True])
    # Int64 of pandas, since a float would write the place of a ranked method as 1.0 beside one that has none.
    table["rank"] = table["mean_rank"].rank(method="min").astype("Int64")
    table["columns"] = sum(len(block.rates) for block in blocks)
    table["metric"], table["protocol"] = blocks[0].metric, blocks[0].cells["protocol"].iloc[0]
    return table[_COLUMNS].reset_index(drop=True)


def entrants(blocks: Sequence[Block]) -> pd.DataFrame:
    """Return the means of all pruned methods, with the place of their ``block`` in the list and their ``entrant``.

    That is what names a method over all blocks: its name where no block has two of it, else its variant. Variants that
    differ only by the rates they have a value for are one method.
    """
    import pandas as pd

    means = pd.concat([block.means.assign(block=number) for number, block in enumerate(blocks)], ignore_index=True)
    means = means[means["method"] != FULL]
    # Where two variants meet in one block, the name alone would not say which of them won.
    lines = means.groupby(["block", "method"])["label"].transform("nunique")
    split = {*means.loc[lines > 1, "method"]}
    names = means["family"].where(means["method"].isin(split), means["method"])
    return means.assign(entrant=names.groupby(names).transform(lambda own: _name(means.loc[own.index], split)))


def _name(means: pd.DataFrame, split: set[str]) -> str:
    labels, method = {*means["label"]}, means["method"].iloc[0]
    if len(labels) == 1 and not (method in split and method in labels):
        return str(labels.pop())  # the method's name, or the one that the user gave
    return " or ".join(sorted({*means["variant"]}))


def column_weights(blocks: Sequence[Block]) -> list[float]:
    """Weight of each rate of each block, all of which sum to 1; see ``standings`` for the rule."""
    of_pair = Counter((block.dataset, block.model) for block in blocks)
    # A second encoder or a finer grid of rates must not make a data set count more.
    return [1 / (len(of_pair) * of_pair[block.dataset, block.model] * len(block.rates)) for block in blocks]


def leaderboard_table(blocks: Sequence[Block], table: pd.DataFrame, *, intervals: bool = True) -> TextTable:
    """Return the leaderboard as a table; it has no dates, so that the same rows give the same bytes.

    Args:
        blocks: what was ranked.
        table: from ``standings`` of the same blocks.
        intervals: whether to show the intervals of mean ranks.
    """
    columns = ("#", "method", "supervision", "mean rank", *["rank 95 %"] * intervals, "wins", "mean accuracy", "seeds")

    def line(entry: Any) -> tuple[Field, ...]:
        numbers = [MISSING] * (len(columns) - 4)
        if not entry.missing:
            ends = MISSING if math.isnan(entry.rank_low) else f"[{entry.rank_low:.1f}, {entry.rank_high:.1f}]"
            accuracy = f"{entry.mean_accuracy:.{blocks[0].digits}f}"
            numbers = [f"{entry.mean_rank:.2f}", *[ends] * intervals, f"{100 * entry.wins:.0f} %", accuracy]
        rank = MISSING if entry.missing else str(entry.rank)
        seeds = " to ".join(map(str, dict.fromkeys((entry.seeds[0], entry.seeds[-1]))))
        return tuple(map(Field, (rank, entry.method, entry.supervision, *numbers, seeds)))

    sections = [
        Section("" if ranked else "not ranked", tuple(map(line, entries.itertuples())))
        for ranked, entries in table.groupby(table["rank"].notna(), sort=False)
    ]
    facts = tuple(_facts([block for block in blocks if block.lines], table, intervals))
    return TextTable("Leaderboard", columns, tuple(sections), facts=facts, left=3)


def leaderboard_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Plain values of ``standings``, one record per method."""
    # Lists as one text, since a CSV has one value a field.
    joined = {name: table[name].map("; ".join) for name in ("variants", "missing")}
    return plain(table.assign(**joined))


def _scores(blocks: Sequence[Block], entered: pd.DataFrame) -> pd.DataFrame:
    """Return what each method reached that is complete in every column, by its label."""
    import pandas as pd

    names = ["mean_rank", "rank_low", "rank_high", "wins", "mean_accuracy"]
    complete = entered.assign(mean=entered["mean"].where(entered["complete"]))
    means = complete.pivot(index=["block", "rate"], columns="entrant", values="mean").dropna(axis=1)
    if means.empty:
        return pd.DataFrame(columns=names, dtype=float)
    labels = entered.pivot_table(index="block", columns="entrant", values="label", aggfunc="first")[means.columns]
    shares = [share for block, share in zip(blocks, column_weights(blocks), strict=True) for _ in block.rates]
    columns = [
        blocks[number].accuracies.loc[rate].loc[[*blocks[number].seeds], [*labels.loc[number]]].to_numpy().T
        for number, rate in means.index
    ]
    standings = means.apply(ranks, axis=1, result_type="broadcast")
    # All that share the best rank win: a coin would otherwise decide it.
    wins = standings.eq(standings.min(axis=1), axis=0)
    scores = pd.DataFrame(rank_intervals(columns, shares), index=means.columns)
    scores.columns = pd.Index(names[:3])
    # One seed has no spread, and an interval over the other columns would look like one over all.
    if any(len(block.seeds) == 1 for block in blocks):
        scores[["rank_low", "rank_high"]] = float("nan")
    # ``fsum``, so that the order of the folders does not show in the last digit.
    weighted = [frame.mul(shares, axis=0).apply(math.fsum) for frame in (wins, means)]
    return scores.assign(wins=weighted[0], mean_accuracy=weighted[1])


def _missing(blocks: Sequence[Block], means: pd.DataFrame) -> list[str]:
    """Say what a method misses, one text per block."""
    texts = []
    for number, block in enumerate(blocks):
        own = means[means["block"] == number]
        parts = [
            f"{percent(one.rate)} ({len({*one.seeds} & {*block.seeds})} of {counted(len(block.seeds), 'seed')})"
            for one in named(own[~own["complete"]])
        ]
        if own.empty or parts:
            texts.append(f"{block.name}: {', '.join(parts) or 'all'}")
    return texts


def weighing_facts(block: Block) -> list[Fact]:
    """Return how a leaderboard weighs its columns, whatever these are."""
    weight = "every data set with its model has the same, divided equally among its encoders and then among their rates"
    return [
        Fact("Accuracy", f"{METRIC[block.metric]} in percent, mean over the columns by their weight"),
        Fact("Weight", weight),
        Fact("Wins", "the weight of the columns in which no ranked method is better"),
    ]


def _facts(blocks: Sequence[Block], table: pd.DataFrame, intervals: bool) -> list[Fact]:
    import pandas as pd

    entries: list[Any] = list(table.itertuples())
    ranked = [entry for entry in entries if not entry.missing]
    where = "; ".join(f"{block.name}: {', '.join(map(percent, block.rates))}" for block in blocks if block.rates)
    columns = counted(sum(len(block.rates) for block in blocks), "column")
    if ranked:
        among = (
            f"1 is best, among {counted(len(ranked), 'method')} over {columns} (data set, encoder, model, rate) in "
            "which each of them has all seeds"
        )
        facts = [*weighing_facts(blocks[0]), Fact("Mean rank", among)]
        if intervals and any(len(block.seeds) == 1 for block in blocks):
            facts.append(Fact("Rank 95 %", "none, since some column has one seed, which has no spread"))
        elif intervals:
            facts.append(Fact("Rank 95 %", f"{RANK_INTERVAL}; it says nothing of other data sets"))
    else:
        text = f"none, since no method is complete in all {columns}; leave a folder out, or run what is missing"
        facts = [Fact("Ranked", text)]
    facts.append(Fact("Columns", where))
    unranked = [entry for entry in entries if entry.missing]
    facts += [Fact(f"Not ranked: {entry.method}", f"misses {'; '.join(entry.missing)}") for entry in unranked]
    for block in blocks:
        facts += [Fact(fact.label, f"{block.name}: {fact.text}") for fact in (*incomplete(block), *other_seeds(block))]
    facts += [*common(pd.concat([block.cells for block in blocks])), *_versions(blocks)]
    for block in blocks:
        facts += label_leak(block)
    for entry in entries:
        texts = [text for text in map(parameters, entry.variants) if text]
        if texts and entry.method not in entry.variants:
            facts.append(Fact(entry.method, " or ".join(texts)))
    return list(dict.fromkeys(facts))


def _versions(blocks: Sequence[Block]) -> list[Fact]:
    """Warn of each method that is not one and the same over all blocks; within a block rows of two are refused."""
    places: dict[str, dict[int, list[str]]] = {}
    for block in blocks:
        for method, version in block.cells[["method", "method_version"]].drop_duplicates().itertuples(index=False):
            places.setdefault(method, {}).setdefault(int(version), []).append(block.name)
    facts = []
    for method, versions in places.items():
        if len(versions) > 1:
            where = "; ".join(f"version {version} ({', '.join(names)})" for version, names in sorted(versions.items()))
            facts.append(Fact(WARNING, f"{method} is not one method over all columns: {where}"))
    return facts
