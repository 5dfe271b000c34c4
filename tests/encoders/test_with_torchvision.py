"""torchvision's networks as encoders, against its own preprocessing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.encoders.library_files import as_pillow, build, saved


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1"])
def test_torchvision_gives_the_features_of_its_own_preprocessing(
    name: str, tmp_path: Path, pictures: NDArray[np.uint8]
) -> None:
    from torchvision.models import get_model, get_model_weights

    torch.manual_seed(0)
    whole = get_model(name, weights=None).eval()
    encoder = build(f"torchvision(name={name})", saved(whole, tmp_path))
    preset = get_model_weights(name).DEFAULT.transforms()
    batch = torch.from_numpy(pictures)
    torch.testing.assert_close(encoder._prepare(batch), preset(batch), rtol=0, atol=1e-6)
    theirs = torch.stack([preset(image) for image in as_pillow(pictures)])
    assert (encoder._prepare(batch) - theirs).abs().max() <= 1.01 / 255 / 0.224
    seen = []
    last = [m for m in whole.modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)][-1]
    last.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    with torch.inference_mode():
        whole(preset(batch))
    wanted = seen[0] if seen[0].ndim == 2 else seen[0].relu().mean((2, 3))
    features = encoder.embed(pictures, device="cpu", batch_size=6)
    np.testing.assert_allclose(features, wanted.numpy(), rtol=1e-4, atol=1e-5)
