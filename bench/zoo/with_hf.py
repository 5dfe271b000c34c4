"""Networks of the Hugging Face hub, read from files by transformers; no code of a repository is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import WeightsError
from bench.zoo.names import library

EXTRA = "hf"
_MASKED = "vit_mae"
"""Networks of transformers that drop a random 75 % of the patches, even in evaluation."""


class Pooled(nn.Module):
    """A network of transformers that returns one vector per image.

    Args:
        network: network that takes ``pixel_values``.
        pooled: whether its weights include a trained pooler, or it pools without weights.
    """

    def __init__(self, network: nn.Module, pooled: bool) -> None:
        super().__init__()
        self.network = network
        self._pooled = pooled

    def forward(self, pixels: Tensor) -> Tensor:
        """Return [B, D] of float32 [B, 3, H, W]."""
        network: Any = self.network
        if network.config.model_type == _MASKED:
            # The order in which it shuffles the patches, all of which it keeps here.
            patches = network.embeddings.patch_embeddings.num_patches
            order = torch.arange(patches, dtype=torch.float32, device=pixels.device)
            return network(pixel_values=pixels, noise=order.expand(len(pixels), -1)).last_hidden_state[:, 0]
        if hasattr(network, "get_image_features"):
            outputs = network.get_image_features(pixel_values=pixels)
            return outputs if isinstance(outputs, Tensor) else outputs.pooler_output
        outputs = network(pixel_values=pixels)
        if self._pooled and getattr(outputs, "pooler_output", None) is not None:
            return outputs.pooler_output.flatten(1)
        last = outputs.last_hidden_state
        if last.ndim == 4:
            # Feature maps of a convolutional network without a trained pooler.
            return last.mean((2, 3))
        # The class token if there is one, which comes first; otherwise the mean over the patches.
        has_class = any("cls_token" in name for name, _ in network.named_parameters())
        return last[:, 0] if has_class else last.mean(1)


def load(weights: Path | None, *, owner: str) -> tuple[nn.Module, Callable[[Tensor], Tensor], int]:
    """Return a network and its preprocessing from a folder.

    Args:
        weights: a safetensors file next to ``config.json`` and ``preprocessor_config.json``.
        owner: the plugin that needs it, for messages.

    Returns:
        The network, a function from uint8 [B, 1 or 3, H, W] to its input, and the side of its input in pixels.

    Raises:
        BenchError: transformers is not installed.
        WeightsError: the file is unreadable, does not fit, or lacks its settings; or its network cannot embed an image,
            or embeds an image differently at every call.
    """
    transformers = library("transformers", owner=owner, extra=EXTRA)
    if weights is None or weights.suffix != ".safetensors":
        raise WeightsError(f"{owner} reads .safetensors files beside config.json alone, got {weights}.")
    missing = [name for name in ("config.json", "preprocessor_config.json") if not weights.with_name(name).is_file()]
    if missing:
        raise WeightsError(f"{owner} needs {' and '.join(missing)} beside {weights}, as the repository has them.")
    try:
        # trust_remote_code stays False: a repository whose network needs its own code is refused.
        settings = {"local_files_only": True, "trust_remote_code": False}
        processor = transformers.AutoImageProcessor.from_pretrained(weights.parent, **settings)
        config = transformers.AutoConfig.from_pretrained(weights.parent, **settings)
        if config.model_type == _MASKED:
            config.mask_ratio = 0.0
        network, loading = _read(transformers, weights, config)
    except Exception as error:  # transformers raises errors of many types: OSError, ValueError, KeyError
        raise WeightsError(f"{owner} cannot read {weights}: {_reason(error)}") from error
    # ``Pooled`` does not use a pooler without trained weights.
    lacking = [name for name in loading["missing_keys"] if not name.startswith("pooler.")]
    wrong = [*lacking, *map(str, loading["mismatched_keys"])]
    if wrong:
        raise WeightsError(f"the weights file {weights} does not fit {owner}: {len(wrong)} missing: {wrong[0]}.")

    def prepare(images: Tensor) -> Tensor:
        pixels: Tensor = processor(images=images.expand(-1, 3, -1, -1), return_tensors="pt")["pixel_values"]
        return pixels

    pooled = Pooled(network, not any(name.startswith("pooler.") for name in loading["missing_keys"]))
    # Not an image of one colour, on which randomly dropped patches would hardly show.
    probe = prepare((torch.arange(3 * 64 * 64) % 251).to(torch.uint8).view(1, 3, 64, 64))
    _check(pooled.eval(), probe, f"{owner} with {weights}")
    return pooled, prepare, probe.shape[-1]


@torch.inference_mode()
def _check(network: nn.Module, pixels: Tensor, owner: str) -> None:
    """Refuse a network that cannot embed an image, or embeds the same image differently at every call."""
    try:
        first, second = network(pixels), network(pixels)
    except Exception as error:  # networks that need more than an image fail in many ways
        raise WeightsError(f"{owner} cannot embed an image: {_reason(error)}") from error
    if not torch.allclose(first, second, rtol=1e-3, atol=1e-5, equal_nan=True):
        raise WeightsError(
            f"{owner} embeds the same image differently at every call: the network draws random numbers; take another."
        )


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _read(transformers: Any, weights: Path, config: Any) -> tuple[nn.Module, dict[str, Any]]:
    """Return the network in float32 without a classifier, and transformers' report on its weights."""
    if weights.name == "model.safetensors":
        # use_safetensors: the other format is a pickle, which may run code.
        return transformers.AutoModel.from_pretrained(
            weights.parent,
            config=config,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    raise WeightsError(f"the file must be called model.safetensors, as in the repository, got {weights.name}.")
