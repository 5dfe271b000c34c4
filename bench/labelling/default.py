"""The default method of ``bench select``: the winner of the study in results/labelling, at each budget."""

from __future__ import annotations

from bench.grammar import Call, parse_call

DEFAULT = "default"
MOST = 20_000
"""Items up to which k-means with as many clusters as labels is quick; beyond, MaxHerding picks among 10,000 random
items (or twice the budget)."""
_SUBSET = 10_000


def find_method(text: str, *, items: int) -> Call:
    """Return the method that a user named, or the method that ``default`` stands for.

    Args:
        text: ``default``, or a method with parameters.
        items: N, items to choose from.

    Raises:
        SpecError: the text is no call of a method.
    """
    if text.strip() != DEFAULT:
        return parse_call(text)
    # k-means compares every item with as many centres as labels; the subset limits what MaxHerding compares.
    return Call("maxherding", {"subset": _SUBSET}) if items > MOST else Call("kmeans-sampling", {})
