"""The user's lists of items: which are labelled, which are excluded, and which belong together."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError, SpecError
from bench.labelling.candidates import number_groups
from bench.labelling.tables import NAMES, column_of, read_lines
from bench.units import some_of

_LABELS, _GROUPS, _RANKS, _STATES = ("label", "class", "annotation_id"), ("group",), ("rank",), ("state",)
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
        below = PurePosixPath(name.removeprefix("./")).as_posix()
        if below in self._position:
            return self._position[below]
        # A relative path may begin in the working directory, as in the output of ``ls photos/*.jpg``.
        path = Path(name).absolute()
        # Both as the user typed it and resolved: a list of another tool may contain either.
        for folder in (self.root.absolute(), self.root.resolve()):
            if path.is_relative_to(folder):
                return self._position.get(path.relative_to(folder).as_posix())
        return None

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
            shown = some_of([name[:_LETTERS] for name in missing], _SHOWN)
            raise DataError(f"{source}: {len(missing)} of {len(names)} names are not among the items: {shown}.{hint}")
        return np.array(positions, dtype=np.int64)


def read_list(path: Path, lookup: Lookup, *, labelled: bool) -> Listed:
    """Return the items that a file lists.

    The file is a CSV with a column ``file`` or ``item``, such as our own lists; a text with one name a line; or the
    file of a labelling tool.

    Args:
        path: the file.
        lookup: the items.
        labelled: whether the list is of labelled items. If any of its lines then has a value in a column ``label`` or
            ``class``, only lines with a value count, and likewise for annotations in a file of Label Studio or COCO.
            Otherwise every line counts, except that of a table of all items the lines without a state do not.

    Raises:
        DataError: the file is not readable as text, lacks the column, or has a name that is none of the items.
    """
    rows = read_lines(path)
    column = _names_column(rows, lookup, path)
    if column is None:
        return Listed(np.unique(lookup.find_all([row[0] for row in rows], str(path))))
    titles, rows = rows[0], rows[1:]
    state = column_of(titles, _STATES)
    if state is not None:  # a table of --scores, which holds every item
        counting = ("chosen", "labelled") if labelled else ("chosen", "labelled", "excluded")
        rows = [row for row in rows if _cell(row, state) in counting]
    filled = len(rows)
    # A table of --scores was cut by its state already.
    for marks in ((_LABELS,) if labelled else ()) + ((_RANKS,) if state is None else ()):
        at = column_of(titles, marks)
        if at is not None and any(_cell(row, at).strip() for row in rows):
            rows = [row for row in rows if _cell(row, at).strip()]
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
        # The folder itself is a group too, and no missing one.
        return number_groups(np.array([name.rpartition("/")[0] or "." for name in lookup.names], dtype=object))
    path = Path(source)
    rows = read_lines(path)
    column, of_group = _names_column(rows, lookup, path), column_of(rows[0], _GROUPS)
    if column is None or of_group is None:
        raise DataError(f"{path} has no columns file (or item) and group; its first line must name them.")
    positions = lookup.find_all([_cell(row, column) for row in rows[1:]], str(path))
    groups = np.full(len(lookup.names), None, dtype=object)
    for at, row in zip(positions.tolist(), rows[1:], strict=True):
        group = _cell(row, of_group).strip()
        if group and groups[at] not in (None, group):
            raise DataError(
                f"{path} has {lookup.names[at]} in two groups, {groups[at]} and {group}; an item belongs to one."
            )
        groups[at] = group or groups[at]
    return number_groups(groups)


def _names_column(rows: Sequence[Sequence[str]], lookup: Lookup, path: Path) -> int | None:
    """Return the column of the names; None if the first line is a name and no header."""
    column = column_of(rows[0], NAMES)
    if column is not None or lookup.find(rows[0][0]) is not None or len(rows[0]) == 1:
        return column
    raise DataError(f"{path} has the columns {', '.join(rows[0])}; expected one named file or item.")


def _cell(row: Sequence[str], column: int) -> str:
    return row[column] if column < len(row) else ""
