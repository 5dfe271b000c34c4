"""The kinds of figures, and choosing those that rows and files allow."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.errors import SpecError
from bench.plots.accuracy import against_cost, against_rate
from bench.plots.coresets import class_balance, coreset_overlap, score_distributions
from bench.plots.style import Draw
from bench.results.block import Block
from bench.results.comparison import method_agreements, scored_coresets
from bench.results.published import is_whole_split
from bench.units import in_percent, percent


class Figure(NamedTuple):
    """One figure, not yet drawn.

    Attributes:
        kind: a name of ``KINDS``.
        name: file name without suffix.
        title: what it shows, in a sentence for readers who cannot see it.
        block: number of its block.
        rate: fraction removed; None if it shows all rates.
        draw: function that draws it.
    """

    kind: str
    name: str
    title: str
    block: int
    rate: float | None
    draw: Draw


def _scores(block: Block, rate: float, folders: Sequence[Path]) -> Draw | None:
    # Coresets are positions in the training split, scores are in the order of the pool; both must be the same.
    with_scores = scored_coresets(block, rate, folders) if is_whole_split(block.dataset) else []
    return partial(score_distributions, block, rate, with_scores) if with_scores else None


def _overlap(block: Block, rate: float, folders: Sequence[Path]) -> Draw:
    return partial(coreset_overlap, block, rate, method_agreements(block, folders, [rate]))


_PER_RATE: dict[str, tuple[str, Callable[[Block, float, Sequence[Path]], Draw | None]]] = {
    "cost": ("accuracy against the seconds of one cell", lambda block, rate, _: partial(against_cost, block, rate)),
    "scores": ("scores of the images that were kept and dropped", _scores),
    "balance": ("class balance of the coresets", lambda block, rate, _: partial(class_balance, block, rate)),
    "overlap": ("overlap of the coresets", _overlap),
}
KINDS = ("accuracy", *_PER_RATE)


def figures(
    blocks: Sequence[Block], folders: Sequence[Path], *, kinds: Sequence[str] = KINDS, rates: Sequence[float] = ()
) -> Iterator[Figure]:
    """Yield the figures that the rows and their files allow.

    Args:
        blocks: from ``bench.results.tables.blocks``; blocks without a pruned line are skipped.
        folders: folders of the rows.
        kinds: kinds of figures, from ``KINDS``.
        rates: rates for figures of one rate; empty for every rate of the block.

    Raises:
        SpecError: no block has one of the rates.
    """
    known = {rate for block in blocks for rate in block.rates}
    for rate in rates:
        if rate not in known:
            listed = ", ".join(f"{known_rate:g}" for known_rate in sorted(known))
            raise SpecError(f"no row has rate {rate:g}; there are {listed}.")
    slugs: Counter[str] = Counter()
    for number, block in enumerate(blocks):
        if not block.lines:
            continue
        # For file names, in which brackets and commas are not allowed everywhere.
        slug = re.sub(r"[^\w.]+", "-", f"{block.dataset}-{block.encoder}-{block.model}").strip("-")
        slugs[slug] += 1
        # Such as ``a b`` and ``a-b``: the figure of one would replace that of the other.
        slug += f"-{slugs[slug]}" * (slugs[slug] > 1)
        if "accuracy" in kinds:
            title = f"{block.name}: accuracy against the percentage removed"
            yield Figure("accuracy", f"accuracy-{slug}", title, number, None, partial(against_rate, block))
        for rate in [rate for rate in block.rates if not rates or rate in rates]:
            for kind, (what, make) in _PER_RATE.items():
                draw = make(block, rate, folders) if kind in kinds else None
                if draw is not None:
                    title = f"{block.name}, {percent(rate)} removed: {what}"
                    yield Figure(kind, f"{kind}-{slug}-r{in_percent(rate)}", title, number, rate, draw)
