"""Reading users' lists: CSV, text, Parquet, and the files of labelling tools."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.errors import DataError
from bench.plain_files import read_regular

NAMES = ("file", "item", "name", "filepath", "filename", "path")
"""Headers of the column that names items, in our own lists and in those of other tools, the likelier ones first."""
_MOST_BYTES = 1 << 30
_SEPARATORS = ",;\t"
"""Where numbers have decimal commas, spreadsheets separate the columns of a CSV by semicolons."""
_DONE = "annotated"
"""Stands for the label of an image that has annotations in a tool's file; the annotations do not matter here."""


def read_lines(path: Path) -> list[list[str]]:
    """Return the cells of each line of a list; the first line may name the columns.

    Args:
        path: ``.csv``, ``.tsv`` or ``.parquet``, tasks of Label Studio or COCO (``.json``), a manifest of CVAT
            (``.jsonl``), or a text file with any other suffix and one item a line. Tools' files get the columns
            ``file`` and ``label``.

    Returns:
        At least one line, without empty ones.

    Raises:
        DataError: the file is not readable, or empty.
    """
    try:
        content = read_regular(path, at_most=_MOST_BYTES)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}.") from error
    lines = _READERS.get(path.suffix.lower(), _text)(path, content)
    if not lines:
        raise DataError(f"{path} is empty; expected one name a line, or a CSV with a column file or item.")
    return lines


def column_of(titles: Sequence[str], names: Sequence[str]) -> int | None:
    """Return the column whose title is the first of ``names`` that occurs; None if no title is one of them."""
    plain = [title.strip().lower() for title in titles]
    return next((plain.index(name) for name in names if name in plain), None)


def _decoded(path: Path, content: bytes) -> str:
    if b"\0" in content:
        raise DataError(f"{path} is not a text in UTF-8; give one name a line, or a CSV with a column file or item.")
    # Excel writes a byte order mark; names of files may be any bytes.
    return content.decode("utf-8-sig", "surrogateescape")


def _text(path: Path, content: bytes) -> list[list[str]]:
    return [[line] for line in _decoded(path, content).splitlines() if line.strip()]


def _csv(path: Path, content: bytes) -> list[list[str]]:
    text = _decoded(path, content)

    def lines(separator: str) -> Iterator[list[str]]:
        return filter(any, csv.reader(io.StringIO(text, newline=""), delimiter=separator))

    try:
        headers = {separator: next(lines(separator), []) for separator in _SEPARATORS}
        named = (separator for separator, titles in headers.items() if column_of(titles, NAMES) is not None)
        # Without a header, other separators than commas may be part of the names.
        return list(lines(next(named, ",")))
    except csv.Error as error:
        raise DataError(f"cannot read {path} as CSV: {error}; perhaps a quote is not closed.") from error


def _parquet(path: Path, content: bytes) -> list[list[str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        columns = pq.read_table(pa.BufferReader(content)).to_pydict()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read {path} as Parquet: {error}.") from error
    rows = zip(*columns.values(), strict=True)
    return [list(columns), *(["" if value is None else str(value) for value in row] for row in rows)]


def _json(path: Path, content: bytes) -> list[list[str]]:
    text = _decoded(path, content)
    try:
        document = json.loads(text)
        listed = _tasks(document) if isinstance(document, list) else _coco(document)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path} holds neither tasks of Label Studio, each with a name in its data, nor images of COCO."
        ) from error
    return [["file", "label"], *([str(name), _DONE if done else ""] for name, done in listed)]


def _tasks(tasks: list[dict[str, Any]]) -> list[tuple[str, bool]]:
    """Return each task's name and whether it is annotated, from Label Studio's JSON or JSON-MIN."""
    return [
        (
            task.get("data", task)["name"],
            bool(task.get("annotation_id"))
            or any(not annotation.get("was_cancelled") for annotation in task.get("annotations", ())),
        )
        for task in tasks
    ]


def _coco(document: dict[str, Any]) -> list[tuple[str, bool]]:
    annotated = {annotation["image_id"] for annotation in document.get("annotations", ())}
    return [(image["file_name"], image["id"] in annotated) for image in document["images"]]


def _manifest(path: Path, content: bytes) -> list[list[str]]:
    text = _decoded(path, content)
    try:
        lines = [json.loads(line) for line in text.splitlines() if line.strip()]
        return [["file"], *([line["name"] + line["extension"]] for line in lines if "name" in line)]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(
            f"{path} is not a manifest of CVAT: each line is JSON, of an image with name and extension."
        ) from error


_READERS: dict[str, Callable[[Path, bytes], list[list[str]]]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
    ".json": _json,
    ".jsonl": _manifest,
}
