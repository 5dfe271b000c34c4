"""timm's networks as encoders, against its own preprocessing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.encoders.library_files import as_pillow, build, saved

# Grey levels that no overshoot of an interpolation takes below 0 or above 255, where Pillow clips between its passes.
TIMM = ["test_vit.r160_in1k", "test_resnet.r160_in1k", "mobilenetv3_small_050.lamb_in1k", "test_convnext.r160_in1k"]


@pytest.mark.parametrize("name", TIMM)
def test_timm_gives_the_features_of_timms_own_preprocessing(
    name: str, tmp_path: Path, pictures: NDArray[np.uint8]
) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    whole = timm.create_model(name, pretrained=False).eval()
    encoder = build(f"timm(name={name})", saved(whole, tmp_path))
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(whole), is_training=False)
    theirs = torch.stack([transform(image) for image in as_pillow(pictures)])
    ours = encoder._prepare(torch.from_numpy(pictures))
    assert ours.shape == theirs.shape
    # One grey level, by which Pillow's rounding between two passes may differ, over the smallest std.
    assert (ours - theirs).abs().max() <= 1.01 / 255 / 0.224
    with torch.inference_mode():
        network = timm.create_model(name, pretrained=False, num_classes=0).eval()
        network.load_state_dict(whole.state_dict(), strict=False)
        wanted = network(ours.contiguous(memory_format=torch.channels_last)).numpy()
        logits = whole(ours)
    features = encoder.embed(pictures, device="cpu", batch_size=6)
    # The layout of the weights decides which kernel runs, so equal up to rounding.
    np.testing.assert_allclose(features, wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        whole.get_classifier()(torch.from_numpy(features)), logits, rtol=1e-3, atol=1e-4, msg="the classifier's input"
    )
