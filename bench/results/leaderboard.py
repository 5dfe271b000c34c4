"""Ranking methods over many columns; incomplete methods are listed with what they miss, and not ranked."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.errors import RowError
from bench.results.block import FULL, Block
from bench.results.facts import common, incomplete, label_leak, other_seeds
from bench.results.frame import named, plain
from bench.results.metric import METRIC
from bench.results.rendering import MISSING, WARNING, Fact, Field, Section, TextTable
from bench.results.stats import RANK_INTERVAL, rank_intervals, ranks
from bench.results.tables import variant_parameters
from bench.units import counted, percent

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = [
    *("rank", "method", "supervision", "variants", "mean_rank", "rank_low", "rank_high", "wins", "mean_accuracy"),
    *("columns", "seeds", "metric", "protocol", "missing"),
]


def standings(blocks: Sequence[Block]) -> pd.DataFrame:
    """Return methods ranked by their mean rank over all columns; a column is a rate of a block.

    A method is ranked if it and another one have the block's seeds in every column. Ranks, wins and mean accuracies are
    computed among ranked methods over all columns, so that all means are over the same columns. ``full`` is not ranked.

    Every pair of data set and model has the same weight, split equally over its encoders and then over their rates:
    methods without an encoder have the same numbers in the block of every encoder, which must not count twice.

    The interval of a mean rank shows how far it depends on seeds, and says nothing about other data sets
    (``rank_intervals``).

    Args:
        blocks: from ``bench.results.tables.blocks``, with at least one pruned line.

    Returns:
        One line per method. Ranked methods come first, best first, ties by mean accuracy and then by name; the others
        follow by name, without numbers, but a method that alone has every column has its accuracy. ``rank``: rank of
        the method; equal mean ranks share one. ``method``: name, or variant if a block has several variants of the
        method. ``supervision``: what the method saw. ``variants``: how it was written, over all blocks. ``mean_rank``:
        1 is best. ``rank_low``, ``rank_high``: its 95 % interval; missing if a block has one seed. ``wins``: weight of
        the columns in which no ranked method is better, in [0, 1]. ``mean_accuracy``: over the same columns, in
        percent. ``columns``: their number. ``seeds``: numbers of seeds per column, ascending and distinct. ``metric``,
        ``protocol``: of all rows. ``missing``: what the method misses, one text per block.

    Raises:
        RowError: there is no pruned line.
    """
    blocks = [block for block in blocks if block.lines]
    if not blocks:
        raise RowError("nothing to rank: all rows are of the full data set.")
    entered = entrants(blocks)
    table = entered.groupby("entrant", as_index=False).agg(
        supervision=("supervision", "first"),
        variants=("variant", lambda variants: sorted(set(variants))),
        seeds=("n", lambda counts: sorted({*counts} - {0})),
    )
    table = table.rename(columns={"entrant": "method"})
    table["missing"] = [_missing(blocks, entered[entered["entrant"] == method]) for method in table["method"]]
    table = table.join(_scores(blocks, entered), on="method")
    table = table.sort_values(["mean_rank", "mean_accuracy", "method"], ascending=[True, False, True])
    # pandas' Int64: with floats, a rank would be written as 1.0 as soon as another method has none.
    table["rank"] = table["mean_rank"].rank(method="min").astype("Int64")
    table["columns"] = sum(len(block.rates) for block in blocks)
    table["metric"], table["protocol"] = blocks[0].metric, blocks[0].cells["protocol"].iloc[0]
    return table[_COLUMNS].reset_index(drop=True)


def entrants(blocks: Sequence[Block]) -> pd.DataFrame:
    """Return the means of all pruned methods, with the number of their ``block`` and their ``entrant``.

    The entrant is the method's name over all blocks, or its variant if a block has two variants of the method. Variants
    that differ only in the rates for which they have a value are one method.
    """
    import pandas as pd

    means = pd.concat([block.means.assign(block=number) for number, block in enumerate(blocks)], ignore_index=True)
    means = means[means["method"] != FULL]
    # If two variants are in one block, the name alone would not say which of them won.
    lines = means.groupby(["block", "method"])["label"].transform("nunique")
    split = {*means.loc[lines > 1, "method"]}
    names = means["family"].where(means["method"].isin(split), means["method"])
    return means.assign(entrant=names.groupby(names).transform(lambda group: _name(means.loc[group.index], split)))


def _name(means: pd.DataFrame, split: set[str]) -> str:
    labels, method = {*means["label"]}, means["method"].iloc[0]
    if len(labels) == 1 and not (method in split and method in labels):
        return str(labels.pop())  # the method's name, or the user's name for it
    return " or ".join(sorted({*means["variant"]}))


def column_weights(blocks: Sequence[Block]) -> list[float]:
    """Return the weight of a rate for each block; the weights of all columns sum to 1. See ``standings``."""
    of_pair = Counter((block.dataset, block.model) for block in blocks)
    # A second encoder or a finer grid of rates must not make a data set count more.
    return [1 / (len(of_pair) * of_pair[block.dataset, block.model] * len(block.rates)) for block in blocks]


def leaderboard_table(blocks: Sequence[Block], table: pd.DataFrame, *, intervals: bool = True) -> TextTable:
    """Return the leaderboard as a table without dates, so that the same rows give the same bytes.

    Args:
        blocks: the blocks that were ranked.
        table: their ``standings``.
        intervals: whether to show the intervals of mean ranks.
    """
    columns = ("#", "method", "supervision", "mean rank", *["rank 95 %"] * intervals, "wins", "mean accuracy", "seeds")

    def line(entry: Any) -> tuple[Field, ...]:
        ranked = not math.isnan(entry.mean_rank)
        ends = MISSING if math.isnan(entry.rank_low) else f"[{entry.rank_low:.1f}, {entry.rank_high:.1f}]"
        numbers = [
            f"{entry.mean_rank:.2f}" if ranked else MISSING,
            *[ends] * intervals,
            f"{100 * entry.wins:.0f} %" if ranked else MISSING,
            MISSING if entry.missing else f"{entry.mean_accuracy:.{blocks[0].digits}f}",
        ]
        rank = str(entry.rank) if ranked else MISSING
        seeds = " to ".join(map(str, dict.fromkeys((entry.seeds[0], entry.seeds[-1]))))
        return tuple(map(Field, (rank, entry.method, entry.supervision, *numbers, seeds)))

    sections = [
        Section("" if ranked else "not ranked", tuple(map(line, entries.itertuples())))
        for ranked, entries in table.groupby(table["rank"].notna(), sort=False)
    ]
    facts = tuple(_facts([block for block in blocks if block.lines], table, intervals))
    return TextTable("Leaderboard", columns, tuple(sections), facts=facts, left=3)


def leaderboard_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the ``standings`` as plain values, one record per method."""
    # Lists become one text, since a CSV has one value per field.
    joined = {name: table[name].map("; ".join) for name in ("variants", "missing")}
    return plain(table.assign(**joined))


