"""Nearest neighbours in the space of frozen embeddings: a classifier that remembers and does not learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bench import register_model
from bench.models._probes import embedding_size

if TYPE_CHECKING:
    from torch import nn


@register_model(
    "knn",
    inputs="embeddings",
    source="weighted nearest neighbours as in Wu et al. 2018 (arXiv:1805.01978)",
    learns=False,
)
def knn(
    shape: tuple[int, ...],
    num_classes: int,
    *,
    k: Annotated[int, Field(ge=1)] = 20,
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.07,
) -> nn.Module:
    """Votes of the k items of the coreset with the largest cosine, each weighted by exp(cosine / temperature).

    Wu et al. 2018, with the values of the DINO paper. It has no training, so a cell takes no time to train, its
    accuracy does not depend on the seed but through the coreset, and the recipe counts for nothing.

    Args:
        shape: (D,) of an embedding.
        num_classes: size of the output.
        k: neighbours; of a smaller coreset all.
        temperature: the smaller, the more the nearest count.

    Returns:
        float [B, D] -> logits [B, num_classes], the logarithms of the votes' sums, once ``remember`` was called.

    Raises:
        SpecError: ``shape`` is not that of an embedding.
    """
    from bench.models._knn import Neighbours

    embedding_size("knn", shape)
    return Neighbours(num_classes, k, temperature)
