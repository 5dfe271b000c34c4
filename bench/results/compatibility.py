"""Checks that refuse rows which cannot be in one table, such as rows of two protocols, recipes or data sets."""

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

_LINE_FIELDS = ("method", "method_version", "supervision", "encoder")


def check_protocol(rows: Sequence[Row]) -> None:
    """Refuse rows of different protocols, raising ``RowError``."""
    _agree(rows, ("protocol",), "one table")


def check_block(rows: Sequence[Row], where: str) -> None:
    """Refuse rows of one block that cannot be compared, raising ``RowError``.

    Args:
        rows: rows with the same data set, encoder and model.
        where: the block in words, for the error.
    """
    first: dict[str, Row] = {}
    for row in rows:
        for name, value in _block_fields(dict(row)).items():
            # Compared with the first row that has the field: a row without an encoder has no encoder fields.
            reference = first.setdefault(name, row)
            if getattr(reference, name) != value:
                raise _mixed(reference, row, where, _detail(name, getattr(reference, name), value))


def conflict(row: Row, other: Mapping[str, Any]) -> str | None:
    """Return why ``check_block`` would refuse two rows of the same block.

    Args:
        row: one of the two rows.
        other: fields of the other row, as ``Cell.table_fields`` names them; unknown fields may be left out.

    Returns:
        The fields that differ, with both values, in words; None if the rows fit together or are in different blocks.
    """
    # A row without an encoder joins the block of every encoder.
    encoders = {row.encoder, other["encoder"]} - {NO_ENCODER}
    if (row.dataset, row.model) != (other["dataset"], other["model"]) or len(encoders) > 1:
        return None
    ours, theirs = _block_fields(dict(row)), _block_fields(other)
    differences = [
        _detail(name, ours[name], theirs[name]) for name in ours if theirs.get(name, ours[name]) != ours[name]
    ]
    return ", ".join(differences) or None


def _block_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that all rows of a block must share; a row without encoder or proxy has no fields of these.

    Rows of earlier schema versions lack some versions.
    """
    names = ["protocol", "recipe", "pool_size", "fingerprint", "dataset_version", "model_version"]
    if fields["encoder"] != NO_ENCODER:
        names += ["encoder_supervision", "encoder_weights", "encoder_version"]
    if fields["proxy_model"] != NO_PROXY:
        names += ["proxy_model", "proxy_version", "proxy_recipe"]
    return {name: fields[name] for name in names if fields.get(name) is not None}


def check_line(rows: Sequence[Row], where: str) -> None:
    """Refuse rows of one line with different methods or parameters, or two rows of one cell, raising ``RowError``.

    Parameters must agree, except between rates if the user gave one value per rate.

    Args:
        rows: rows of one line.
        where: the block in words, for the error.
    """
    _agree(rows, _LINE_FIELDS, where)
    # If the user gave a value per rate, values differ between rates.
    free = given_by_rate(parse_call(rows[0].variant))
    at_rate: dict[float, Row] = {}
    cells: dict[tuple[float, int], Row] = {}
    for row in rows:
        _agree_in_params(rows[0], row, free, where)
        _agree_in_params(at_rate.setdefault(exact_rate(row), row), row, frozenset(), where)
        other = cells.setdefault((exact_rate(row), row.seed), row)
        if other is not row:
            raise RowError(
                f"{where} has two rows for {row.variant}, rate {row.rate:g}, seed {row.seed}: "
                f"{other.cell_id} and {row.cell_id}. Remove one of them."
            )


def exact_rate(row: Row | Cell) -> float:
    """Return the rate of a row or cell without rounding errors."""
    # 1 - 0.9 is 0.09999999999999998, which would be a separate column.
    return round(row.rate, 9)


def _agree(rows: Sequence[Row], fields: Sequence[str], where: str) -> None:
    """Raise ``RowError`` at the first field in which a row differs from the first row."""
    for row in rows[1:]:
        for name in fields:
            first, other = getattr(rows[0], name), getattr(row, name)
            if first != other:
                raise _mixed(rows[0], row, where, _detail(name, first, other))


def _agree_in_params(first: Row, row: Row, free: frozenset[str], where: str) -> None:
    params, other = first.params, row.params
    # A parameter that was added to a method later is missing in older rows; newer rows of the line have its default.
    names = sorted(name for name in (params.keys() & other.keys()) - free if params[name] != other[name])
    if names:
        detail = ", ".join(f"parameter {name}: {params[name]!r} and {other[name]!r}" for name in names)
        raise _mixed(first, row, where, detail)


def _detail(name: str, one: Any, other: Any) -> str:
    return recipe_differences(one, other, name) if isinstance(one, Recipe) else f"{name}: {one!r} and {other!r}"


def recipe_differences(one: Recipe, other: Recipe, name: str = "recipe") -> str:
    """Return the fields in which two recipes differ, with both values, in words."""
    fields = [field for field in Recipe.model_fields if getattr(one, field) != getattr(other, field)]
    return ", ".join(f"{name}.{field}: {getattr(one, field)!r} and {getattr(other, field)!r}" for field in fields)


def _mixed(first: Row, row: Row, where: str, detail: str) -> RowError:
    return RowError(
        f"{where} cannot mix these two rows: {first.cell_id} ({first.variant}, seed {first.seed}) and "
        f"{row.cell_id} ({row.variant}, seed {row.seed}) differ in {detail}. "
        "Make a table of each folder alone, or `bench report`, which separates folders by itself; "
        "or move the rows apart if they are in one folder."
    )
