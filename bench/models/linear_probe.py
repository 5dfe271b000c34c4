"""A linear classifier on frozen embeddings."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from bench import register_model
from bench.models._probes import embedding_size

if TYPE_CHECKING:
    from torch import nn


@register_model(
    "linear_probe",
    inputs="embeddings",
    source="linear evaluation; BatchNorm without affine as in He et al. 2022 (arXiv:2111.06377)",
    recipe={"augmentation": "none", "crop_padding": 0},
)
def linear_probe(shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """BatchNorm without learned scale, then one linear layer, so that one learning rate suits every encoder.

    Args:
        shape: (D,) of an embedding.
        num_classes: size of the output.

    Returns:
        float [B, D] -> logits [B, num_classes]; random weights from torch's global generator, which the caller seeds.

    Raises:
        SpecError: ``shape`` is not that of an embedding.
    """
    from torch import nn

    size = embedding_size("linear_probe", shape)
    return nn.Sequential(OrderedDict(norm=nn.BatchNorm1d(size, affine=False), classifier=nn.Linear(size, num_classes)))
