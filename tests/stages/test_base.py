from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.stages.base import Stage, in_order
from bench.stages.clusters import PseudoLabels
from bench.stages.dynamics import ProxyDynamics
from bench.stages.embeddings import Embeddings
from bench.stages.memory import Shape
from bench.stages.neighbors import NeighborLists
from bench.stages.training import Cell
from tests.grid_fixtures import count, stages_of

Expand = Callable[..., list[Cell]]


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


def test_the_fit_of_an_encoder_counts_an_image_for_each_epoch(cells_of: Expand) -> None:
    for call, units in (("simsiam(epochs=7)", [7 * 100]), ("pixels", [])):
        [cell] = cells_of(methods="d2-label-free", rates="0.5", seeds=1, encoders=call)
        [fit] = [stage for stage in in_order(cell.stages()) if stage.kind == "encoder"]
        found = fit.work(Shape(100, 20, (1, 8, 8)))
        assert found is not None
        assert [work.number for work in found] == units
