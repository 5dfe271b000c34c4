"""Which judge looks at coresets: a ridge regression, or the proxy's network."""

from __future__ import annotations

from typing import Literal

Judge = Literal["rule", "ridge", "network"]
"""``rule`` is one of the others by ``judge_for``."""
NETWORK_FROM = 2_500
"""Images of a coreset from which a ridge regression on pixels is much weaker than the network trained on them.

With 5,000 of 50,000 images of CIFAR-10 it judged wrongly, with up to 3,000 of 10,000 of CIFAR-100 rightly (prototypes).
The study of results/judge did not see that again: with 5,000 of 50,000 and 6,000 of 20,000 both ranked equally well.
"""

SHARE = 0.5
"""Share of a proxy's optimiser steps on the whole pool that all candidates together may take. At the papers' recipes
a proxy takes about as many as a final model; the other half is left for scoring outside the coresets."""


def judge_for(by: Judge, budget: int, *, images: bool) -> Literal["ridge", "network"]:
    """Choose the judge by name or rule: the network where it reads images and a coreset has ``NETWORK_FROM`` of them.

    Args:
        by: what the method asks for.
        budget: n, images of a coreset.
        images: whether the proxy's network reads images; on embeddings it is linear, as the ridge regression is.
    """
    if by != "rule":
        return by
    return "network" if images and budget >= NETWORK_FROM else "ridge"
