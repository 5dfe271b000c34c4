"""The list of items to label, the table of all items, and the paths of these files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.addresses import address_of
from bench.errors import SpecError
from bench.knn import unit_rows
from bench.labelling.candidates import Limits
from bench.labelling.choose import Chosen
from bench.labelling.rows import Rows, in_blocks
from bench.results.rendering import to_csv, write_bytes

Named = Literal["file", "item"]
TABLES = (".csv", ".parquet")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def records(chosen: Chosen, names: Sequence[str], named: Named) -> list[dict[str, Any]]:
    """Return one record per chosen item, in the order to label.

    Args:
        chosen: the choice from ``choose``.
        names: names of all N items.
        named: whether these are names of files or of other items.
    """
    columns = ("order", named, "cluster", "score")
    listed = [
        (number, names[position], _at(chosen.clusters, position), _at(chosen.scores, position))
        for number, position in enumerate(chosen.positions.tolist(), 1)
    ]
    return [dict(zip(columns, values, strict=True)) for values in listed]


def list_csv(listed: Sequence[Mapping[str, Any]], named: Named) -> bytes:
    """Return the records as the content of a CSV file."""
    lines = [{**record, named: without_formula(record[named], named)} for record in listed]
    return to_csv(lines).encode("utf-8", "surrogateescape")


def without_formula(name: str, named: Named) -> str:
    """Return a file's name so that no spreadsheet takes it for a formula: ``./=1.jpg`` for the file ``=1.jpg``."""
    return f"./{name}" if named == "file" and name.startswith(_FORMULA) else name


def _at(values: NDArray[Any] | None, position: int) -> Any:
    return None if values is None else values[position].item()


def all_records(
    chosen: Chosen, embeddings: Rows, limits: Limits, names: Sequence[str], named: Named
) -> dict[str, list[Any]]:
    """Return the columns of a table with one line per item: its state, and the chosen item nearest to it.

    Args:
        chosen: the choice from ``choose``.
        embeddings: float32 [N, D].
        limits: the limits of the choice.
        names: names of the N items.
        named: whether these are names of files or of other items.

    Returns:
        ``file`` or ``item``, ``state`` (chosen, labelled, excluded, near-duplicate, group, or empty), ``rank`` (number
        in the order to label), ``cluster``, ``score``, ``nearest`` (name of the nearest chosen item) and ``similarity``
        (cosine to that item).
    """
    size = len(embeddings)
    state = np.full(size, "", dtype=object)
    # The last state counts: a labelled item may be a near-duplicate or excluded too.
    for text, positions in (
        ("group", chosen.grouped),
        ("near-duplicate", chosen.duplicates),
        ("excluded", limits.excluded),
        ("labelled", limits.labelled),
        ("chosen", chosen.positions),
    ):
        state[positions] = text
    rank: list[int | None] = [None] * size
    for number, position in enumerate(chosen.positions.tolist(), 1):
        rank[position] = number
    nearest, similarity = nearest_chosen(embeddings, chosen.positions)
    # -1 and NaN stand for items that were left out; their cells stay empty. ``s != s`` is true for NaN.
    clusters = [None] * size if chosen.clusters is None else [None if c < 0 else c for c in chosen.clusters.tolist()]
    scores = [None] * size if chosen.scores is None else [None if s != s else s for s in chosen.scores.tolist()]
    return {
        named: [without_formula(name, named) for name in names],
        "state": state.tolist(),
        "rank": rank,
        "cluster": clusters,
        "score": scores,
        "nearest": [without_formula(names[position], named) for position in nearest.tolist()],
        "similarity": similarity.tolist(),
    }


def nearest_chosen(embeddings: Rows, chosen: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the position [N] of the chosen item nearest to each item, itself if it is chosen, and their cosine [N]."""
    picked = unit_rows(embeddings[chosen])
    nearest = np.empty(len(embeddings), dtype=np.int64)
    similarity = np.empty(len(embeddings), dtype=np.float32)
    for inside, part in in_blocks(embeddings):
        cosines = unit_rows(part) @ picked.T
        best = cosines.argmax(1)
        nearest[inside] = chosen[best]
        similarity[inside] = np.clip(cosines[np.arange(len(best)), best], -1, 1)
    # ``argmax`` takes the first of equal items, but a chosen item is nearest to itself.
    nearest[chosen] = chosen
    return nearest, similarity


def write_table(path: Path, columns: dict[str, list[Any]]) -> None:
    """Write the columns as CSV or Parquet, by the suffix, as a whole or not at all.

    Raises:
        BenchError: the folder cannot be written.
    """
    if path.suffix.lower() == ".csv":
        lines = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        write_bytes(path, to_csv(lines).encode("utf-8", "surrogateescape"))
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    printable = {
        name: [
            # Parquet holds only UTF-8; CSV keeps the bytes of other names.
            v.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if isinstance(v, str) else v
            for v in values
        ]
        for name, values in columns.items()
    }
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table(printable), buffer)
    write_bytes(path, buffer.getvalue().to_pybytes())


def beside(out: Path) -> tuple[Path, Path, Path]:
    """Return the paths of a list's contact sheet, of its list of skipped files, and of its page."""
    return out.with_suffix(".jpg"), out.with_name(f"{out.stem}.skipped.csv"), out.with_suffix(".html")


def check_free(paths: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse to write a file that exists already, since it may hold the user's work."""
    existing = [path for path in paths if _exists(path)]
    if existing and not overwrite:
        names = ", ".join(path.name for path in existing)
        raise SpecError(
            f"already in {existing[0].parent}: {names}, perhaps with labels of yours; give another --out, move away "
            "what is there, or add --overwrite."
        )


def check_apart(written: Iterable[Path], read: Mapping[str, str | None]) -> None:
    """Refuse to write a file twice, or over a file that is read.

    Args:
        written: all files that may be written.
        read: option -> the file that it names, or an address, over which nothing is written.
    """
    inputs = {Path(name).resolve(): option for option, name in read.items() if name and not address_of(name)}
    outputs: set[Path] = set()
    for path in written:
        resolved = path.resolve()
        if resolved in outputs:
            raise SpecError(f"{path} would be written twice; give --out or --scores another name.")
        if resolved in inputs:
            raise SpecError(f"{path} would be written in the place of {inputs[resolved]}; give --out another name.")
        outputs.add(resolved)


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise SpecError(f"cannot write {path}: {error.strerror}.") from error
    return True
