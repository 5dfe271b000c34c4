"""Lists of items that the user gives: what is labelled, what is excluded, and what belongs together."""

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
"""Headers of the column that names items: of our own lists, of Label Studio's export, and of FiftyOne's."""
_LABELS, _GROUPS, _RANKS = ("label", "class", "annotation_id"), ("group",), ("rank",)
"""The last label is of Label Studio's CSV, which names the others as its project does."""
_SHOWN, _LETTERS = 3, 80
"""Names that a message shows, and letters of each."""


class Listed(NamedTuple):
    """Items of a list.

    Attributes:
        positions: int64, among the N items, ascending and unique.
        unlabelled: how many lines of a list that has labels have none, and so do not count.
    """

    positions: NDArray[np.int64] = np.empty(0, dtype=np.int64)
    unlabelled: int = 0


class Lookup:
    """Finds items by what a list calls them: the name, or the path with the folder before it.

    Args:
        names: of the N items, as the tool itself writes them.
        root: folder of the files; None where the items are no files.
    """

    def __init__(self, names: Sequence[str], root: Path | None) -> None:
        self.names = names
        self.root = root
        self._position = {name: position for position, name in enumerate(names)}

    def find(self, name: str) -> int | None:
        """Position of an item, or None."""
        if name in self._position or self.root is None:
            return self._position.get(name)
        path = Path(name)
        # As it was given and as it is: either may stand in a list that another tool wrote.
        for folder in (self.root, self.root.resolve()):
            if path.is_absolute() and path.is_relative_to(folder):
                return self._position.get(path.relative_to(folder).as_posix())
        return self._position.get(PurePosixPath(name.removeprefix("./")).as_posix())

    def find_all(self, names: Sequence[str], source: str) -> NDArray[np.int64]:
        """Positions of all names, in their order.

        Raises:
            DataError: a name is none of the items.
        """
        positions = [self.find(name) for name in names]
        missing = [name for name, position in zip(names, positions, strict=True) if position is None]
        if missing:
            # difflib compares with every name: too long for a hint where there are a million.
            near = get_close_matches(missing[0], self.names[:10_000], n=1)
            hint = f" Did you mean {near[0]}?" if near else f" They are named like {self.names[0]}."
            shown = ", ".join(name[:_LETTERS] for name in missing[:_SHOWN]) + (
                f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
            )
            raise DataError(f"{source}: {len(missing)} of {len(names)} names are none of the items: {shown}.{hint}")
        return np.array(positions, dtype=np.int64)


def read_list(path: Path, lookup: Lookup) -> Listed:
    """Read which items a file lists: a CSV with a column ``file`` or ``item``, text with one name a line, or a tool's.

    Our own lists are such CSV files, and so are they with labels added: where a column ``label`` or ``class`` is filled
    in any line, only the lines where it is count. So is it with annotations in a file of Label Studio or of COCO.

    Raises:
        DataError: not readable as text, no such column, or a name that is none of the items.
    """
    rows = read_lines(path)
    header = _header(rows, NAMES, lookup, path)
    if header is None:
        return Listed(np.unique(lookup.find_all([row[0] for row in rows], str(path))))
    column, rows = header[0], rows[1:]
    titles = header[1]
    if "state" in titles:  # a table of --scores, which holds every item
        rows = [row for row in rows if _cell(row, titles.index("state")) in ("chosen", "labelled")]
    filled = len(rows)
    # A table of --scores was cut by its state already.
    for wanted in (_LABELS,) if "state" in titles else (_LABELS, _RANKS):
        at = next((titles.index(title) for title in wanted if title in titles), None)
        if at is not None and any(_cell(row, at) for row in rows):
            rows = [row for row in rows if _cell(row, at)]
    names = [_cell(row, column) for row in rows]
    return Listed(np.unique(lookup.find_all(names, str(path))), filled - len(rows))


def read_groups(given: str, lookup: Lookup) -> NDArray[np.int64]:
    """Group of every item: the folder that a file lies in, or as a CSV of ``file`` (or ``item``) and ``group`` says.

    Args:
        given: ``folder``, or the path of a CSV file. Items that it does not list, or whose group is empty, are groups
            of their own.
        lookup: the items.

    Returns:
        int64 [N], numbers of the groups.

    Raises:
        DataError: not readable, no such columns, a name that is none of the items, or an item in two groups.
    """
    if given == "folder":
        if lookup.root is None:
            raise SpecError("--groups folder needs --images, whose files lie in folders; give a CSV of item and group.")
        keys = [name.rpartition("/")[0] for name in lookup.names]
    else:
        path = Path(given)
        rows = read_lines(path)
        header = _header(rows, NAMES, lookup, path)
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
    """Give numbers to the groups, from 0, and then every item that is in none."""
    number = {name: index for index, name in enumerate(dict.fromkeys(groups.values()))}
    # Items that no line names are groups of one: nothing is said to belong with them.
    numbered = len(number) + np.arange(size, dtype=np.int64)
    for position, name in groups.items():
        numbered[position] = number[name]
    return numbered


def _header(
    rows: Sequence[Sequence[str]], columns: Sequence[str], lookup: Lookup, path: Path
) -> tuple[int, list[str]] | None:
    """Column of the names and all titles; None where the first line is a name and no header."""
    titles = [title.strip().lower() for title in rows[0]]
    for column in columns:
        if column in titles:
            return titles.index(column), titles
    if lookup.find(rows[0][0]) is not None or len(titles) == 1:
        return None
    raise DataError(f"{path} has the columns {', '.join(rows[0])}; expected one named file or item.")


def _cell(row: Sequence[str], column: int) -> str:
    return row[column] if column < len(row) else ""
