"""The table of a pool's parts, and what follows from a row of it alone."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from bench import Pool, need, register_method
from bench.array_source import ArraySource
from bench.conformance.samples import ON_LABELS, digits
from bench.engine.plan import make_plan
from bench.errors import RegistrationError
from bench.grid.spec import load_spec
from bench.parts import (
    NO_OPTIONS,
    PARTS,
    Clustering,
    NearestNeighbors,
    Options,
    Part,
    Supervision,
    TrainedOn,
)
from bench.plugins import methods
from bench.stages.givers import gives
from bench.stages.gradients import GradientNorms
from bench.stages.selection import resources_of
from bench.stages.session import Session
from bench.stages.source import StageSource
from bench.stages.training import Cell


def cell_of(method: str, out: Path) -> Cell:
    given = {"methods": method, "datasets": "digits", "pool_size": 60, "rates": "0.5"}
    recipe = {"iterations": 4, "proxy_epochs": 4, "evaluations": 1}
    [cell] = make_plan(load_spec(given={**given, "recipe": recipe}), out=out).cells
    return cell


def test_what_rests_on_labels_follows_from_the_table() -> None:
    assert ON_LABELS == ("label_array", "dynamics_labels", "gradient_norm_array")


@dataclass(frozen=True)
class Powers(Options):
    power: float = 2.0


def test_a_new_part_is_a_row_and_a_module_that_gives_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third file is the pool's, where a method on it says what the part is."""
    part: Part[Powers, Any] = Part(
        "powers", "labels", Powers, "powers", frozenset({"proxy"}), "gradient_norm_array", "scores"
    )
    module = ModuleType("bench.stages.powers")
    stage = lambda selection, options: GradientNorms(  # noqa: E731
        dataset=selection.dataset, proxy=selection.network(), seed=selection.seed, networks=1, epochs=0, layers="last"
    )
    givers = {"powers": gives(stage, lambda arrays, options: arrays["norms"] ** options.power)}
    vars(module)["GIVERS"] = givers
    monkeypatch.setitem(PARTS, "powers", part)
    monkeypatch.setitem(sys.modules, "bench.stages.powers", module)

    @register_method("by-powers", supervision="labels", needs=(need("powers", power=3.0),))
    def by_powers(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        """Keep the first ones."""
        return np.arange(budget)

    try:
        cell = cell_of("by-powers", tmp_path)
        assert cell.encoder is None
        assert cell.proxy is not None
        assert [kept.kind for kept in cell.selection().inputs()] == ["gradient-norms"]
        source = StageSource(cell.selection(), Session(out=tmp_path, cache=tmp_path / "cache"))
        squares, cubes = (source.read(part, Powers(power)) for power in (2.0, 3.0))
        np.testing.assert_allclose(squares**1.5, cubes, rtol=1e-5)
        assert len(ArraySource(gradient_norm_array=squares).read(part, Powers())) == 60
    finally:
        methods.remove("by-powers")


@pytest.mark.parametrize(
    ("part", "options", "message"),
    [
        ("gradients", {}, "cannot need 'gradients'; valid: images, embeddings"),
        ("gradient_norms", {"network": 3}, "gradient_norms of a pool has no option 'network'; valid: networks, epochs"),
        ("embeddings", {"k": 3}, "embeddings of a pool has no option 'k'; it has none"),
        ("coreset", {}, "coreset of a pool needs its option method"),
        ("embedding", {}, r"cannot need 'embedding'; valid: .*outputs\. Did you mean embeddings\?$"),
        ("neighbors", {"kk": 3}, r"has no option 'kk'; valid: k, metric\. Did you mean k\?$"),
        (
            "pseudo_labels",
            {"clustering": "kmens"},
            r"pseudo_labels of a pool: clustering='kmens' is not valid: temi or kmeans\. Did you mean kmeans\?$",
        ),
        ("neighbors", {"k": "many"}, r"neighbors of a pool: k='many' is not valid: a whole number\.$"),
    ],
)
def test_a_need_that_the_table_does_not_know_is_refused_where_it_is_written(
    part: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(RegistrationError, match=message):
        need(part, **options)


def test_options_left_out_or_none_are_at_their_defaults() -> None:
    assert need("pseudo_labels", heads=None, num_clusters=None).chosen == Clustering()
    assert need("dynamics", of="pseudo", epochs=3).chosen == TrainedOn(of="pseudo", epochs=3)
    assert need("images").chosen == NO_OPTIONS


def test_options_of_one_meaning_are_one() -> None:
    assert NearestNeighbors(7).shared(500, 10) == NearestNeighbors().shared(500, 10) == NearestNeighbors(50)
    assert NearestNeighbors(60).shared(500, 10).k == 60
    assert NearestNeighbors(60).shared(30, 10).k == 29
    assert Clustering().shared(500, 10) == Clustering(num_clusters=10)
    assert TrainedOn(heads=3).shared(500, 10) == TrainedOn(), "true labels are of no clustering"
    assert TrainedOn(of="pseudo").shared(500, 10).num_clusters == 10


@pytest.mark.parametrize(
    ("supervision", "rests_on"), [("labels", {"proxy"}), ("pseudo", {"proxy", "encoder", "pseudo-labels"})]
)
def test_dynamics_by_default_are_of_what_the_method_may_read(supervision: Supervision, rests_on: set[str]) -> None:
    @register_method("by-dynamics", supervision=supervision, needs=("dynamics",))
    def by_dynamics(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        """Keep the first ones."""
        return np.arange(budget)

    try:
        assert resources_of("by-dynamics", {}) == rests_on
    finally:
        methods.remove("by-dynamics")


@pytest.mark.parametrize(
    ("candidate", "encoder", "proxy"),
    [("random", False, False), ("typiclust", True, False), ("elfs(clustering=kmeans, beta=0.2)", True, True)],
)
def test_a_method_that_reads_a_coreset_alone_rests_on_what_that_rests_on(
    tmp_path: Path, candidate: str, encoder: bool, proxy: bool
) -> None:
    @register_method("follows", supervision="pseudo", needs=(need("coreset", method=candidate),))
    def follows(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        """Keep what another method keeps."""
        return pool.coreset(candidate)

    try:
        cell = cell_of("follows", tmp_path)
        assert (cell.encoder is not None, cell.proxy is not None) == (encoder, proxy)
        assert cell.selection().all_pseudo_labels() == [], "those of the candidate are its own"
        session = Session(out=tmp_path, cache=tmp_path / "cache")
        kept = session.arrays(cell.selection())["indices"]
        np.testing.assert_array_equal(kept, session.arrays(cell_of(candidate, tmp_path).selection())["indices"])
    finally:
        methods.remove("follows")


def test_the_sample_of_the_conformance_suite_holds_every_part() -> None:
    for part in PARTS.values():
        for of in ("labels", "pseudo"):
            assert not part.array or getattr(digits().source, part.array.format(of=of)) is not None, part.name
