"""The page of a row's fields, generated from the docstrings and types of the models."""

from __future__ import annotations

import inspect
import re
from typing import Any

from pydantic import BaseModel

from bench.recipe import KNOWN_PROTOCOLS, Recipe
from bench.reference import check_docstrings
from bench.results.rows import SCHEMA_VERSION, SINCE, Row, StageUse


def rows_page() -> str:
    """Return the page as Markdown: the files of a run, and every field with type, version and meaning."""
    check_docstrings()
    known = ", ".join(map(str, KNOWN_PROTOCOLS))
    parts = [
        "# Rows",
        "<!-- Written by `bench schema > docs/rows.md`; do not edit. -->",
        f"A row is the result of one cell: one JSON file, `OUT/rows/CELL_ID.json`, schema version {SCHEMA_VERSION}. "
        "The harness reads every earlier version; what a later one added is then empty. "
        f"Evaluation protocol versions so far: {known}; tables refuse to mix them.",
        "| file | what it holds |\n| --- | --- |\n"
        "| `rows/CELL_ID.json` | the row; the file is written whole or not at all |\n"
        "| `indices/CELL_ID.npy` | the coreset: sorted int64 positions in the full training split |\n"
        "| `scores/SHA256.npy` | the method's scores, float32, one per pool image, high = hard; may be left out |\n"
        "| `failed/CELL_ID.json`, `.txt` | why a cell has no row, and the traceback |",
        "No file holds pickled objects, so reading one cannot run code. `bench validate PATH...` checks rows from "
        "outside, `bench export DIR --format parquet` makes one flat table of them, and `bench schema --json` prints "
        "the JSON schema.",
        f"## Row\n\n{_table(Row)}",
        f"## Entries of `stages`\n\n{_table(StageUse)}",
        f"## `recipe`\n\n{_table(Recipe)}",
    ]
    return "\n\n".join(parts) + "\n"


def attributes(model: type[BaseModel]) -> dict[str, str]:
    """Return field -> its text in the ``Attributes`` section of the model's docstring, on one line."""
    text = inspect.cleandoc(model.__doc__ or "").partition("Attributes:\n")[2]
    # An entry continues over all lines that are indented further.
    entries = re.findall(r"^    (\w+): (.*(?:\n     +.*)*)", text, re.MULTILINE)
    return {name: " ".join(words.split()) for name, words in entries}


def _table(model: type[BaseModel]) -> str:
    schema = model.model_json_schema(mode="serialization")["properties"]
    meanings = attributes(model)
    lines = ["| field | type | since | meaning |", "| --- | --- | --: | --- |"]
    for name, item in schema.items():
        meaning = meanings[name].replace("``", "`").replace("|", "\\|")
        lines.append(f"| `{name}` | {_type(item)} | {SINCE.get(name, 1)} | {meaning} |")
    return "\n".join(lines)


def _type(item: dict[str, Any]) -> str:
    if "$ref" in item:
        return item["$ref"].rpartition("/")[2]
    if "anyOf" in item:
        # A field that may be None: JSON schema has a type for each.
        return " or ".join(_type(choice) for choice in item["anyOf"])
    if "const" in item or "enum" in item:
        return ", ".join(f"`{value}`" for value in item.get("enum", [item.get("const")]))
    if "prefixItems" in item:
        return f"({', '.join(_type(part) for part in item['prefixItems'])})"
    if item["type"] == "array":
        return f"list of {_type(item['items'])}"
    return str(item["type"])
