"""Moderate coreset (Xia et al. 2023): images at a median distance from the centre of their class."""

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
    """Return |d_i - median d|, where d_i is the distance of image i to the centre of its class.

    Xia et al. 2023, section 3. The method keeps **low** values; the copy of the method in the released code of D2
    keeps high ones.

    Args:
        embeddings: [N, D], finite, used as the encoder returned them. Not modified.
        classes: [N] class numbers.
        centre: centre of a class: the mean of its embeddings (paper), or their median per dimension (released code).
        scope: images whose median distance counts: those of the image's class, or the whole pool (released code).

    Returns:
        float64 [N], at least 0; 0 is an image at the median distance. Neither end is hard: high is atypical, either
        too easy or too hard.

    Raises:
        SelectionError: an embedding is not finite.
    """
    check_finite("embedding values", embeddings)
    distances = np.zeros(len(embeddings))
    groups = [np.flatnonzero(classes == number) for number in np.unique(classes)]
    for members in groups:
        # float64: images are ranked by small differences of these distances, which rounding must not cause.
        rows = embeddings[members].astype(np.float64)
        middle = rows.mean(0) if centre == "mean" else np.median(rows, axis=0)
        distances[members] = np.linalg.norm(rows - middle, axis=1)
    # As in the released code: distances to each class's centre, but one median for all.
    if scope == "pool":
        groups = [np.arange(len(embeddings))] if len(embeddings) else []
    for members in groups:
        distances[members] -= np.median(distances[members])
    return np.abs(distances)


def _one_choice(params: Mapping[str, Any], rate: float) -> None:
    """Refuse a centre or scope that the variant would replace."""
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

    Xia et al. 2023, section 3: the score is |d_i - median d|, where d_i is the distance of image i to the centre of
    its class. Low scores are kept. No score is reported, since neither end is hard: a high score is atypical, either
    too easy or too hard. Deviation: embeddings come from the cell's frozen encoder, where the paper uses a network
    trained on the labels.

    ``variant="released-code"`` is ``centre="median", scope="pool"`` and keeps other images: on CIFAR-10 embedded by
    ``efficientnet_lite0(size=96)``, the two variants have 72 % in common at rate 0.5, 48 to 49 % at 0.7 and 13 to
    14 % at 0.9, where chance is 50, 30 and 10 % (n = 1 each for the first 5,000 and 20,000 images, 2026-11-28).

    Args:
        pool: needs embeddings, and labels for the class centres.
        budget: n, images to keep.
        rng: breaks ties.
        centre: centre of a class: the ``mean`` of its embeddings (paper), or their ``median`` per dimension (released
            code).
        scope: images whose median distance counts: those of the image's ``class`` (paper), or the whole ``pool``
            (released code).
        variant: ``released-code`` sets ``centre`` and ``scope``, and cannot be combined with another choice of either.

    Returns:
        int64 [n], unique, nearest to the median distance first.

    Raises:
        SelectionError: an embedding is not finite.
    """
    if variant == "released-code":
        centre, scope = "median", "pool"
    atypical = distance_from_median(pool.embeddings, pool.labels, centre=centre, scope=scope)
    return hardest(-atypical, budget, rng)
