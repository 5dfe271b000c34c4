"""Labels of the coreset only: what was not asked for cannot be read, and what was asked for is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench import Outputs, Pool, SelectionError, parts
from bench.array_source import ArraySource
from bench.conformance.samples import few_digits
from bench.errors import LabelAccessError, UndeclaredNeed
from bench.parts import SUPERVISIONS, Supervision, need
from bench.plugins import MethodInfo
from bench.registry import Entry
from bench.selection import method_pool, run_method

LABELS = np.arange(10) * 11


def network(embeddings: np.ndarray, indices: np.ndarray, labels: np.ndarray) -> Outputs:
    """Tells what it was given: the indices in the probabilities, the labels in the features."""
    shown = np.zeros((10, 2), dtype=np.float32)
    shown[: len(indices), 0], shown[: len(indices), 1] = indices, labels
    return Outputs(shown[:, :1], shown[:, 1:])


SOURCE = ArraySource(embedding_array=np.eye(10, dtype=np.float32), label_array=LABELS, network=network)


def entry_of(
    function: Callable[..., Any] = lambda pool, budget, rng: np.arange(budget),
    supervision: Supervision = "coreset",
    needs: tuple[str, ...] = ("outputs",),
) -> Entry[MethodInfo]:
    wanted = tuple(map(need, needs))
    return Entry("method", "mine", function, MethodInfo(supervision, lambda params: wanted, ""), {})


def pool_of(source: ArraySource = SOURCE, rate: float = 0.5, **declaration: Any) -> Pool:
    return method_pool(entry_of(**declaration), {}, source, size=10, num_classes=2, rate=rate)


def test_labels_come_one_by_one_and_no_further_than_the_budget() -> None:
    pool = pool_of()
    assert pool.reveal([7, 2]).tolist() == [77, 22]
    assert pool.reveal(np.array([2, 7, 2], dtype=np.int32)).tolist() == [22, 77, 22]  # free: asked for before
    assert pool.reveal([]).tolist() == []
    assert pool.reveal([0, 1, 9]).dtype == np.int64
    assert pool.revealed.tolist() == [0, 1, 2, 7, 9]
    with pytest.raises(LabelAccessError, match="labels of 6 images; its budget is 5"):
        pool.reveal([9, 3])
    assert pool.revealed.tolist() == [0, 1, 2, 7, 9], "a refused request reveals nothing"


@pytest.mark.parametrize(("rate", "budget"), [(0.9, 1), (0.25, 8), (0.0, 10)])
def test_the_limit_is_the_budget_of_the_rate(rate: float, budget: int) -> None:
    pool = pool_of(rate=rate)
    assert len(pool.reveal(np.arange(budget))) == budget
    if budget < 10:
        with pytest.raises(LabelAccessError, match=f"its budget is {budget}"):
            pool.reveal([budget])


def test_no_other_way_leads_to_a_label() -> None:
    pool = pool_of(needs=("outputs", "dynamics", "gradient_norms"))
    pool.reveal([3])
    for read in (lambda: pool.labels, lambda: pool.dynamics("labels"), pool.gradient_norms):
        with pytest.raises(LabelAccessError, match="supervision='coreset' may not read"):
            read()


def test_the_network_is_given_the_revealed_labels_alone() -> None:
    pool = pool_of()
    assert not pool.outputs().probabilities.any()
    pool.reveal([8])
    pool.reveal([4])
    found = pool.outputs()
    assert found.probabilities[:3, 0].tolist() == [4, 8, 0]
    assert found.features[:3, 0].tolist() == [44, 88, 0]
    for part in found:
        with pytest.raises(ValueError, match="read-only"):
            part[0] = 1


@pytest.mark.parametrize("supervision", ["none", "pseudo"])
def test_label_free_methods_get_none(supervision: Supervision) -> None:
    pool = pool_of(supervision=supervision)
    with pytest.raises(LabelAccessError, match=r"may not read pool.reveal\(\); it needs supervision='coreset'"):
        pool.reveal([0])
    with pytest.raises(LabelAccessError, match=r"may not read pool.outputs\(\)"):
        pool.outputs()


def test_a_method_that_reads_all_labels_has_no_limit() -> None:
    pool = pool_of(supervision="labels")
    assert pool.reveal(np.arange(10)).tolist() == LABELS.tolist()


def test_outputs_are_declared() -> None:
    with pytest.raises(UndeclaredNeed, match="'outputs'"):
        pool_of(needs=()).outputs()


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([0.5], "got float64"),
        (np.ones(10, dtype=bool), "got bool"),
        ([[1]], "shape"),
        ([-1], "0 to 9"),
        ([10], "0 to 9"),
    ],
)
def test_what_is_no_index_is_refused(indices: Any, message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        pool_of().reveal(indices)


@pytest.mark.parametrize("part", [0, 1])
def test_outputs_that_are_not_finite_are_refused(part: int) -> None:
    def broken(*given: Any) -> Outputs:
        parts = [np.ones((10, 2), dtype=np.float32), np.ones((10, 3), dtype=np.float32)]
        parts[part][4] = np.nan
        return Outputs(*parts)

    name = Outputs._fields[part]
    with pytest.raises(SelectionError, match=f"the network's {name} of 1 images are not finite"):
        pool_of(ArraySource(embedding_array=np.eye(10, dtype=np.float32), label_array=LABELS, network=broken)).outputs()


def run(function: Callable[..., Any], supervision: Supervision = "coreset") -> np.ndarray:
    entry = entry_of(function, supervision)
    return run_method(entry, method_pool(entry, {}, SOURCE, size=10, num_classes=2, rate=0.5), {}, 5, 0).indices


def test_a_coreset_without_a_revealed_image_is_refused() -> None:
    def discarding(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        pool.reveal(np.arange(budget))
        return np.arange(budget) + 2

    with pytest.raises(SelectionError, match=r"read the labels of 2 images that it does not keep \(image 0 first\)"):
        run(discarding)
    assert run(discarding, "labels").tolist() == [2, 3, 4, 5, 6]


def test_the_revealed_ones_are_kept_in_the_end() -> None:
    def keeping(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        pool.reveal([6, 1])
        return np.array([6, 1, 9, 0, 4])

    assert run(keeping).tolist() == [0, 1, 4, 6, 9]


PARTS: dict[str, tuple[Supervision, Callable[[Pool], Any]]] = {
    "images": ("none", lambda pool: pool.images),
    "embeddings": ("none", lambda pool: pool.embeddings),
    "neighbors": ("none", lambda pool: pool.neighbors(3)),
    "pseudo_labels": ("pseudo", lambda pool: pool.pseudo_labels()),
    "dynamics of pseudo-labels": ("pseudo", lambda pool: pool.dynamics("pseudo")),
    "rehearse": ("pseudo", lambda pool: pool.rehearse(np.arange(12))),
    "judge": ("pseudo", lambda pool: pool.judge([np.arange(12)])),
    "coreset": ("pseudo", lambda pool: pool.coreset("elfs(beta=0.2)")),
    "reveal": ("coreset", lambda pool: pool.reveal([0, 1])),
    "outputs": ("coreset", lambda pool: pool.outputs()),
    "dynamics of labels": ("labels", lambda pool: pool.dynamics("labels")),
    "dynamics by default": ("labels", lambda pool: pool.dynamics()),
    "gradient_norms": ("labels", lambda pool: pool.gradient_norms()),
    "labels": ("labels", lambda pool: pool.labels),
}
"""Part -> the least supervision that docs/add-a-method.md allows it, and how a method asks for it."""


def pool_under(supervision: Supervision, undeclared: str | None = None) -> Pool:
    sample = few_digits()
    return Pool(
        size=sample.size,
        num_classes=sample.num_classes,
        rate=0.5,
        supervision=supervision,
        needs=set(parts.PARTS) - {undeclared},
        source=sample.source,
        budget=sample.size // 2,
    )


@pytest.mark.parametrize("supervision", SUPERVISIONS)
@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_given_from_its_least_supervision_on(part: str, supervision: Supervision) -> None:
    least, ask = PARTS[part]
    if SUPERVISIONS.index(supervision) >= SUPERVISIONS.index(least):
        assert ask(pool_under(supervision)) is not None
        return
    with pytest.raises(
        LabelAccessError, match=f"supervision='{supervision}' may not read .* needs supervision='{least}'"
    ):
        ask(pool_under(supervision))


@pytest.mark.parametrize("part", [part for part in PARTS if part not in ("labels", "reveal")])
def test_a_part_that_is_not_declared_is_refused_whatever_the_supervision(part: str) -> None:
    """Labels need no declaration: the supervision is theirs."""
    need = {"rehearse": "rehearsal"}.get(part, part.partition(" ")[0])
    with pytest.raises(UndeclaredNeed, match="does not declare it"):
        PARTS[part][1](pool_under("labels", undeclared=need))


def test_every_public_part_of_the_pool_is_asked_for() -> None:
    public = {name for name in vars(Pool) if not name.startswith("_")}
    told = {"revealed", "report", "diagnostics"}
    assert public - told == {part.partition(" ")[0] for part in PARTS}
