"""The precision in which a network is trained and scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from bench.recipe import Recipe


def prepare_torch(threads: int) -> None:
    """Set the process's CPU threads, and torch's options for full fp32 and the same bits every time.

    Call this before each stage and each training, since a plugin may have changed the options: scripts often use
    ``set_float32_matmul_precision("high")``, which changes bits on CPUs with bf16 too.
    """
    torch.set_num_threads(threads)
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
    torch.set_grad_enabled(True)
    for device in ("cpu", "cuda"):
        torch.set_autocast_enabled(device, False)
    torch.set_float32_matmul_precision("highest")
    # Rows must not depend on whether an earlier plugin switched oneDNN off.
    torch.backends.mkldnn.set_flags(True)
    torch.backends.cudnn.deterministic = True
    # Benchmarking picks the kernel that is fastest at the moment, and kernels differ in their last bits.
    torch.backends.cudnn.benchmark = False
    _allow_tf32(False, False)


def autocast(recipe: Recipe, device: str) -> AbstractContextManager[object]:
    """Return a context that casts to bf16 if the recipe says so; ``auto`` is resolved by ``Recipe.at_precision``."""
    return torch.autocast(device.split(":")[0], torch.bfloat16) if recipe.precision == "bf16" else nullcontext()


def products(recipe: Recipe, *, scoring: bool = False) -> AbstractContextManager[object]:
    """Return a context that multiplies in TF32 if the recipe says so, or to score a network trained in bf16.

    Unlike in bf16, products in TF32 are summed in fp32, so logits do not tie more often.
    """
    return _tf32() if recipe.precision == "tf32" or (scoring and recipe.precision == "bf16") else nullcontext()


@contextmanager
def sound_layers(recipe: Recipe, network: nn.Module) -> Iterator[None]:
    """Compute layers for which bf16 is not accurate enough in fp32 inside the block.

    - The last linear layer: logits in bf16 often tie. The two highest of normal random logits are equal for 0.45 % of
      images with 10 classes, and for 1.7 % with 100.
    - On a CPU, convolutions whose stride is larger than their input, for example in a network for large images on
      8 x 8 pixels: oneDNN leaves uninitialised memory in the gradients of their weights (torch 2.14.1; 31 of
      400 gradients on inputs of 1 to 8 px, none if the input is as large as the stride).
    """
    layers: dict[nn.Module, Callable[[Tensor], bool]] = {}
    if recipe.precision == "bf16":
        convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
        layers = {layer: _beyond(max(layer.stride)) for layer in convolutions if max(layer.stride) > 1}
        last = find_last_linear(network)
        if last is not None:
            layers[last] = lambda features: True
    for layer, applies in layers.items():
        # Not a hook, which would compute the layer in bf16 first: a fifth of a linear probe's time.
        layer.forward = _in_fp32(layer.forward, applies)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _beyond(stride: int) -> Callable[[Tensor], bool]:
    """Return a test of whether features on a CPU are narrower than ``stride``."""
    return lambda features: features.device.type == "cpu" and min(features.shape[-2:]) < stride


def _in_fp32(forward: Callable[[Tensor], Tensor], applies: Callable[[Tensor], bool]) -> Callable[[Tensor], Tensor]:
    def computed(features: Tensor) -> Tensor:
        if not applies(features):
            return forward(features)
        with torch.autocast(features.device.type, enabled=False):
            return forward(features.float())

    return computed


def find_last_linear(network: nn.Module) -> nn.Linear | None:
    """Return the last linear layer, which computes the logits of most networks; None if there is none."""
    # In the order of definition, which may differ from the order of use: ``outputs.py`` checks its output.
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    return layers[-1] if layers else None


@contextmanager
def _tf32() -> Iterator[None]:
    """Enable TF32 inside the block; restore the previous setting after it."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        _allow_tf32(True, True)
        yield
    finally:
        _allow_tf32(*before)


def _allow_tf32(matrices: bool, convolutions: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matrices, convolutions
