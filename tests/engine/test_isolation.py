"""What a plugin does to the arrays that it is given reaches nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench import register_encoder, register_model
from bench.conformance.samples import few_digits
from bench.data import Images, ImageView, fingerprint
from bench.engine.events import Listener
from bench.engine.executors.base import Executor, Resources
from bench.engine.executors.local import Workers
from bench.engine.executors.ray import OnRay
from bench.engine.plan import make_plan
from bench.engine.run import run
from bench.grammar import Call
from bench.grid.spec import load_spec
from bench.labelling.items import ComputeSettings, items_selection
from bench.plugins import encoders, methods, models
from bench.selection import method_pool, run_method
from bench.stages.session import Session
from bench.stages.training import Cell
from tests.whole_pool import whole_pool

TINY: dict[str, Any] = {
    "datasets": "digits",
    "rates": "0.9",
    "pool_size": 120,
    "recipe": {"iterations": 4, "proxy_epochs": 2, "evaluations": 2, "batch_size": 64},
}
PARTS = (
    "images",
    "embeddings",
    "neighbors",
    "pseudo_labels",
    "dynamics",
    "gradient_norms",
    "outputs",
    "labels",
    "reveal",
)
TRICKS = ("torch", "setflags", "base", "ctypes", "interface", "memoryview")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.usefixtures("troublemakers"),
    pytest.mark.filterwarnings("ignore:The given NumPy array is not writable"),
]


def cells(workspace: Session, **given: Any) -> list[Cell]:
    return make_plan(load_spec(given={**TINY, **given}), out=workspace.out).cells


def stored(cache: Path) -> dict[str, str]:
    """Every stage of a cache, by its title and key, and the checksum of its arrays."""
    records = {path: json.loads(path.read_text()) for path in sorted(cache.glob("*/*.json"))}
    return {f"{path.parent.name}/{path.stem}": record["sha256"] for path, record in records.items()}


@pytest.fixture(scope="module")
def shared_stages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("part", PARTS)
def test_a_method_that_writes_changes_its_own_copy(tmp_path: Path, shared_stages: Path, part: str, trick: str) -> None:
    workspace = Session(out=tmp_path / "out", cache=shared_stages)
    [cell] = cells(workspace, methods=f"writes(part={part},trick={trick})")
    stages = {stage.key: stage for stage in cell.stages()}
    before = {key: workspace.get(stage).arrays for key, stage in stages.items()}
    assert len(workspace.get(cell.selection()).arrays["indices"]) == 12
    assert fingerprint(workspace.dataset(cell.dataset)) == cell.dataset.fingerprint
    for key, stage in stages.items():
        for name, array in workspace.get(stage).arrays.items():
            np.testing.assert_array_equal(array, before[key][name])


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("part", PARTS)
def test_arrays_that_a_pool_is_made_of_stay_as_they_are(part: str, trick: str) -> None:
    sample, entry, params = few_digits(), methods.get("writes"), {"part": part, "trick": trick}
    before = {name: array.copy() for name, array in sample.arrays()}
    pool = method_pool(entry, params, sample.source, size=sample.size, num_classes=10, rate=0.5)
    run_method(entry, pool, params, sample.size // 2, 0)
    for name, array in sample.arrays():
        np.testing.assert_array_equal(array, before[name], name)


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("part", ["embeddings", "neighbors", "pseudo_labels"])
def test_the_users_own_embeddings_stay_as_they_are(tmp_path: Path, part: str, trick: str) -> None:
    entry, params = methods.get("writes"), {"part": part, "trick": trick}
    array = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    before = array.copy()
    session = ComputeSettings(tmp_path, "cpu", 1, lambda title: lambda done, total: None).session(array)
    source = session.source(items_selection(array, Call("writes", params), budget=30, classes=3, seed=0))
    pool = method_pool(entry, params, source, size=60, num_classes=3, rate=0.5)
    run_method(entry, pool, params, 30, 0)
    np.testing.assert_array_equal(array, before)
    for _ in range(2):
        whole = whole_pool(source, 60, 3)
        near, clusters = whole.neighbors(50), whole.pseudo_labels(clustering="kmeans")
        assert near.indices.max() < 60
        assert set(clusters) == {0, 1, 2}


def test_a_pool_gives_its_images_and_labels_once() -> None:
    """A method may index ``pool.images`` in a loop; a copy each time would take hours."""
    sample, entry = few_digits(), methods.get("writes")
    pool = method_pool(entry, {}, sample.source, size=sample.size, num_classes=10, rate=0.5)
    assert pool.images is pool.images
    assert pool.labels is pool.labels


def test_images_in_files_are_handed_out_as_copies() -> None:
    """An outside reader may keep what it decoded and give a view of it."""
    kept = np.zeros((4, 1, 2, 2), dtype=np.uint8)

    class Kept:
        shape, fingerprint = kept.shape, "f"

        def __len__(self) -> int:
            return 4

        def __getitem__(self, indices: np.ndarray) -> np.ndarray:
            return kept[: len(indices)]

        def augmented(self, indices: np.ndarray, rng_seeds: Any) -> np.ndarray:
            return kept[: len(indices)]

    view = ImageView(Kept())
    for images in (view[np.arange(2)], view.augmented(np.arange(2), [0, 1])):
        images[...] = 7
    assert kept.max() == 0


@pytest.fixture
def careless() -> Iterator[list[float]]:
    """An encoder and a model that work in place."""

    class Inverting:
        def embed(self, images: Images, *, device: str, batch_size: int, progress: Any = None) -> np.ndarray:
            torch.from_numpy(images).bitwise_not_()
            return np.asarray(images, dtype=np.float32).reshape(len(images), -1)

    @register_encoder("inverting", supervision="none", source="test")
    def inverting(weights: Path | None) -> Inverting:
        """Invert the images where they are."""
        return Inverting()

    @register_model("halving", inputs="embeddings", source="test")
    def halving(shape: tuple[int, ...], num_classes: int) -> torch.nn.Module:
        """Halve the inputs where they are, and classify them."""
        from torch import nn

        class Halving(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(int(np.prod(shape)), num_classes)

            def forward(self, inputs: torch.Tensor) -> torch.Tensor:
                if not self.training:
                    scored.append(float(inputs.abs().sum()))
                return self.layer(inputs.div_(2))

        return Halving()

    scored: list[float] = []
    yield scored
    encoders.remove("inverting")
    models.remove("halving")


def test_an_encoder_that_writes_changes_its_own_copy(tmp_path: Path, careless: object) -> None:
    workspace = Session(out=tmp_path / "out", cache=tmp_path / "cache")
    [cell] = cells(workspace, methods="kcenter", encoders="inverting")
    for split in ("train", "test"):
        workspace.get(cell.selection().embeddings().model_copy(update={"split": split}))
    assert fingerprint(workspace.dataset(cell.dataset)) == cell.dataset.fingerprint


def test_a_model_that_works_in_place_scores_the_same_images_every_time(tmp_path: Path, careless: list[float]) -> None:
    workspace = Session(out=tmp_path / "out", cache=tmp_path / "cache")
    [cell] = cells(workspace, methods="random", models="halving", encoders="pixels")
    row = cell.row(workspace)
    assert len(row.curve) == 2
    first, second = careless[: len(careless) // 2], careless[len(careless) // 2 :]
    assert first == second
    assert min(first) > 0


WRITERS = "writes(part=images,trick=torch),writes(part=labels,trick=ctypes),writes(part=dynamics,trick=setflags)"


@pytest.fixture(params=["ray", "local"])
def one_worker(request: pytest.FixtureRequest, plugin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Executor:
    """One thing at a time, so that one process computes what follows what."""
    if request.param == "ray":
        request.getfixturevalue("ray_session")
        return OnRay(Resources(cpus=2))
    monkeypatch.syspath_prepend(str(plugin_folder))
    return Workers(1)


@pytest.mark.long
@pytest.mark.faults
def test_a_run_beside_methods_that_write_stores_the_same_bits(tmp_path: Path, one_worker: Executor) -> None:
    def finish(folder: Path, methods: str) -> dict[str, str]:
        workspace = Session(out=folder / "out", cache=folder / "cache")
        given = {**TINY, "methods": methods, "encoders": "pixels", "seeds": 2}
        plan = make_plan(load_spec(given=given), out=workspace.out)
        outcome = run(plan, workspace, one_worker, Listener())
        assert outcome.failed == {}
        return stored(workspace.cache)

    methods = "aum,kcenter,elfs(clustering=kmeans,beta=0.2)"
    clean = finish(tmp_path / "clean", methods)
    beside = finish(tmp_path / "beside", f"{WRITERS},meddles,{methods}")
    assert {name: beside[name] for name in clean} == clean
    assert len(beside) == len(clean) + 2 * (3 + 1)
