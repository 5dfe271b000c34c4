"""Nearest neighbours on frozen embeddings: a classifier without training."""

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
    """Votes of the k items of the coreset with the largest cosine, weighted by exp(cosine / temperature).

    Wu et al. 2018, with the values of the DINO paper. There is no training: a cell takes no time to train, the recipe
    is ignored, and the accuracy depends on the seed only through the coreset.

    Args:
        shape: (D,) of an embedding.
        num_classes: size of the output.
        k: number of neighbours; all items if the coreset has fewer.
        temperature: with a smaller one, the nearest items have more weight.

    Returns:
        float [B, D] -> logits [B, num_classes], the logarithms of the summed votes, after a call of ``remember``.

    Raises:
        SpecError: ``shape`` is not that of an embedding.
    """
    from bench.models._knn import Neighbours

    embedding_size("knn", shape)
    return Neighbours(num_classes, k, temperature)
