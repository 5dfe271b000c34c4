"""OpenCLIP's networks as encoders, against its own models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bench.plugins import encoders
from tests.encoders.library_files import as_pillow, build, saved


@pytest.mark.integration
def test_open_clip_gives_what_its_own_model_gives(tmp_path: Path, pictures: NDArray[np.uint8]) -> None:
    open_clip = pytest.importorskip("open_clip", reason="open_clip is not installed (extra openclip)")
    torch.manual_seed(0)
    for name, tag in (("RN50-quickgelu", "openai"), ("ViT-S-32-alt", "")):
        whole, _, transform = open_clip.create_model_and_transforms(name, pretrained=None)
        file = saved(whole, tmp_path)
        encoder = build(f"open_clip(name={name}, pretrained='{tag}')", file)
        theirs = torch.stack([transform(image) for image in as_pillow(pictures)])
        ours = encoder._prepare(torch.from_numpy(pictures))
        assert (ours - theirs).abs().max() <= 1.01 / 255 / 0.26
        with torch.inference_mode():
            wanted = whole.eval().encode_image(ours)
        features = encoder.embed(pictures, device="cpu", batch_size=6)
        np.testing.assert_allclose(features, wanted.numpy(), rtol=1e-3, atol=1e-4)
        assert encoders.get("open_clip").info.trained_with({"name": name}) == "language"
