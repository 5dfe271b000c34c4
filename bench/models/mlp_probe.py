"""A small network on frozen embeddings."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bench import register_model
from bench.models._probes import embedding_size

if TYPE_CHECKING:
    from torch import nn


@register_model(
    "mlp_probe",
    inputs="embeddings",
    source="one hidden layer on top of linear_probe's input",
    recipe={"augmentation": "none", "crop_padding": 0},
)
def mlp_probe(shape: tuple[int, ...], num_classes: int, *, width: Annotated[int, Field(ge=1)] = 512) -> nn.Module:
    """BatchNorm without learned scale, a hidden layer with BatchNorm and ReLU, then a linear one.

    Args:
        shape: (D,) of an embedding.
        num_classes: size of the output.
        width: width of the hidden layer.

    Returns:
        float [B, D] -> logits [B, num_classes]; random weights from torch's global generator, which the caller seeds.

    Raises:
        SpecError: ``shape`` is not that of an embedding.
    """
    from torch import nn

    size = embedding_size("mlp_probe", shape)
    return nn.Sequential(
        OrderedDict(
            # Without scale and shift, which the next layer can learn too.
            norm=nn.BatchNorm1d(size, affine=False),
            # No bias: BatchNorm has one.
            hidden=nn.Linear(size, width, bias=False),
            hidden_norm=nn.BatchNorm1d(width),
            relu=nn.ReLU(inplace=True),
            classifier=nn.Linear(width, num_classes),
        )
    )
