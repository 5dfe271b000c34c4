"""In which precision a network is trained and scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from bench.recipe import Recipe


def prepare_torch(threads: int) -> None:
    """Set this process up: its CPU threads, and kernels that give the same bits every time, fp32 in full.

    Called before each stage and each training, since a plugin may have set any of it for its own purposes: scripts
    often ask for ``set_float32_matmul_precision("high")``, which changes bits on CPUs that compute bf16 as well.
    """
    torch.set_num_threads(threads)
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
    torch.set_grad_enabled(True)
    for device in ("cpu", "cuda"):
        torch.set_autocast_enabled(device, False)
    torch.set_float32_matmul_precision("highest")
    # A grid's rows must not depend on whether the plugin before them switched oneDNN off.
    torch.backends.mkldnn.set_flags(True)
    torch.backends.cudnn.deterministic = True
    # A benchmark takes the kernel that is fastest at this moment, and kernels differ in their last bits.
    torch.backends.cudnn.benchmark = False
    _allow_tf32(False, False)


def autocast(recipe: Recipe, device: str) -> AbstractContextManager[object]:
    """Cast to bf16 where the recipe asks for it; a grid has replaced ``auto`` by then (``Recipe.at_precision``)."""
    return torch.autocast(device.split(":")[0], torch.bfloat16) if recipe.precision == "bf16" else nullcontext()


def products(recipe: Recipe, *, scoring: bool = False) -> AbstractContextManager[object]:
    """Multiply in TF32 where the recipe asks for it, and to score what was trained in bf16; else in full fp32.

    Unlike those of bf16, logits of products in TF32 are sums in fp32, so they tie no more often.
    """
    return _tf32() if recipe.precision == "tf32" or (scoring and recipe.precision == "bf16") else nullcontext()


@contextmanager
def sound_layers(recipe: Recipe, network: nn.Module) -> Iterator[None]:
    """Compute in fp32, though the recipe asks for bf16, the layers that bf16 spoils.

    - The last linear layer: logits in bf16 often tie. Of normal random ones the two highest are equal for 0.45 % of
      images with 10 classes, for 1.7 % with 100.
    - On a CPU, convolutions whose stride is larger than their input, as where a network for large images is trained on
      8 x 8 pixels: oneDNN leaves what was in memory in the gradient of their weights (torch 2.14.1; 31 of
      400 gradients on inputs of 1 to 8 px, and none where the input is as large as the stride).
    """
    layers: dict[nn.Module, Callable[[Tensor], bool]] = {}
    if recipe.precision == "bf16":
        convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
        layers = {layer: _beyond(max(layer.stride)) for layer in convolutions if max(layer.stride) > 1}
        last = find_last_linear(network)
        if last is not None:
            layers[last] = lambda features: True
    for layer, applies in layers.items():
        # Not a hook: the layer would be computed in bf16 first, which costs a linear probe a fifth of its time.
        layer.forward = _in_fp32(layer.forward, applies)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _beyond(stride: int) -> Callable[[Tensor], bool]:
    """Whether a CPU is given images narrower than ``stride``."""
    return lambda features: features.device.type == "cpu" and min(features.shape[-2:]) < stride


def _in_fp32(forward: Callable[[Tensor], Tensor], applies: Callable[[Tensor], bool]) -> Callable[[Tensor], Tensor]:
    def computed(features: Tensor) -> Tensor:
        if not applies(features):
            return forward(features)
        with torch.autocast(features.device.type, enabled=False):
            return forward(features.float())

    return computed


def find_last_linear(network: nn.Module) -> nn.Linear | None:
    """Return the last linear layer, which gives the logits of most networks; None where there is none."""
    # In the order of definition, which need not be that of use: ``outputs.py`` checks that it gives the logits.
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
