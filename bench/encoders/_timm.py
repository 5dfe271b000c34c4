"""Networks from timm, an extra of this project."""

from __future__ import annotations

from typing import Any

from torch import nn

from bench.errors import BenchError, install_command


def timm_network(architecture: str, *, owner: str, extra: str, **options: Any) -> nn.Module:
    """One of timm's networks without classifier and with random weights.

    Args:
        architecture: timm's name.
        owner: name of the encoder, for messages.
        extra: the extra of this project that installs timm.
        options: keywords of ``timm.create_model``.

    Raises:
        BenchError: timm is not installed.
    """
    try:
        import timm
    except ModuleNotFoundError as error:
        raise BenchError(
            f"encoder {owner!r} needs {error.name}, which is not installed; run {install_command(extra)}."
        ) from error
    network: nn.Module = timm.create_model(architecture, pretrained=False, num_classes=0, **options)
    return network
