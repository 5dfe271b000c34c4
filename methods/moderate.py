"""Moderate coreset (Xia et al. 2023): images at a middling distance from the centre of their class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench import Pool, SpecError, check_finite, hardest, register_method

Centre = Literal["mean", "median"]
Scope = Literal["class", "pool"]
Variant = Literal["paper", "released-code"]


def distance_from_median(
    embeddings: NDArray[np.floating], classes: NDArray[np.integer], *, centre: Centre = "mean", scope: Scope = "class"
) -> NDArray[np.float64]:
    """Return how far each image's distance to its class centre is from the median of those distances.

    Xia et al. 2023, section 3. Images of **low** value are to be kept; the copy of the method in the released code of
    D2 keeps the high ones.

    Args:
        embeddings: [N, D], finite, used as the encoder gave them. Not modified.
        classes: [N] class numbers.
        centre: of a class: the mean of its embeddings (paper), or their median per dimension (released code).
        scope: whose median distance counts: that of the own class, or that of the whole pool (released code).

    Returns:
        float64 [N], at least 0; 0 is an image at the median distance. Neither end is hard: high is atypical, too
        easy or too hard.

    Raises:
        SelectionError: an embedding is not finite.
    """
    check_finite("embedding values", embeddings)
    distances = np.zeros(len(embeddings))
    groups = [np.flatnonzero(classes == number) for number in np.unique(classes)]
    for members in groups:
        # float64: images are ranked by small differences of these distances, which rounding must not make.
        rows = embeddings[members].astype(np.float64)
        middle = rows.mean(0) if centre == "mean" else np.median(rows, axis=0)
        distances[members] = np.linalg.norm(rows - middle, axis=1)
    # One group for the median, after distances to each class's own centre: that is what the released code does.
    if scope == "pool":
        groups = [np.arange(len(embeddings))] if len(embeddings) else []
    for members in groups:
        distances[members] -= np.median(distances[members])
    return np.abs(distances)


def _one_choice(params: Mapping[str, Any], rate: float) -> None:
    """Refuse a centre or scope beside the variant that would replace it."""
    replaced = [
        f"{name}={params[name]}"
        for name, default in (("centre", "mean"), ("scope", "class"))
        if params[name] != default
    ]
    if params["variant"] == "released-code" and replaced:
        raise SpecError(
            f"variant=released-code is centre=median and scope=pool; {' and '.join(replaced)} beside it is not valid. "
            "Give the variant alone, or centre and scope without it."
        )


@register_method(
    "moderate",
    supervision="labels",
    needs=("embeddings",),
    paper="Xia et al. 2023, ICLR (Moderate Coreset)",
    stochastic=True,
    check=_one_choice,
)
def moderate(
    pool: Pool,
    budget: int,
    rng: np.random.Generator,
    *,
    centre: Centre = "mean",
    scope: Scope = "class",
    variant: Variant = "paper",
) -> NDArray[np.int64]:
    """Keep the images whose distance to their class centre is nearest to the median distance.

    Xia et al. 2023. Deviation: embeddings of the cell's frozen encoder, where the paper takes those of a network
    trained on the labels. No score is reported, since neither end of ``distance_from_median`` is hard.

    ``variant="released-code"`` is ``centre="median", scope="pool"``, which keeps other images: on CIFAR-10 embedded by
    ``efficientnet_lite0(size=96)`` the two have 72 % in common at rate 0.5, 48 to 49 % at 0.7 and 13 to 14 % at 0.9,
    where chance is 50, 30 and 10 % (n = 1 each for the first 5,000 and 20,000 images, 2026-11-28).

    Args:
        pool: needs embeddings, and labels for the class centres.
        budget: n, images to keep.
        rng: breaks ties.
        centre: see ``distance_from_median``.
        scope: see ``distance_from_median``.
        variant: ``released-code`` sets ``centre`` and ``scope``; it is refused beside another choice of either.

    Returns:
        int64 [n], unique, the most typical distance first.

    Raises:
        SelectionError: an embedding is not finite.
    """
    if variant == "released-code":
        centre, scope = "median", "pool"
    atypical = distance_from_median(pool.embeddings, pool.labels, centre=centre, scope=scope)
    return hardest(-atypical, budget, rng)
