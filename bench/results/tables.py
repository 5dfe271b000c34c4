"""Sorting rows into the blocks of an accuracy table: one block per data set, encoder and model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.errors import RowError, SpecError, nearest_file
from bench.grammar import Modifiers, family, merged, parse_call
from bench.identity import NO_ENCODER
from bench.parts import SUPERVISIONS
from bench.results.block import FULL, Block, Line
from bench.results.compatibility import check_block, check_line, check_protocol, exact_rate
from bench.results.frame import to_frame
from bench.results.metric import Metric
from bench.results.planned import GridPoint
from bench.results.rows import Row, read_rows, runs_in
from bench.results.shown import Shown


def collect(folders: Sequence[Path]) -> list[Row]:
    """Return the rows of several result folders; a row in two folders counts once.

    Returns:
        Rows in an order that depends only on their content.

    Raises:
        RowError: a folder is missing or has no rows, a row is invalid, or two rows of one cell disagree.
    """
    located: list[tuple[str, Row]] = []
    for folder in folders:
        if not folder.is_dir():
            near = "" if folder.exists() else nearest_file(folder)
            raise RowError(f"{folder} is not a folder.{near} Give the --out folder of a `bench run`.")
        rows = list(read_rows(folder))
        if not rows:
            raise RowError(_without_rows(folder))
        located += [(str(folder), row) for row in rows]
    return once(located)


def _without_rows(folder: Path) -> str:
    """Return why a folder has no rows, and what to give instead."""
    if folder.name == "rows" and any(folder.glob("*.json")):
        return f"{folder} is a folder inside a run; give the run itself: {folder.parent}."
    inside = runs_in(folder)
    if inside:
        return f"{folder} holds no rows itself; give the runs in it: {' '.join(map(str, inside))}"
    if any((folder / "failed").glob("*.json")):
        return f"{folder} holds no rows: all its cells failed; {folder / 'failed'} says why."
    return f"{folder} holds no rows: {folder / 'rows'} is missing or empty. Run `bench run` first."


def once(located: Iterable[tuple[str, Row]]) -> list[Row]:
    """Return each cell's row once, from pairs of a row's location in words and the row.

    Returns:
        Rows in an order that depends only on their content.

    Raises:
        RowError: two rows of one cell disagree.
    """
    by_cell: dict[str, tuple[str, Row]] = {}
    for location, row in located:
        other, same = by_cell.setdefault(row.cell_id, (location, row))
        # If a cell was run twice, times and machines may differ, but not results.
        if _result(row) != _result(same):
            raise RowError(f"{other} and {location} both hold the cell {row.cell_id}, with different results.")
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
    """Return the blocks of rows; rows of methods without an encoder are in every block of their data set and model.

    Args:
        rows: at least one row; the result does not depend on their order.
        metric: ``last`` is accuracy after the last iteration, ``best`` the best seen during training, and ``flipped``
            that after the last iteration with mirror images too.
        compare: whether to add the papers' numbers.
        digits: decimals that are shown.
        shown: the methods to show, by default all.
        keep: a method or variant that is always shown.
        planned: planned cells (``bench.results.planned``).

    Returns:
        Blocks sorted by data set, model and encoder.

    Raises:
        RowError: rows that cannot be compared would be in one table, a cell has two rows, or a row lacks the metric.
        SpecError: ``shown`` names a method that no row has, or gives several lines the same name.
    """
    # Sorted, so that no table depends on the order of folders and files.
    everything = sorted(rows, key=_order)
    # Over all blocks, since a leaderboard combines them.
    check_protocol(everything)
    chosen = everything if shown is None else shown.among(everything, keep=keep)
    if metric == "flipped" and (without := [row.cell_id for row in chosen if row.flipped_accuracy is None]):
        raise RowError(
            f"{len(without)} of {len(chosen)} rows have no accuracy with mirror images, for example {without[0]}: it "
            "needs a model that reads images, trained with test_flip=true in the recipe (--recipe test_flip=true)."
        )
    points = [point for point in planned if shown is None or shown.has(point.variant)]
    frame = to_frame(chosen)
    # Exact rates and families of variants, so that rows of an enlarged grid are in one column and line.
    frame = frame.assign(rate=list(map(exact_rate, chosen)), family=frame["variant"].map(family))
    sorted_blocks = []
    for (dataset, model), cells in frame.groupby(["dataset", "model"]):
        # From all rows: the table says how many methods the user left out.
        known = {family(row.variant) for row in everything if (row.dataset, row.model) == (dataset, model)}
        # Rows without an encoder only form a block of their own if there is no other block to join.
        for encoder in sorted({*cells["encoder"]} - {NO_ENCODER}) or [NO_ENCODER]:
            in_block = cells[cells["encoder"].isin([encoder, NO_ENCODER])]
            bare = Block(
                *(dataset, encoder, model, metric, in_block, (), None, digits),
                planned=tuple(
                    point
                    for point in points
                    if (point.dataset, point.model) == (dataset, model) and point.encoder in (encoder, NO_ENCODER)
                ),
                hidden=0 if shown is None else len(known - {*in_block["family"]}),
                compare=compare,
            )
            sorted_blocks.append(_block(bare, [chosen[number] for number in in_block.index], shown))
    return sorted_blocks


def variant_parameters(variant: str) -> str:
    """Return the parameters that the user set in a variant, as ``heads=10, beta=0.3``; empty if there are none."""
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


def _block(bare: Block, rows: list[Row], shown: Shown | None) -> Block:
    """Return the block with its lines, in the table's order and with the table's names."""
    where = f"the block {bare.name}"
    check_block(rows, where)
    lines = sorted(_lines(rows, where), key=_line_order)
    if shown is not None:
        lines = _arranged(lines, shown, where)
    return replace(
        bare,
        cells=bare.cells.assign(label=bare.cells["family"].map({line.family: line.label for line in lines})),
        lines=tuple(line for line in lines if line.method != FULL),
        full=next((line for line in lines if line.method == FULL), None),
    )


def _arranged(lines: Sequence[Line], shown: Shown, where: str) -> list[Line]:
    """Return the lines in the user's order and with the user's names."""
    positions = {line.variant: shown.position(line.variant) for line in lines}
    named = [
        line._replace(label=positions[line.variant][1] or line.label)
        for line in sorted(lines, key=lambda line: positions[line.variant][0])
    ]
    for label, count in Counter(line.label for line in named).items():
        if count > 1:
            alike = " and ".join(line.variant for line in named if line.label == label)
            raise SpecError(f"--methods calls {alike} {label!r} alike in {where}; give each a name of its own.")
    return named


def _lines(rows: Iterable[Row], where: str) -> list[Line]:
    """Return the lines of rows. Rows of a grid that was enlarged by a rate have different variants of one family."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(family(row.variant), []).append(row)
    several = Counter(group[0].method for group in groups.values())
    lines = []
    for name, group in groups.items():
        check_line(group, where)
        first, variant = group[0], merged([row.variant for row in group])
        label = variant if several[first.method] > 1 else first.method
        lines.append(Line(label, first.method, variant, name, first.supervision, first.encoder))
    return lines


def _result(row: Row) -> tuple[Any, ...]:
    # The family: a grid that gives a value for one more rate has the same cells at the former ones.
    return (
        row.protocol,
        family(row.variant),
        row.rate,
        row.seed,
        row.accuracy,
        row.best_accuracy,
        row.flipped_accuracy,
        row.indices_sha256,
    )


def _order(row: Row) -> tuple[Any, ...]:
    return row.dataset, row.model, row.encoder, row.method, row.variant, row.rate, row.seed, row.cell_id


def _line_order(line: Line) -> tuple[Any, ...]:
    # ``random`` leads its group, since the others are compared with it.
    return SUPERVISIONS.index(line.supervision), line.method != "random", line.method, line.variant
