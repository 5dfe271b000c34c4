from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.errors import SpecError
from bench.identity import DatasetRef, EncoderRef, derive_seed
from bench.parts import NearestNeighbors
from bench.stages import judging
from bench.stages.base import Stage, in_order
from bench.stages.clusters import PseudoLabels
from bench.stages.dynamics import ProxyDynamics
from bench.stages.embeddings import Embeddings
from bench.stages.neighbors import NeighborLists, shared_neighbors
from bench.stages.training import Cell

Expand = Callable[..., list[Cell]]


def stages_of(cells: list[Cell]) -> list[Stage]:
    return in_order([stage for cell in cells for stage in cell.stages()])


def count(stages: list[Stage], kind: str) -> int:
    return sum(stage.kind == kind for stage in stages)


def test_inputs_come_before_their_users_and_every_stage_once(cells_of: Expand) -> None:
    stages = stages_of(cells_of("demo"))
    keys = [stage.key for stage in stages]
    assert len(set(keys)) == len(keys)
    for position, stage in enumerate(stages):
        assert all(keys.index(needed.key) < position for needed in stage.inputs())
    assert [stage.kind for stage in stages[-1:]] == ["selection"]


def test_one_proxy_serves_every_rate_and_every_method_on_true_labels(cells_of: Expand) -> None:
    cells = cells_of(methods="aum,forgetting,el2n,ccs,ccs(beta=0.1),d2", rates="0.3,0.5,0.9", seeds=2)
    stages = stages_of(cells)
    assert count(stages, "dynamics") == 2  # one per seed
    assert count(stages, "embeddings") == count(stages, "neighbors") == 1  # of d2
    assert count(stages, "selection") == len(cells) == 36


def test_pseudo_labels_depend_on_encoder_and_seed_alone(cells_of: Expand) -> None:
    cells = cells_of(methods="elfs,elfs(beta=0.2)", rates="0.5,0.9", seeds=2, encoders="pixels,pixels(size=16)")
    stages = stages_of(cells)
    assert count(stages, "pseudo-labels") == count(stages, "dynamics") == 4
    assert count(stages, "embeddings") == 2


def test_neighbour_lists_up_to_50_are_cut_from_the_same_50(cells_of: Expand) -> None:
    cells = cells_of(methods="elfs,d2(k=5),d2(k=15),d2(k=50)", rates="0.9")
    cosine = {s.key for s in stages_of(cells) if isinstance(s, NeighborLists) and s.metric == "cosine"}
    euclidean = {s.key for s in stages_of(cells) if isinstance(s, NeighborLists) and s.metric == "euclidean"}
    assert len(cosine) <= 1
    assert len(euclidean) <= 1
    more = [s for s in stages_of(cells_of(methods="d2(k=60)", rates="0.9")) if isinstance(s, NeighborLists)]
    assert [stage.k for stage in more] == [60]


@pytest.mark.parametrize(("size", "k", "lists"), [(1438, 10, 50), (1438, 60, 60), (30, 10, 29), (0, 10, 50)])
def test_lists_are_never_longer_than_the_pool(size: int, k: int, lists: int) -> None:
    embeddings = Embeddings(dataset=DatasetRef(name="digits", size=size), encoder=EncoderRef(name="pixels"))
    assert shared_neighbors(embeddings, NearestNeighbors(k)).k == lists


def test_an_estimated_number_of_clusters_is_a_stage_of_its_own(cells_of: Expand) -> None:
    cells = cells_of(methods="elfs,elfs(num_clusters=12),elfs(num_clusters=estimate)", rates="0.5,0.9", seeds=2)
    stages = stages_of(cells)
    assert count(stages, "cluster-count") == 2  # one per seed
    assert count(stages, "pseudo-labels") == 6
    assert {s.num_clusters for s in stages if isinstance(s, PseudoLabels)} == {10, 12, "estimate"}


def test_what_is_there_hides_what_it_rests_on(cells_of: Expand) -> None:
    cells = cells_of(methods="aum", proxy_model="linear_probe", rates="0.9")
    wanted = [stage for cell in cells for stage in cell.stages()]
    assert [stage.kind for stage in in_order(wanted)] == ["encoder", "embeddings", "dynamics", "selection"]
    assert [stage.kind for stage in in_order(wanted, lambda stage: stage.kind == "dynamics")] == ["selection"]
    assert in_order(wanted, lambda stage: stage.kind == "selection") == []


