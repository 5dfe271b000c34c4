"""Which method chooses where the user names none: what won the study of results/labelling, by labels a class."""

from __future__ import annotations

from bench.grammar import Call, parse_call

DEFAULT = "default"
FEW = 2
"""Labels a class below which facility location was best, and k-means sampling from there on."""
MOST = 20_000
"""Items up to which these two are quick; of more, MaxHerding picks among 10,000 random ones (or twice the budget)."""
_SUBSET = 10_000


def find_method(given: str, *, budget: int, classes: int, items: int) -> Call:
    """Return the method that a user named, or what ``default`` stands for.

    Args:
        given: ``default``, or a method with parameters.
        budget: n, items to label and those that are labelled already.
        classes: about how many classes there are.
        items: N, of which the choice is made.

    Raises:
        SpecError: not a call.
    """
    if given.strip() != DEFAULT:
        return parse_call(given)
    if items > MOST:
        return Call("maxherding", {"subset": _SUBSET})
    return Call("facility-location" if budget < FEW * classes else "kmeans-sampling", {})
