"""Which method chooses where the user names none: what won the study of results/labelling, at each budget."""

from __future__ import annotations

from bench.grammar import Call, parse_call

DEFAULT = "default"
MOST = 20_000
"""Items up to which k-means with as many clusters as labels is quick; of more, MaxHerding picks among 10,000 random
ones (or twice the budget)."""
_SUBSET = 10_000


def find_method(given: str, *, items: int) -> Call:
    """Return the method that a user named, or what ``default`` stands for.

    Args:
        given: ``default``, or a method with parameters.
        items: N, of which the choice is made.

    Raises:
        SpecError: not a call.
    """
    if given.strip() != DEFAULT:
        return parse_call(given)
    # K-means compares every item with as many centres as labels; the subset bounds what MaxHerding compares.
    return Call("maxherding", {"subset": _SUBSET}) if items > MOST else Call("kmeans-sampling", {})