def test_every_stage_describes_and_names_itself(cells_of: Expand) -> None:
    for stage in stages_of(cells_of("demo")):
        assert stage.describe()["kind"] == stage.kind
        assert "digits" in stage.title()
        assert len(stage.key) == 64


@pytest.mark.parametrize("changed", [Embeddings, NeighborLists, PseudoLabels, ProxyDynamics])
def test_a_new_version_of_a_stage_renews_all_that_rests_on_it(
    changed: type[Stage], cells_of: Expand, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its stages rest on one another as a chain does: no branch, as a judge would be.
    [cell] = cells_of(methods="elfs(rehearsal=own-pseudo-labels)", rates="0.9")
    stages = in_order([cell.selection()])
    before, code = [stage.key for stage in stages], cell.selection().all_code()
    monkeypatch.setattr(changed, "version", changed.version + 1)
    first = next(place for place, stage in enumerate(stages) if isinstance(stage, changed))
    renewed = [old != stage.key for old, stage in zip(before, in_order([cell.selection()]), strict=True)]
    assert renewed == [place >= first for place in range(len(stages))]
    assert cell.selection().all_code() != code


def test_the_code_of_a_method_is_part_of_its_selection(cells_of: Expand) -> None:
    [cell] = cells_of(methods="ccs", rates="0.9")
    selection = cell.selection()
    [other] = cells_of(methods="aum", rates="0.9")
    assert selection.code != other.selection().code
    edited = selection.model_copy(update={"code": "edited"})
    assert edited.key != selection.key
    assert edited.all_code() != selection.all_code()


def test_the_code_of_a_selection_is_one_for_all_seeds_and_rates(cells_of: Expand) -> None:
    cells = cells_of(methods="elfs(beta=0.4)", rates="0.5,0.9", seeds=2)
    assert len(cells) == 4
    assert len({cell.selection().all_code() for cell in cells}) == 1


def test_a_selection_says_what_the_cell_lacks(cells_of: Expand) -> None:
    [cell] = cells_of(methods="elfs", rates="0.9")
    with pytest.raises(SpecError, match="'elfs' reads embeddings, but the cell names no encoder"):
        cell.selection().model_copy(update={"encoder": None}).embeddings()
    with pytest.raises(SpecError, match="'elfs' needs a network trained, but the cell names no proxy"):
        cell.selection().model_copy(update={"proxy": None}).network()


def test_derived_seeds_differ_by_seed_and_purpose() -> None:
    seeds = {derive_seed(seed, *words) for seed in range(20) for words in (("a",), ("b",), ("a", "b"))}
    assert len(seeds) == 60
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(3, "training") == derive_seed(3, "training")


def test_only_stages_that_a_gpu_works_on_ask_for_one(cells_of: Expand) -> None:
    [elfs] = cells_of(methods="elfs(beta=0.1)", rates="0.5", seeds=1)
    [rehearsing] = cells_of(methods="elfs(rehearsal=own-pseudo-labels)", rates="0.5", seeds=1)
    [on_network] = cells_of(methods="d2-label-free", rates="0.5", seeds=1, encoders="simsiam")
    [on_kmeans] = cells_of(methods="elfs(clustering=kmeans,num_clusters=estimate)", rates="0.5", seeds=1)
    asking = {stage.kind: stage.uses_gpu() for stage in in_order(elfs.stages())}
    assert asking == {
        "encoder": False,  # pixels work on the CPU alone
        "embeddings": False,
        "neighbors": False,
        "pseudo-labels": True,
        "dynamics": True,
        "selection": False,
    }
    assert rehearsing.selection().uses_gpu()
    assert [stage.kind for stage in in_order(on_network.stages()) if stage.uses_gpu()] == ["encoder", "embeddings"]
    by_kind = {stage.kind: stage.uses_gpu() for stage in in_order(on_kmeans.stages())}
    assert (by_kind["pseudo-labels"], by_kind["cluster-count"]) == (False, False)


def test_a_judge_that_judges_otherwise_is_another_selection(cells_of: Expand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge runs while the method does, so no stage of its own would be computed again."""

    def selections() -> dict[str, tuple[str, str]]:
        cells = cells_of(methods="elfs,auto,elfs(beta=0.2),random", rates="0.9")
        return {cell.variant: (cell.selection().key, cell.selection().all_code()) for cell in cells}

    before = selections()
    monkeypatch.setitem(judging.GIVERS, "judge", replace(judging.GIVERS["judge"], version=2))
    changed = {name for name, identity in selections().items() if identity != before[name]}
    assert changed == {"elfs", "auto"}
