"""Which methods a table or figure shows, in which order, under which names: ``--methods``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from bench.errors import SpecError, UnknownName
from bench.grammar import family, parse_call, respelled, split_list
from bench.results.rows import Row

_NAMED = re.compile(r"(?P<call>[\w.-]+(?:\(.*?\))?)(?:\s*=\s*(?P<name>.+))?", re.DOTALL)
Given = str | Sequence[str] | Mapping[str, str]


class Shown:
    """The user's choice of methods.

    Args:
        given: ``"elfs=ELFS (ours),ccs(beta=0.3),random"``, a list of such, or a mapping from method to name. A method
            without parameters stands for all its variants.

    Raises:
        SpecError: no entry, one that cannot be read, or the same method twice.
    """

    def __init__(self, given: Given) -> None:
        entries = [f"{call}={name}" for call, name in given.items()] if isinstance(given, Mapping) else given
        self._names: dict[str, str] = {}
        for entry in split_list(entries) if isinstance(entries, str) else entries:
            match = _NAMED.fullmatch(entry)
            if match is None:
                raise SpecError(f"cannot read {entry!r}; write METHOD or METHOD=NAME, such as 'elfs=ELFS (ours)'.")
            call = family(match["call"])
            if call in self._names:
                raise SpecError(f"{call} is given twice; each method has one place.")
            self._names[call] = match["name"] or ""
        if not self._names:
            raise SpecError("no method was named; write METHOD,METHOD=NAME, such as 'random,elfs=ELFS (ours)'.")

    def among(self, rows: Iterable[Row], *, keep: str = "") -> list[Row]:
        """Return the rows of the chosen methods, and of a baseline to keep beside them.

        Raises:
            UnknownName: no row has one of them.
        """
        rows = list(rows)
        for call in self.lacking(rows):
            raise UnknownName(
                "method in these rows:", call, {name for row in rows for name in (row.method, row.variant)}
            )
        return [row for row in rows if self.has(row.variant) or respelled(keep) in (row.method, row.variant)]

    def lacking(self, rows: Iterable[Row]) -> list[str]:
        """Return the chosen methods that no row has."""
        # A method without parameters stands for all its variants, so names are compared as entries.
        there = set(map(self._call, {row.variant for row in rows}))
        return [call for call in self._names if call not in there]

    def without(self, calls: Collection[str]) -> Shown | None:
        """Return the same choice but for some methods; None where none is left."""
        rest = [f"{call}={name}" if name else call for call, name in self._names.items() if call not in calls]
        return Shown(rest) if rest else None

    def has(self, variant: str) -> bool:
        """Whether a line is among the chosen ones."""
        return bool(self._call(variant))

    def position(self, variant: str) -> tuple[int, str]:
        """Return where a line stands among the chosen ones (a baseline: after them), and the name that it was given."""
        call = self._call(variant)
        # A baseline that nobody named goes last: it is there to be compared with.
        return (list(self._names).index(call), self._names[call]) if call else (len(self._names), "")

    def _call(self, variant: str) -> str:
        """Return the entry that a variant falls under, or an empty text."""
        exact, method = family(variant), parse_call(variant).name
        # The variant before the method: it may be named beside the others of its method.
        return next((call for call in (exact, method) if call in self._names), "")
