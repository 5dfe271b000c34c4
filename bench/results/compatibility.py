"""Refuses rows that cannot stand in one table: another protocol, recipe or data set, or two results of one cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.errors import RowError
from bench.grammar import given_by_rate, parse_call
from bench.identity import NO_ENCODER, NO_PROXY
from bench.recipe import Recipe
from bench.results.rows import Row

if TYPE_CHECKING:
    from bench.stages.training import Cell

_OF_LINE = ("method", "method_version", "supervision", "encoder")


def check_protocol(rows: Sequence[Row]) -> None:
    """Raise ``RowError`` where rows that shall be compared were made by different protocols."""
    _agree(rows, ("protocol",), "one table")


def check_block(rows: Sequence[Row], where: str) -> None:
    """Raise ``RowError`` where rows of one data set, encoder and model are not comparable.

    Args:
        rows: of one block.
        where: the block in words, for the error.
    """
    first: dict[str, Row] = {}
    for row in rows:
        for name, value in _of_block(dict(row)).items():
            # Against the first row that says anything of it: one without an encoder says nothing of encoders.
            one = first.setdefault(name, row)
            if getattr(one, name) != value:
                raise _mixed(one, row, where, _detail(name, getattr(one, name), value))


def conflict(row: Row, other: Mapping[str, Any]) -> str | None:
    """Why ``check_block`` would refuse a row beside another one.

    Args:
        row: one of the two.
        other: the other one's fields, those that ``Cell.table_fields`` names; what is not known of it may be left out.

    Returns:
        The fields that differ with both values, in words; None where the two may stand in one block, or never would.
    """
    # A row without an encoder joins the block of every encoder.
    encoders = {row.encoder, other["encoder"]} - {NO_ENCODER}
    if (row.dataset, row.model) != (other["dataset"], other["model"]) or len(encoders) > 1:
        return None
    ours, theirs = _of_block(dict(row)), _of_block(other)
    differences = [
        _detail(name, ours[name], theirs[name]) for name in ours if theirs.get(name, ours[name]) != ours[name]
    ]
    return ", ".join(differences) or None


def _of_block(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a row says of its whole block; without encoder or proxy it says nothing about those of the others.

    Rows of an earlier schema do not say which versions they rest on.
    """
    names = ["protocol", "recipe", "pool_size", "fingerprint", "dataset_version", "model_version"]
    if fields["encoder"] != NO_ENCODER:
        names += ["encoder_supervision", "encoder_weights", "encoder_version"]
    if fields["proxy_model"] != NO_PROXY:
        names += ["proxy_model", "proxy_version", "proxy_recipe"]
    return {name: fields[name] for name in names if fields.get(name) is not None}


def check_line(rows: Sequence[Row], where: str) -> None:
    """Raise ``RowError`` where rows of one family are not one method with one set of parameters, or a cell has two.

    Parameters must agree, except between two rates where the user gave one value per rate.

    Args:
        rows: of one line.
        where: its block in words, for the error.
    """
    _agree(rows, _OF_LINE, where)
    # Where the user gave a value per rate, another value at another rate is what was asked for.
    free = given_by_rate(parse_call(rows[0].variant))
    at_rate: dict[float, Row] = {}
    cells: dict[tuple[float, int], Row] = {}
    for row in rows:
        _agree_in_params(rows[0], row, free, where)
        _agree_in_params(at_rate.setdefault(rate_of(row), row), row, frozenset(), where)
        other = cells.setdefault((rate_of(row), row.seed), row)
        if other is not row:
            raise RowError(
                f"{where} has two rows for {row.variant}, rate {row.rate:g}, seed {row.seed}: "
                f"{other.cell_id} and {row.cell_id}. Remove one of them."
            )


def rate_of(row: Row | Cell) -> float:
    """Return the fraction removed, without the rounding of a computed one."""
    # 1 - 0.9 is 0.09999999999999998, which would be a column of its own.
    return round(row.rate, 9)


def _agree(rows: Sequence[Row], fields: Sequence[str], where: str) -> None:
    """Raise at the first field in which a row differs from the first one."""
    for row in rows[1:]:
        for name in fields:
            one, other = getattr(rows[0], name), getattr(row, name)
            if one != other:
                raise _mixed(rows[0], row, where, _detail(name, one, other))


def _agree_in_params(first: Row, row: Row, free: frozenset[str], where: str) -> None:
    one, other = first.params, row.params
    # A parameter that a method got later stands in its later rows alone; at its default, or these were no one line.
    names = sorted(name for name in (one.keys() & other.keys()) - free if one[name] != other[name])
    if names:
        detail = ", ".join(f"parameter {name}: {one[name]!r} and {other[name]!r}" for name in names)
        raise _mixed(first, row, where, detail)


def _detail(name: str, one: Any, other: Any) -> str:
    return recipe_differences(one, other, name) if isinstance(one, Recipe) else f"{name}: {one!r} and {other!r}"


def recipe_differences(one: Recipe, other: Recipe, name: str = "recipe") -> str:
    """Say in which fields two recipes differ, with both values."""
    fields = [field for field in Recipe.model_fields if getattr(one, field) != getattr(other, field)]
    return ", ".join(f"{name}.{field}: {getattr(one, field)!r} and {getattr(other, field)!r}" for field in fields)


def _mixed(first: Row, row: Row, where: str, detail: str) -> RowError:
    return RowError(
        f"{where} cannot mix these two rows: {first.cell_id} ({first.variant}, seed {first.seed}) and "
        f"{row.cell_id} ({row.variant}, seed {row.seed}) differ in {detail}. "
        "Keep them in separate folders and make one table of each."
    )
