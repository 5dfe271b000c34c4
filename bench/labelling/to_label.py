"""The list of what to label, and where it and what belongs to it lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from bench.errors import SpecError
from bench.labelling.choose import Chosen

Named = Literal["file", "item"]


def records(chosen: Chosen, names: Sequence[str], named: Named) -> list[dict[str, Any]]:
    """One record per entry, in the order to label.

    Args:
        chosen: what ``choose`` returned.
        names: of the entries, in the same order.
        named: what they name.
    """
    columns = ("order", named, "cluster", "score")
    scores = [None] * len(names) if chosen.scores is None else chosen.scores[chosen.positions].tolist()
    values = zip(range(1, len(names) + 1), names, chosen.clusters.tolist(), scores, strict=True)
    return [dict(zip(columns, value, strict=True)) for value in values]


def beside(out: Path) -> tuple[Path, Path]:
    """Where the contact sheet of a list lies, and the list of files that were skipped."""
    return out.with_suffix(".jpg"), out.with_name(f"{out.stem}.skipped.csv")


def check_free(out: Path, *, overwrite: bool) -> None:
    """Raise ``SpecError`` where the list or what lies beside it is there already: it may hold the user's work."""
    there = [path.name for path in (out, *beside(out)) if _is_there(path)]
    if there and not overwrite:
        raise SpecError(
            f"already in {out.parent}: {', '.join(there)}, perhaps with labels of yours; give another --out, move away "
            "what is there, or add --overwrite."
        )


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise SpecError(f"cannot write {path}: {error.strerror}.") from error
    return True
