"""Networks of other libraries, and probes, as final models and proxies."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from bench.engine.plan import make_plan
from bench.errors import SpecError
from bench.grid.spec import load_spec
from bench.identity import ModelRef
from bench.plugins import models
from bench.recipe import Recipe, learning_rate_factors
from bench.training.fit import LabelledInputs, fit
from bench.training.footprint import footprint
from bench.training.loop import Evaluation, _optimiser

Vectors = tuple[np.ndarray, np.ndarray]


def build(library: str, shape: tuple[int, ...], /, **params: Any) -> Any:
    entry = models.get(library)
    torch.manual_seed(0)
    return entry.function(shape, 7, **entry.resolve(params))


TIMM = ["test_resnet", "test_vit", "test_convnext", "resnet18", "vit_tiny_patch16_224"]


@pytest.mark.parametrize(
    ("library", "name", "size"),
    [("timm", name, 32) for name in TIMM]
    + [("torchvision", name, 32) for name in ("mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1")]
    + [("torchvision", "alexnet", 64)],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_logits_have_the_right_shape_and_the_network_learns(library: str, name: str, size: int, channels: int) -> None:
    if library == "timm":
        pytest.importorskip("timm")
    module = build(library, (channels, 20, 20), name=name, size=size).eval()
    logits = module(torch.randn(4, channels, 20, 20))
    assert logits.shape == (4, 7)
    torch.nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    assert any(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in module.parameters())


def test_without_a_size_transformers_are_built_for_the_images() -> None:
    pytest.importorskip("timm")
    network = build("timm", (3, 64, 64), name="vit_tiny_patch16_224").network
    assert network.patch_embed.num_patches == 16
    assert build("torchvision", (3, 64, 64), name="vit_b_16").network.image_size == 64


@pytest.mark.parametrize(
    ("library", "name", "optimiser"),
    [
        ("timm", "resnet18", "sgd"),
        ("timm", "vit_tiny_patch16_224", "adamw"),
        ("timm", "test_convnext", "adamw"),
        ("torchvision", "mobilenet_v3_small", "sgd"),
        ("torchvision", "swin_t", "adamw"),
        ("torchvision", "vgg11", "sgd"),
    ],
)
def test_the_family_decides_the_recipe(library: str, name: str, optimiser: str) -> None:
    if library == "timm":
        pytest.importorskip("timm")
    fields = models.get(library).info.recipe_of({"name": name})
    recipe = Recipe(**fields)
    assert recipe.optimiser == optimiser
    assert (recipe.warm_up > 0) == (optimiser == "adamw")


def test_new_fields_leave_old_hashes_alone() -> None:
    assert not {"warm_up", "optimiser"} & Recipe().model_dump().keys()
    assert Recipe(optimiser="adamw", warm_up=0.1).model_dump()["optimiser"] == "adamw"
    with pytest.raises(ValueError, match="warm_up"):
        Recipe(schedule="triangular", warm_up=0.1)


def test_warm_up_rises_and_a_cosine_falls_to_the_end() -> None:
    factors = learning_rate_factors("cosine", 100, 0.01, 0.1)
    assert len(factors) == 101
    assert factors[:3] == pytest.approx([1 / 11, 2 / 11, 3 / 11])
    assert factors[10] == 1
    assert factors[55] == pytest.approx(0.01 + 0.99 / 2)
    assert factors[-1] == pytest.approx(0.01)
    assert all(later < earlier for earlier, later in pairwise(factors[10:]))


def test_adamw_is_torchs_and_spares_biases_and_scales() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    optimiser = _optimiser(network, Recipe(optimiser="adamw", lr=1e-3, weight_decay=0.05), "cpu")
    assert isinstance(optimiser, torch.optim.AdamW)
    decay = {id(value): group["weight_decay"] for group in optimiser.param_groups for value in group["params"]}
    assert {name: decay[id(value)] for name, value in network.named_parameters()} == {
        "0.weight": 0.05,
        "0.bias": 0.0,
        "1.weight": 0.0,
        "1.bias": 0.0,
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("timm(name=resnet5)", "Did you mean resnet50"),
        ("timm", "needs a name"),
        ("torchvision(name=mobilenet_v3_smal)", "Did you mean mobilenet_v3_small"),
        ("torchvision(name=vgg)", "unknown name of model 'torchvision'"),
        ("torchvision(name=inception_v3)", r"does not take images of 8 x 8 px: .*Give it size=S"),
    ],
)
def test_bad_networks_are_refused_before_anything_starts(given: str, message: str) -> None:
    if given.startswith("timm"):
        pytest.importorskip("timm")
    grid = {"methods": "random", "datasets": "digits", "rates": "0.5", "seeds": 1, "models": given}
    with pytest.raises(SpecError, match=message):
        make_plan(load_spec(given=grid), out=None)


def test_knn_is_no_proxy() -> None:
    grid = {"datasets": "digits", "rates": "0.5", "seeds": 1, "models": "knn"}
    assert make_plan(load_spec(given={**grid, "methods": "random,kcenter"}), out=None).cells
    assert make_plan(load_spec(given={**grid, "methods": "aum", "proxy_model": "linear_probe"}), out=None).cells
    with pytest.raises(SpecError, match="knn does not learn; name one that does with --proxy-model"):
        make_plan(load_spec(given={**grid, "methods": "aum"}), out=None)
    auto = "auto(judge={},candidates='random,kcenter')"
    assert make_plan(load_spec(given={**grid, "methods": auto.format("ridge")}), out=None).cells
    for learning in (
        auto.format("network"),
        "auto(judge=ridge,candidates='random,elfs(clustering=kmeans)')",
        "elfs(clustering=kmeans,beta=0.1)",
        "entropy",
        "grand",
    ):
        with pytest.raises(SpecError, match="knn does not learn; name one that does with --proxy-model"):
            make_plan(load_spec(given={**grid, "methods": learning}), out=None)


def test_counting_what_knn_holds_warns_of_nothing() -> None:
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            assert footprint(ModelRef(name="knn"), (8,), 10) is None  # before it has seen the items that vote
    finally:
        torch.set_warn_always(before)
    assert not said


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    from sklearn.datasets import load_digits

    digits = load_digits()
    return digits.data.astype(np.float32), digits.target.astype(np.int64)


def accuracy(model: str, vectors: Vectors, iterations: int = 150, **params: Any) -> list[Evaluation]:
    inputs, labels = vectors
    ref = ModelRef(name=model, params=params)
    return fit(
        ref,
        LabelledInputs(inputs[:1000], labels[:1000], 10),
        dataset=None,
        recipe=Recipe(augmentation="none", precision="fp32", evaluations=1),
        iterations=iterations,
        seed=0,
        device="cpu",
        test=LabelledInputs(inputs[1000:], labels[1000:], 10),
    )


def test_knn_is_that_of_scikit_learn(vectors: Vectors) -> None:
    inputs, labels = vectors
    [found] = accuracy("knn", vectors)
    oracle = KNeighborsClassifier(20, metric="cosine", weights=lambda far: np.exp((1 - far) / 0.07))
    wanted = 100 * oracle.fit(inputs[:1000], labels[:1000]).score(inputs[1000:], labels[1000:])
    assert found.accuracy == pytest.approx(wanted, abs=0.2)
    assert found.accuracy == accuracy("knn", vectors)[0].accuracy
    assert accuracy("knn", vectors, k=5000)[0].accuracy < found.accuracy
    assert accuracy("knn", vectors, temperature=1e-4)[0].accuracy == accuracy("knn", vectors, k=1)[0].accuracy


def test_a_hidden_layer_learns_what_a_linear_one_cannot() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(1500, 2)).astype(np.float32)
    quadrants = ((inputs[:, 0] > 0) ^ (inputs[:, 1] > 0)).astype(np.int64)
    # No line through the plane is right of more than three quadrants.
    assert accuracy("linear_probe", (inputs, quadrants))[0].accuracy < 75
    assert accuracy("mlp_probe", (inputs, quadrants), iterations=300)[0].accuracy > 90
