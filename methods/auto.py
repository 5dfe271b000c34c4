"""The best of several label-free methods, chosen by a judge that reads no label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator

from bench import Judge, Pool, SpecError, need, parse_call, register_method, split_list

from ._judging import take_best

CANDIDATES = "d2-label-free,elfs(clustering=kmeans,guard=false),facility-location,kmeans-sampling,typiclust"
"""ELFS runs without its own guard: a random coreset that the guard takes would be judged, and named, as ELFS."""


def _spelled(candidates: str) -> str:
    """Return one spelling for equal candidates, so that they are stored under one key."""
    one, default = (",".join(str(parse_call(call)) for call in split_list(text)) for text in (candidates, CANDIDATES))
    return CANDIDATES if one == default else one


def _calls(params: Mapping[str, Any]) -> list[str]:
    """Return the candidates as a list without repetitions."""
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
    """Run several label-free methods and keep the coreset that a judge scores highest.

    A method of this project. Which method is best depends on data, encoder, rate and final model; a judge that reads
    no label (``Pool.judge``) compares the candidates on the pool at hand. The row names the chosen candidate and all
    judgements. Switch off a candidate's own guard (``guard=false`` for ``elfs``), or its coreset may be a random one
    under the candidate's name.

    Args:
        pool: needs the judge and the candidates' coresets.
        budget: n, images to keep.
        rng: draws the guard's random coresets.
        candidates: label-free methods with their parameters, separated by commas; ties go to the first.
        judge: which judge, see ``Pool.judge``.
        guard: whether to keep a random coreset unless the best candidate exceeds the mean judgement of five random
            coresets by more than their standard deviation.

    Returns:
        int64 [n], unique.

    Raises:
        SelectionError: a candidate raises it, or a judgement is NaN.
    """
    coresets = {call: pool.coreset(call) for call in _calls({"candidates": candidates})}
    return take_best(pool, coresets, budget, rng, by=judge, guard=guard)[1]
