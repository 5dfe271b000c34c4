"""The user's lists of items: which are labelled, which are excluded, and which belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError, SpecError
from bench.labelling.tables import read_lines

NAMES = ("file", "item", "name", "filepath")
"""Headers of the column that names items, in our own lists and in exports of Label Studio and FiftyOne."""
_LABELS, _GROUPS, _RANKS = ("label", "class", "annotation_id"), ("group",), ("rank",)
"""``annotation_id`` comes from Label Studio's CSV, whose other columns are named by the user's project."""
_SHOWN, _LETTERS = 3, 80
"""Names that a message shows, and letters of each name."""


class Listed(NamedTuple):
    """Items of a list.

    Attributes:
        positions: int64, positions among the N items, ascending and unique.
        unlabelled: number of lines without a label in a list with labels; they do not count.
    """

    positions: NDArray[np.int64] = np.empty(0, dtype=np.int64)
    unlabelled: int = 0


class Lookup:
    """Finds items by their name in a list: either the item's name, or a path that includes the folder.

    Args:
        names: names of the N items, as ``bench select`` writes them.
        root: folder of the files; None if the items are no files.
    """

    def __init__(self, names: Sequence[str], root: Path | None) -> None:
        self.names = names
        self.root = root
        self._position = {name: position for position, name in enumerate(names)}

    def find(self, name: str) -> int | None:
        """Return the position of an item, or None."""
        if name in self._position or self.root is None:
            return self._position.get(name)
        path = Path(name)
        # Both as the user typed it and resolved: a list of another tool may contain either.
        for folder in (self.root, self.root.resolve()):
            if path.is_absolute() and path.is_relative_to(folder):
                return self._position.get(path.relative_to(folder).as_posix())
        return self._position.get(PurePosixPath(name.removeprefix("./")).as_posix())

    def find_all(self, names: Sequence[str], source: str) -> NDArray[np.int64]:
        """Return the positions of all names, in their order.

        Raises:
            DataError: a name is none of the items.
        """
        positions = [self.find(name) for name in names]
        missing = [name for name, position in zip(names, positions, strict=True) if position is None]
        if missing:
            # difflib compares with every name, which takes too long for a hint in a million items.
            near = get_close_matches(missing[0], self.names[:10_000], n=1)
            hint = f" Did you mean {near[0]}?" if near else f" They are named like {self.names[0]}."
            shown = ", ".join(name[:_LETTERS] for name in missing[:_SHOWN]) + (
                f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
            )
            raise DataError(f"{source}: {len(missing)} of {len(names)} names are not among the items: {shown}.{hint}")
        return np.array(positions, dtype=np.int64)


def read_list(path: Path, lookup: Lookup) -> Listed:
    """Return the items that a file lists.

    The file is a CSV with a column ``file`` or ``item``, such as our own lists; a text with one name a line; or the
    file of a labelling tool. If any line has a value in a column ``label`` or ``class``, only lines with a value count.
    The same holds for annotations in a file of Label Studio or COCO.

    Raises:
        DataError: the file is not readable as text, lacks the column, or has a name that is none of the items.
    """
    rows = read_lines(path)
    header = _header(rows, lookup, path)
    if header is None:
        return Listed(np.unique(lookup.find_all([row[0] for row in rows], str(path))))
    column, rows = header[0], rows[1:]
    titles = header[1]
    if "state" in titles:  # a table of --scores, which holds every item
        rows = [row for row in rows if _cell(row, titles.index("state")) in ("chosen", "labelled")]
    filled = len(rows)
    # A table of --scores was cut by its state already.
    for marks in (_LABELS,) if "state" in titles else (_LABELS, _RANKS):
        at = next((titles.index(title) for title in marks if title in titles), None)
        if at is not None and any(_cell(row, at) for row in rows):
            rows = [row for row in rows if _cell(row, at)]
    names = [_cell(row, column) for row in rows]
    return Listed(np.unique(lookup.find_all(names, str(path))), filled - len(rows))


def read_groups(source: str, lookup: Lookup) -> NDArray[np.int64]:
    """Return the group of every item: its folder, or its group in a CSV of ``file`` (or ``item``) and ``group``.

    Args:
        source: ``folder``, or the path of a CSV file. Items that the file does not list, or whose group is empty, are
            groups of their own.
        lookup: the items.

    Returns:
        int64 [N], numbers of the groups.

    Raises:
        DataError: the file is not readable or lacks a column, a name is none of the items, or an item has two groups.
    """
    if source == "folder":
        if lookup.root is None:
            raise SpecError("--groups folder needs --images, whose files lie in folders; give a CSV of item and group.")
        keys = [name.rpartition("/")[0] for name in lookup.names]
    else:
        path = Path(source)
        rows = read_lines(path)
        header = _header(rows, lookup, path)
        titles = header[1] if header else []
        column = next((titles.index(title) for title in _GROUPS if title in titles), None)
        if header is None or column is None:
            raise DataError(f"{path} has no columns file (or item) and group; its first line must name them.")
        positions = lookup.find_all([_cell(row, header[0]) for row in rows[1:]], str(path))
        groups: dict[int, str] = {}
        for at, row in zip(positions.tolist(), rows[1:], strict=True):
            group = _cell(row, column).strip()
            if group and groups.setdefault(at, group) != group:
                raise DataError(
                    f"{path} has {lookup.names[at]} in two groups, {groups[at]} and {group}; an item belongs to one."
                )
        return _numbers(groups, len(lookup.names))
    return np.unique(np.array(keys, dtype=object), return_inverse=True)[1].astype(np.int64)


def _numbers(groups: Mapping[int, str], size: int) -> NDArray[np.int64]:
    """Return numbers for the groups from 0, and then for every item without a group."""
    number = {name: index for index, name in enumerate(dict.fromkeys(groups.values()))}
    # Items that no line names are groups of one.
    numbered = len(number) + np.arange(size, dtype=np.int64)
    for position, name in groups.items():
        numbered[position] = number[name]
    return numbered


def _header(rows: Sequence[Sequence[str]], lookup: Lookup, path: Path) -> tuple[int, list[str]] | None:
    """Return the column of the names and all titles; None if the first line is a name and no header."""
    titles = [title.strip().lower() for title in rows[0]]
    for column in NAMES:
        if column in titles:
            return titles.index(column), titles
    if lookup.find(rows[0][0]) is not None or len(titles) == 1:
        return None
    raise DataError(f"{path} has the columns {', '.join(rows[0])}; expected one named file or item.")


def _cell(row: Sequence[str], column: int) -> str:
    return row[column] if column < len(row) else ""
