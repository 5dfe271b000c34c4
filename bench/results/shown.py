"""The methods that a table or figure shows, with order and names: ``--methods``."""

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
        given: ``"elfs=ELFS (ours),ccs(beta=0.3),random"``, a list of such entries, or a mapping from method to name. A
            method without parameters stands for all its variants.

    Raises:
        SpecError: there is no entry, an entry cannot be read, or a method is named twice.
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
        """Return the rows of the chosen methods, and of a baseline to keep.

        Raises:
            UnknownName: no row has one of the methods.
        """
        rows = list(rows)
        for call in self.lacking(rows):
            raise UnknownName(
                "method in these rows:", call, {name for row in rows for name in (row.method, row.variant)}
            )
        return [row for row in rows if self.has(row.variant) or respelled(keep) in (row.method, row.variant)]

    def lacking(self, rows: Iterable[Row]) -> list[str]:
        """Return the chosen methods that no row has."""
        # A method without parameters stands for all its variants, so variants are compared by their entries.
        present = set(map(self._call, {row.variant for row in rows}))
        return [call for call in self._names if call not in present]

    def without(self, calls: Collection[str]) -> Shown | None:
        """Return the choice without some methods; None if none is left."""
        rest = [f"{call}={name}" if name else call for call, name in self._names.items() if call not in calls]
        return Shown(rest) if rest else None

    def has(self, variant: str) -> bool:
        """Return whether a variant is among the chosen methods."""
        return bool(self._call(variant))

    def position(self, variant: str) -> tuple[int, str]:
        """Return a variant's position in the user's order (a baseline comes last), and the user's name for it."""
        call = self._call(variant)
        # A baseline that the user did not name goes last.
        return (list(self._names).index(call), self._names[call]) if call else (len(self._names), "")

    def _call(self, variant: str) -> str:
        """Return the entry that covers a variant, or an empty text."""
        exact, method = family(variant), parse_call(variant).name
        # The exact variant first: an entry may name it next to one for its method.
        return next((call for call in (exact, method) if call in self._names), "")
