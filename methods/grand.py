"""GraNd (Paul et al. 2021): expected norm of the loss gradient early in training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import EarlyGradients, Pool, hardest, need, register_method


def _needs(params: Mapping[str, Any]) -> list[Any]:
    return [need("gradient_norms", **{name: params[name] for name in ("networks", "epochs", "layers")})]


@register_method(
    "grand",
    supervision="labels",
    needs=_needs,
    paper="Paul et al. 2021, arXiv:2107.07075",
    stochastic=True,
)
def grand(
    pool: Pool,
    budget: int,
    rng: np.random.Generator,
    *,
    networks: Annotated[int, Field(ge=1)] = EarlyGradients.networks,
    epochs: Annotated[int, Field(ge=0)] = EarlyGradients.epochs,
    layers: Literal["all", "last"] = EarlyGradients.layers,
) -> NDArray[np.int64]:
    """Keep the images with the largest mean gradient norm over several networks early in training (high = hard).

    Paul et al. 2021, definition 2.1: GraNd is the expected L2 norm of an image's loss gradient by all weights, at a
    time early in training. The expectation is over initial weights and the order of images; here it is the mean over
    ten networks.

    Deviations: gradients are taken in evaluation mode, so that batch norm does not mix images, and without
    augmentation. Of the paper's times (initialisation to 20 epochs) the default is 10 epochs of the proxy's recipe,
    whose schedule is not shortened: at initialisation, the score did not beat random pruning when the paper was
    replicated (Kirsch 2023, arXiv:2303.14753).

    Args:
        pool: needs gradient norms.
        budget: n, images to keep.
        rng: breaks ties.
        networks: number of networks that are averaged.
        epochs: training epochs before the gradients are taken; at most the proxy's.
        layers: gradients by ``all`` weights, as in the paper, or by the weights of the ``last`` layer. The last layer
            costs one forward pass in place of a gradient per image; use it for a ResNet without a GPU.

    Returns:
        int64 [n], unique, hardest first.

    Raises:
        SelectionError: a norm is not finite.
    """
    norms = pool.gradient_norms(networks=networks, epochs=epochs, layers=layers)
    pool.report(scores=norms)
    return hardest(norms, budget, rng)
