"""What a selection's identity holds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bench.errors import SpecError
from bench.methods.elfs import beta_grid
from bench.stages.base import in_order
from bench.stages.session import Session
from bench.stages.training import Cell
from tests.narrowing import present
from tests.stages.tiny import ELFS, cells

Expand = Callable[..., list[Cell]]


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


@pytest.mark.integration
@pytest.mark.parametrize(
    "method",
    [
        ELFS,
        "elfs(beta=0.2, clustering=kmeans)",
        "elfs(clustering=kmeans, rehearsal=ridge)",
        "elfs(clustering=kmeans, rehearsal=network)",
        "auto(candidates='typiclust,elfs(clustering=kmeans)')",
        "d2-label-free",
        "prototypicality",
    ],
)
def test_true_labels_cannot_reach_a_label_free_coreset(workspace: Session, permuted: str, method: str) -> None:
    [plain], [other] = (cells(workspace, methods=method, datasets=name) for name in ("digits", permuted))
    assert plain.dataset.fingerprint != other.dataset.fingerprint
    coresets = [workspace.get(cell.selection()) for cell in (plain, other)]
    assert not any(coreset.reused for coreset in coresets)
    np.testing.assert_array_equal(coresets[0].arrays["indices"], coresets[1].arrays["indices"])


@pytest.mark.integration
def test_true_labels_do_reach_a_supervised_coreset(workspace: Session, permuted: str) -> None:
    """The test above would notice: the same comparison for a method that reads labels differs."""
    [plain], [other] = (cells(workspace, methods="ccs(beta=0.1)", datasets=name) for name in ("digits", permuted))
    first, second = (workspace.get(cell.selection()).arrays["indices"] for cell in (plain, other))
    assert first.tolist() != second.tolist()


@pytest.mark.integration
def test_every_clustering_and_score_of_elfs_selects_by_its_own_ranking(workspace: Session) -> None:
    effort = {"temi": ", heads=2, cluster_epochs=3", "kmeans": ""}
    grid = [(clustering, score) for clustering in effort for score in ("aum", "forgetting", "el2n")]
    names = [f"elfs(clustering={name}, score={score}, beta=0.2{effort[name]})" for name, score in grid]
    coresets = {}
    for (clustering, score), cell in zip(grid, cells(workspace, methods=",".join(names)), strict=True):
        found = workspace.get(cell.selection()).arrays
        coresets[clustering, score] = found["indices"]
        removed = np.argsort(-found["scores"], kind="stable")[:24]
        kept = found["scores"][found["indices"]]
        assert len(kept) == 60
        assert kept.max() <= found["scores"][removed].min(), "the 0.2 N hardest come before all that is kept"
        assert kept.min() >= np.sort(found["scores"])[36], "and the easiest are what is left out at the other end"
    assert len({tuple(coreset) for coreset in coresets.values()}) == len(grid)


@pytest.mark.integration
def test_a_coreset_is_stored_and_its_inputs_are_shared(workspace: Session) -> None:
    [cell] = cells(workspace, methods="elfs(heads=2, cluster_epochs=3, rehearsal=own-pseudo-labels)")
    first = workspace.get(cell.selection())
    again = workspace.get(cell.selection())
    assert (first.reused, again.reused) == (False, True)
    np.testing.assert_array_equal(first.arrays["indices"], again.arrays["indices"])
    assert all(stage in workspace.store for stage in in_order([cell.selection()]))
    kept = {path.parent.name: len(list(path.parent.glob("*.npz"))) for path in workspace.cache.glob("*/*.npz")}
    once = dict.fromkeys(("encoder", "embeddings", "neighbors", "pseudo-labels", "dynamics", "selection"), 1)
    assert kept == {**once, "rehearsal": len(beta_grid(120, 60))}


@pytest.mark.integration
@pytest.mark.parametrize("method", ["badge(rounds=3)", "grand(networks=2, layers=last)"])
def test_methods_that_train_networks_take_embeddings_too(workspace: Session, method: str) -> None:
    [cell] = cells(workspace, methods=method, models="linear_probe")
    assert cell.proxy is not None
    assert present(cell.proxy).encoder is not None
    assert cell.selection().inputs()
    coreset = workspace.get(cell.selection())
    assert len(coreset.arrays["indices"]) == 60
    assert workspace.get(cell.selection()).reused