def _scores(blocks: Sequence[Block], entered: pd.DataFrame) -> pd.DataFrame:
    """Return ranks, wins and mean accuracies of the methods that are complete in every column."""
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
    # All methods that share the best rank win.
    wins = standings.eq(standings.min(axis=1), axis=0)
    scores = pd.DataFrame(rank_intervals(columns, shares), index=means.columns)
    scores.columns = pd.Index(names[:3])
    # One seed has no spread, and an interval over the other columns would look like one over all columns.
    if any(len(block.seeds) == 1 for block in blocks):
        scores[["rank_low", "rank_high"]] = float("nan")
    # ``fsum``, so that the last digit does not depend on the order of the folders.
    weighted = [frame.mul(shares, axis=0).apply(math.fsum) for frame in (wins, means)]
    scores = scores.assign(wins=weighted[0], mean_accuracy=weighted[1])
    # A method without a rival would be the first of one, with all wins.
    return scores if len(scores) > 1 else scores.assign(**dict.fromkeys(names[:4], math.nan))


def _missing(blocks: Sequence[Block], means: pd.DataFrame) -> list[str]:
    """Return what a method misses, one text per block."""
    texts = []
    for number, block in enumerate(blocks):
        in_block = means[means["block"] == number]
        parts = [
            f"{percent(mean.rate)} ({len({*mean.seeds} & {*block.seeds})} of {counted(len(block.seeds), 'seed')})"
            for mean in named(in_block[~in_block["complete"]])
        ]
        if in_block.empty or parts:
            texts.append(f"{block.name}: {', '.join(parts) or 'all'}")
    return texts


