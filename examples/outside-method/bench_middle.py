"""Keeps the images of middling distance to the centre of all embeddings: neither typical nor odd."""

from typing import Annotated

import numpy as np
from pydantic import Field

from bench import hard_to_easy, register_method


@register_method("middle", supervision="none", needs=("embeddings",), paper="an example", stochastic=True)
def middle(pool, budget, rng, *, at: Annotated[float, Field(ge=0, le=1)] = 0.5):
    """Keep the images around a quantile of the distance to the mean embedding (high = far from it)."""
    distance = np.linalg.norm(pool.embeddings - pool.embeddings.mean(axis=0), axis=1)
    pool.report(scores=distance)
    order = hard_to_easy(distance, rng)[::-1]  # near to far; ties are broken by rng, not by the order of the files
    start = round(at * (len(pool) - budget))
    return order[start : start + budget]
