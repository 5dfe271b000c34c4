"""Rows as flat records, and as Parquet or CSV for other programs."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import RowError
from bench.results.rendering import to_csv
from bench.results.rows import Row
from bench.store.files import write_atomically

if TYPE_CHECKING:
    import pyarrow as pa

_MAPPINGS = ("params", "chosen", "judged", "versions")
"""Mappings whose keys differ between rows; each becomes one JSON text, since a table's rows share their columns."""


def flat(row: Row) -> dict[str, Any]:
    """Return ``record`` with ``params``, ``chosen``, ``judged`` and ``versions`` as JSON text."""
    return {name: _json(value) if name in _MAPPINGS else value for name, value in record(row).items()}


def record(row: Row) -> dict[str, Any]:
    """Return the row's fields under their names, with ``recipe_*`` for the fields of the recipe.

    Returns:
        ``curve`` becomes two lists, ``curve_iterations`` and ``curve_accuracies``; ``stages`` is a list of records.
        Added are ``stage_seconds``, the sum over the row's stages, whichever run computed them, and
        ``stage_peak_bytes``, their maximum. Mappings are sorted, so that equal ones are written alike.
    """
    # In one place, whatever the row holds: records are written by position, and rows may leave these two out.
    content = row.model_dump(mode="json", exclude={"recipe", "weighted", "flipped_accuracy"})
    curve, stages = content.pop("curve"), content.pop("stages")
    # All fields, including those that a recipe omits at their defaults, so that every row has the same columns.
    content["proxy_recipe"] = dict(row.proxy_recipe) if row.proxy_recipe else None
    # Stages run one after the other, so a row's peak is their maximum and not their sum.
    peaks = [use["peak_bytes"] for use in stages if use["peak_bytes"] is not None]
    return {
        **content,
        "weighted": row.weighted,
        "flipped_accuracy": row.flipped_accuracy,
        **{name: dict(sorted(content[name].items())) for name in _MAPPINGS},
        **{f"recipe_{name}": value for name, value in row.recipe},
        "curve_iterations": [iteration for iteration, _ in curve],
        "curve_accuracies": [accuracy for _, accuracy in curve],
        "stages": stages,
        "stage_seconds": sum(use["seconds"] for use in stages),
        "stage_peak_bytes": max(peaks, default=None),
    }


def write_parquet(rows: Sequence[Row], path: Path) -> None:
    """Write one line per row; lists stay lists, and column types do not depend on the rows.

    Raises:
        RowError: a number does not fit into Parquet's 64 bits.
        OSError: the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pa.Table.from_pylist([flat(row) for row in rows], schema=_arrow_schema())
    except (pa.ArrowException, OverflowError) as error:
        raise RowError(f"a number in the rows is too large for Parquet ({error}); use --format csv.") from error
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    write_atomically(path, buffer.getvalue())


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Write one line per row; lists become JSON text.

    Raises:
        OSError: the file cannot be written.
    """
    records = [{name: _csv(value) for name, value in flat(row).items()} for row in rows]
    write_atomically(path, to_csv(records).encode("utf-8"))


def columns(rows: Iterable[Row]) -> tuple[list[str], list[list[Any]]]:
    """Return names and lines of the columns without lists, for programs whose tables cannot hold lists."""
    records = [{name: value for name, value in flat(row).items() if not isinstance(value, list)} for row in rows]
    names = list(records[0]) if records else []
    return names, [list(record.values()) for record in records]


def _arrow_schema() -> pa.Schema:
    """Return the columns of ``flat``, with types from the row's JSON schema."""
    import pyarrow as pa

    schema = Row.model_json_schema(mode="serialization")
    defs = schema["$defs"]

    def kind(of: dict[str, Any]) -> pa.DataType:
        if "$ref" in of:
            return kind(defs[of["$ref"].rpartition("/")[2]])
        if "anyOf" in of:
            return kind(next(item for item in of["anyOf"] if item.get("type") != "null"))
        if of["type"] == "array":
            return pa.list_(kind(of["items"]))
        if of["type"] == "object" and "properties" in of:
            return pa.struct([(name, kind(item)) for name, item in of["properties"].items()])
        # From the schema and not from the values: Arrow cannot infer the type of a column that is empty in all rows.
        scalars = {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}
        return scalars.get(of["type"], pa.string())

    fields = {name: item for name, item in schema["properties"].items() if name not in ("recipe", "curve")}
    recipe = {f"recipe_{name}": item for name, item in defs["Recipe"]["properties"].items()}
    return pa.schema(
        [
            *((name, kind(item)) for name, item in (fields | recipe).items()),
            ("curve_iterations", pa.list_(pa.int64())),
            ("curve_accuracies", pa.list_(pa.float64())),
            ("stage_seconds", pa.float64()),
            ("stage_peak_bytes", pa.int64()),
        ]
    )


def _csv(value: Any) -> Any:
    # All digits: ``to_csv`` rounds floats for people, but an export is for programs.
    return repr(value) if isinstance(value, float) else _json(value) if isinstance(value, list) else value


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
