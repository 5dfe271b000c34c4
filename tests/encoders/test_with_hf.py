"""Networks of the Hugging Face hub as encoders, against transformers itself, from folders that it writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from bench import WeightsError
from bench.engine.plan import find_encoder
from bench.grammar import parse_call
from tests.encoders.library_files import as_pillow, build

transformers = pytest.importorskip("transformers", reason="transformers is not installed (extra hf)")


@pytest.fixture(scope="module")
def pictures(patches: NDArray[np.uint8]) -> NDArray[np.uint8]:
    # Grey levels that no overshoot takes below 0 or above 255, where Pillow clips between its passes.
    return patches[:6] // 2 + 64


def repository(folder: Path, kind: str) -> tuple[Any, Path]:
    """A small network as transformers writes it to a folder."""
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    torch.manual_seed(0)
    if kind == "dinov2":
        network = transformers.Dinov2Model(transformers.Dinov2Config(image_size=56, patch_size=14, **size))
    elif kind == "vit":
        network = transformers.ViTModel(
            transformers.ViTConfig(image_size=32, patch_size=8, **size), add_pooling_layer=False
        )
    elif kind == "mae":
        decoder = {"decoder_hidden_size": 16, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2}
        network = transformers.ViTMAEForPreTraining(
            transformers.ViTMAEConfig(image_size=32, patch_size=8, decoder_intermediate_size=32, **decoder, **size)
        )
    elif kind == "clip":
        vision = transformers.CLIPVisionConfig(image_size=32, patch_size=8, projection_dim=16, **size)
        text = transformers.CLIPTextConfig(vocab_size=99, projection_dim=16, **size)
        network = transformers.CLIPModel(
            transformers.CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=16)
        )
    else:
        network = transformers.ResNetModel(
            transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])
        )
    side = 56 if kind == "dinov2" else 32
    processor = transformers.BitImageProcessor(size={"shortest_edge": side + 8}, crop_size=side)
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return network.eval(), folder / "model.safetensors"


@pytest.mark.parametrize("kind", ["dinov2", "vit", "clip", "resnet"])
def test_hf_gives_what_transformers_gives(kind: str, tmp_path: Path, pictures: NDArray[np.uint8]) -> None:
    network, file = repository(tmp_path, kind)
    encoder = build("hf(name=someone/dinov2)", file)
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path)
    theirs = processor(images=as_pillow(pictures), return_tensors="pt")["pixel_values"]
    ours = encoder._prepare(torch.from_numpy(pictures))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1.01 / 255 / 0.224)
    with torch.inference_mode():
        if kind == "clip":
            found = network.get_image_features(pixel_values=ours)
            wanted = getattr(found, "pooler_output", found)
        elif kind == "vit":
            wanted = network(pixel_values=ours).last_hidden_state[:, 0]
        else:
            wanted = network(pixel_values=ours).pooler_output.flatten(1)
    features = encoder.embed(pictures, device="cpu", batch_size=6)
    np.testing.assert_allclose(features, wanted.numpy(), rtol=1e-4, atol=1e-5)


def test_a_masked_autoencoder_embeds_all_patches_and_the_same_image_alike(
    tmp_path: Path, pictures: NDArray[np.uint8]
) -> None:
    network, file = repository(tmp_path, "mae")
    encoder = build("hf(name=facebook/vit-mae-tiny)", file)
    features = encoder.embed(pictures, device="cpu", batch_size=6)
    np.testing.assert_array_equal(encoder.embed(pictures, device="cpu", batch_size=6), features)
    # Against a plain transformer of the same weights, whose classifier's encoder masks nothing.
    plain = transformers.ViTModel(transformers.ViTConfig(**network.config.to_dict()), add_pooling_layer=False).eval()
    plain.load_state_dict(network.vit.state_dict())
    with torch.inference_mode():
        wanted = plain(pixel_values=encoder._prepare(torch.from_numpy(pictures))).last_hidden_state[:, 0]
    np.testing.assert_allclose(features, wanted.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda own: lambda **taken: dropped(own(**taken)), "embeds the same image differently at every call"),
        (lambda own: lambda pixel_values, input_ids: None, "cannot embed an image: .*input_ids"),
    ],
)
def test_a_network_that_draws_or_takes_more_than_images_is_refused(
    wrong: Callable[..., Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, file = repository(tmp_path, "vit")
    forward = type(network).forward
    monkeypatch.setattr(
        type(network), "forward", lambda self, **taken: wrong(lambda **kept: forward(self, **kept))(**taken)
    )
    with pytest.raises(WeightsError, match=message):
        build("hf(name=someone/vit)", file)


def dropped(found: Any) -> Any:
    """What a network gives that drops features at random in evaluation too."""
    found.last_hidden_state = torch.nn.functional.dropout(found.last_hidden_state, 0.5)
    return found


def test_hf_depends_on_its_settings_and_refuses_what_does_not_fit(tmp_path: Path) -> None:
    network, file = repository(tmp_path, "dinov2")
    call = parse_call(f"hf(name=someone/dinov2-tiny, supervision=self-supervised, weights='{file}')")
    first = find_encoder(call, False, needed=True)[0]
    settings = tmp_path / "preprocessor_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "image_mean": [0.5] * 3}))
    assert find_encoder(call, False, needed=True)[0].weights_sha256 != first.weights_sha256
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    lost = next(name for name in state if name.endswith("layer.0.norm1.weight"))
    save_file({name: value for name, value in state.items() if name != lost}, file, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=f"1 missing: {lost}"):
        find_encoder(call, False, needed=True)
    settings.unlink()
    with pytest.raises(WeightsError, match=r"preprocessor_config.json"):
        find_encoder(call, False, needed=True)


def test_hf_runs_no_code_of_a_repository(tmp_path: Path) -> None:
    _, file = repository(tmp_path, "dinov2")
    trap = tmp_path / "trap"
    (tmp_path / "modeling.py").write_text(f"open({str(trap)!r}, 'w')\n")
    config = tmp_path / "config.json"
    text = config.read_text().replace('"model_type": "dinov2"', '"model_type": "mine"')
    config.write_text(text[:-2] + ', "auto_map": {"AutoConfig": "modeling.C", "AutoModel": "modeling.M"}}\n')
    with pytest.raises(WeightsError, match="cannot read"):
        build("hf(name=someone/dinov2)", file)
    assert not trap.exists()
