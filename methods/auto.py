"""The best of several label-free methods, by a judge that reads no label either."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator

from bench import Judge, Pool, SpecError, need, parse_call, register_method, split_list

from ._judging import take_best

CANDIDATES = "d2-label-free,elfs(clustering=kmeans,guard=false),facility-location,kmeans-sampling,typiclust"
"""ELFS without its own guard, whose random coreset would be judged, and named, as ELFS."""


def _spelled(candidates: str) -> str:
    """Return one spelling for each meaning, or the same candidates would be stored under several keys."""
    one, default = (",".join(str(parse_call(call)) for call in split_list(text)) for text in (candidates, CANDIDATES))
    return CANDIDATES if one == default else one


def _calls(params: Mapping[str, Any]) -> list[str]:
    """Return the candidates as a list; one that is named twice is judged once."""
    calls = list(dict.fromkeys(split_list(params["candidates"])))
    if not calls:
        raise SpecError("method auto: candidates names none; write candidates='typiclust,elfs(clustering=kmeans)'.")
    return calls


@register_method(
    "auto",
    supervision="pseudo",
    needs=lambda params: [
        need("judge", by=params["judge"]),
        *(need("coreset", method=call) for call in _calls(params)),
    ],
    paper="this project; no paper's numbers are of it",
    stochastic=True,
    version=3,
)
def auto(
    pool: Pool,
    budget: int,
    rng: np.random.Generator,
    *,
    candidates: Annotated[str, AfterValidator(_spelled)] = CANDIDATES,
    judge: Judge = "ridge",
    guard: bool = True,
) -> NDArray[np.int64]:
    """Let several label-free methods choose, and take the coreset that the judge says is best.

    Ours. Which method is best depends on data, encoder, rate and final model; a judge that reads no label
    (``Pool.judge``) compares them on the pool at hand. The row names the one that was taken and what all were judged.
    A candidate with its own guard, as ``elfs`` has, may be a random coreset under that name: write ``guard=false``.

    Args:
        pool: needs the judge and the candidates' coresets.
        budget: n, images to keep.
        rng: draws the guard's random coresets.
        candidates: label-free methods with their parameters, comma-separated; of equally good ones the first.
        judge: which judge, see ``Pool.judge``.
        guard: whether a random coreset is taken where the best candidate is not above the mean of five random ones by
            their standard deviation.

    Returns:
        int64 [n], unique.

    Raises:
        SelectionError: a candidate's, or the judge says NaN.
    """
    coresets = {call: pool.coreset(call) for call in _calls({"candidates": candidates})}
    return take_best(pool, coresets, budget, rng, by=judge, guard=guard)[1]
