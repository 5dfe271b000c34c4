"""``auto`` takes the candidate that the judge says is best, and its coreset's identity holds the candidates' code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from bench.array_source import ArraySource
from bench.conformance.samples import digits
from bench.diagnostics import Diagnostics
from bench.errors import LabelAccessError, SpecError
from bench.grammar import Call, parse_call, split_list
from bench.grid.cells import check_names
from bench.grid.spec import load_spec
from bench.labelling.choose import check_request
from bench.methods.auto import CANDIDATES
from bench.plugins import methods
from bench.selection import method_pool, run_method
from bench.stages.base import in_order
from bench.stages.selection import Selection
from tests.grid_fixtures import expanded

NAMES = "typiclust,kcenter,random"


@cache
def blind() -> ArraySource:
    """300 digits without labels; made when first used, since it trains a proxy."""
    return replace(digits().source, label_array=None, dynamics_labels=None, gradient_norm_array=None)


def run(method: str, source: ArraySource | None = None, **params: Any) -> tuple[np.ndarray, Diagnostics]:
    """30 of the 300 digits, from a source without labels."""
    entry = methods.get(method)
    pool = method_pool(entry, params, source or blind(), size=300, num_classes=10, rate=0.9, seed=3)
    return run_method(entry, pool, params, 30, 3).indices, pool.diagnostics


def like(wanted: np.ndarray) -> Callable[[np.ndarray], float]:
    """A judge that likes one coreset."""
    return lambda indices: len(np.intersect1d(indices, wanted)) / len(wanted)


@pytest.mark.parametrize("best", NAMES.split(","))
def test_it_is_the_candidate_that_the_judge_likes_best(best: str) -> None:
    alone, _ = run(best)
    kept, said = run("auto", replace(blind(), judging=like(alone)), candidates=NAMES)
    np.testing.assert_array_equal(kept, alone)
    assert said.taken == best
    assert said.judged[best] == 1.0
    assert list(said.judged) == [*NAMES.split(","), *(f"random {number}" for number in range(1, 6))]


def test_where_none_is_better_than_chance_a_random_coreset_is_taken() -> None:
    source = replace(blind(), judging=lambda indices: 0.5)
    kept, said = run("auto", source, candidates=NAMES)
    assert (said.taken, len(kept)) == ("random 1", 30)
    first, said = run("auto", source, candidates=NAMES, guard=False)
    assert said.taken == "typiclust"
    np.testing.assert_array_equal(first, run("typiclust")[0])


def test_one_list_of_candidates_has_one_key() -> None:
    entry = methods.get("auto")
    spaced = entry.changed({"candidates": "typiclust, elfs( guard=false, clustering=kmeans )"})
    assert spaced == entry.changed({"candidates": "typiclust,elfs(clustering=kmeans,guard=false)"})
    assert spaced != entry.changed({"candidates": "elfs(clustering=kmeans,guard=false),typiclust"}), (
        "of equals the first"
    )
    assert entry.changed({"candidates": CANDIDATES.replace(",", ", ")}) == {}


def test_elfs_within_auto_has_no_guard_of_its_own() -> None:
    """Its random coreset would be judged, and named, as ELFS."""
    [elfs] = [parse_call(call) for call in split_list(CANDIDATES) if call.startswith("elfs")]
    assert elfs.params["guard"] is False


@pytest.mark.parametrize(
    ("candidates", "error", "says"),
    [
        ("typiclust,aum", SpecError, "method auto: method 'auto': the candidate aum reads labels"),
        ("badge", SpecError, "the candidate badge reads labels"),
        ("full", SpecError, "the candidate full keeps the whole pool"),
        ("typiclust,typoclust", SpecError, "method auto: unknown method 'typoclust'"),
        ("typiclust(q=3)", SpecError, "method auto: unknown parameter of method 'typiclust'"),
        ("elfs(beta=0.95)", SpecError, "beta"),
        ("auto(candidates=aum)", SpecError, "the candidate aum reads labels"),
        ("typiclust,", SpecError, "empty element"),
        ("", SpecError, "candidates names none"),
    ],
)
def test_candidates_that_cannot_be_are_refused_before_anything_runs(
    candidates: str, error: type[Exception], says: str
) -> None:
    call = Call("auto", {"candidates": candidates})
    spec = load_spec(given={"datasets": "digits", "rates": "0.9"}).model_copy(update={"methods": (call,)})
    with pytest.raises(error, match=says.replace("(", r"\(")):
        check_names(spec)
    with pytest.raises(error):
        check_request(call, budget=30, items=300, classes=10)


def test_a_candidate_that_reads_labels_is_kept_from_them_even_unchecked() -> None:
    with pytest.raises(LabelAccessError, match="needs supervision='labels'"):
        run("auto", digits().source, candidates="aum")


def test_identity_holds_the_code_of_the_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    def selection() -> Selection:
        [cell] = expanded(methods=[{"auto": {"candidates": "typiclust,kcenter"}}], datasets="digits", rates="0.9")
        return cell.selection()

    before = selection()
    code = before.all_code()
    inside = [stage.method for stage in in_order([before]) if isinstance(stage, Selection)]
    assert inside == ["typiclust", "kcenter", "auto"]
    entry = methods.get("kcenter")
    monkeypatch.setitem(methods._entries, "kcenter", replace(entry, code="f" * 16))
    after = selection()
    assert (after.code, after.method) == (before.code, "auto")
    assert after.key != before.key
    assert after.all_code() != code