def weighing_facts(block: Block) -> list[Fact]:
    """Return the notes on how a leaderboard weighs its columns."""
    weight = "every pair of data set and model has the same, split equally over its encoders and then over their rates"
    return [
        Fact("Accuracy", f"{METRIC[block.metric]} in percent, mean over the columns by their weight"),
        Fact("Weight", weight),
        Fact("Wins", "the weight of the columns in which no ranked method is better"),
    ]


def _facts(blocks: Sequence[Block], table: pd.DataFrame, intervals: bool) -> list[Fact]:
    import pandas as pd

    entries: list[Any] = list(table.itertuples())
    complete = [entry for entry in entries if not entry.missing]
    where = "; ".join(f"{block.name}: {', '.join(map(percent, block.rates))}" for block in blocks if block.rates)
    columns = counted(sum(len(block.rates) for block in blocks), "column")
    facts = weighing_facts(blocks[0]) if complete else []
    if len(complete) > 1:
        among = (
            f"1 is best, among {counted(len(complete), 'method')} over {columns} (data set, encoder, model, rate) in "
            "which each of them has all seeds"
        )
        facts.append(Fact("Mean rank", among))
        if intervals and any(len(block.seeds) == 1 for block in blocks):
            facts.append(Fact("Rank 95 %", "none, since some column has one seed, which has no spread"))
        elif intervals:
            facts.append(Fact("Rank 95 %", f"{RANK_INTERVAL}; it says nothing about other data sets"))
    else:
        who = f"only {complete[0].method}" if complete else "no method"
        reason = f"none, since {who} is complete in every column, and a rank takes two methods"
        facts.append(Fact("Ranked", f"{reason}; leave a folder out, or run what is missing"))
    facts.append(Fact("Columns", where))
    unranked: dict[str, list[str]] = {}
    for entry in entries:
        if entry.missing:
            unranked.setdefault("; ".join(entry.missing), []).append(entry.method)
    facts += [
        Fact(f"Not ranked: {', '.join(names)}", f"{'misses' if len(names) == 1 else 'miss'} {missing}")
        for missing, names in unranked.items()
    ]
    for block in blocks:
        facts += [Fact(fact.label, f"{block.name}: {fact.text}") for fact in (*incomplete(block), *other_seeds(block))]
    facts += [*common(pd.concat([block.cells for block in blocks])), *_versions(blocks)]
    for block in blocks:
        facts += label_leak(block)
    for entry in entries:
        texts = [text for text in map(variant_parameters, entry.variants) if text]
        if texts and entry.method not in entry.variants:
            facts.append(Fact(entry.method, " or ".join(texts)))
    return list(dict.fromkeys(facts))


def _versions(blocks: Sequence[Block]) -> list[Fact]:
    """Return warnings about methods with several versions over the blocks; inside a block two are refused."""
    blocks_of: dict[str, dict[int, list[str]]] = {}
    for block in blocks:
        for method, version in block.cells[["method", "method_version"]].drop_duplicates().itertuples(index=False):
            blocks_of.setdefault(method, {}).setdefault(int(version), []).append(block.name)
    facts = []
    for method, versions in blocks_of.items():
        if len(versions) > 1:
            where = "; ".join(f"version {version} ({', '.join(names)})" for version, names in sorted(versions.items()))
            facts.append(Fact(WARNING, f"{method} is not one method over all columns: {where}"))
    return facts
