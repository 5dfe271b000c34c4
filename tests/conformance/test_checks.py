"""Every check can fail: for each, methods that are broken in the way it looks for."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any, Literal, cast

import numpy as np
import pytest
import torch
from pydantic import Field

from bench import BenchError, Pool, SelectionError, Weighted, need, register_method
from bench.array_source import ArraySource
from bench.conformance import check_method, conformance_tests
from bench.conformance.case import Case, Recorder
from bench.conformance.checks import CHECKS
from bench.conformance.ranges import one_by_one
from bench.conformance.samples import few_digits
from bench.errors import SpecError, UnknownName
from bench.parts import DYNAMICS, TrainedOn
from bench.plugins import methods
from tests.narrowing import present

NAME = "on-trial"
LABELS = {"supervision": "labels", "needs": (need("dynamics", of="labels"),)}
EMBEDDINGS = {"supervision": "none", "needs": ("embeddings",)}


@contextmanager
def registered(function: Callable[..., Any], **declaration: Any) -> Iterator[None]:
    function.__doc__ = function.__doc__ or "Keep some images."
    register_method(NAME, **{"supervision": "none", **declaration})(function)
    try:
        yield
    finally:
        methods.remove(NAME)


def failures(function: Callable[..., Any], *checks: str, **declaration: Any) -> dict[str, str]:
    with registered(function, **declaration):
        return {item.check: item.reason for item in check_method(NAME, checks or None) if item.outcome == "failed"}


def first(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    return np.arange(budget)


def sound(
    pool: Pool,
    budget: int,
    rng: np.random.Generator,
    *,
    power: Annotated[float, Field(ge=0, le=2)] = 1.0,
    own: bool = False,
) -> np.ndarray:
    """Keep the images of lowest AUM, as a careful author would write it."""
    found = pool.dynamics("labels")
    scores = (found.confidence if own else found.aum) * power
    if not np.isfinite(scores).all():
        raise SelectionError("a score is NaN or infinite.")
    order = rng.permutation(len(pool))
    return order[np.argsort(scores[order], kind="stable")][:budget]


def test_a_sound_method_passes_every_check() -> None:
    with registered(sound, stochastic=True, **LABELS):
        found = check_method(NAME)
    assert [(item.check, item.reason) for item in found if item.outcome == "failed"] == []
    assert {item.check: item.reason for item in found if item.outcome == "skipped"} == {
        "labels": "declares that it reads labels",
        "coreset-labels": "does not declare supervision='coreset'",
        "nan-embeddings": "reads no embeddings",
    }
    assert [item.check for item in found] == [check.name for check in CHECKS]
    assert all(item.reason == "" for item in found if item.outcome == "passed")


def bad_docstring(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    """keep the first ones"""
    return np.arange(budget)


def bad_default(pool: Pool, budget: int, rng: np.random.Generator, *, k: Annotated[int, Field(ge=1)] = 0) -> np.ndarray:
    return np.arange(budget)


def truncated(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(len(pool))[: int((1 - pool.rate) * len(pool) - 1e-9)]


def rate_as_kept(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(len(pool))[: round(pool.rate * len(pool))]


def repeated(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, len(pool), budget)


def empty_at_the_end(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    order, start = rng.permutation(len(pool)), len(pool) - budget
    return order[start : start - len(pool) + budget] if start else order


def unseeded(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    return np.random.default_rng().permutation(len(pool))[:budget]


def unseeded_ties(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    shuffled = np.random.default_rng().permutation(len(pool))
    return shuffled[np.argsort(pool.dynamics("labels").aum[shuffled], kind="stable")][:budget]


def drawing(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(len(pool))[:budget]


def globally_drawn(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    np.random.seed(int(rng.integers(2**31)))  # noqa: NPY002
    return np.random.permutation(len(pool))[:budget]  # noqa: NPY002


def sorting_in_place(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    scores = pool.dynamics("labels").aum
    scores -= scores.min()
    return np.argsort(scores)[:budget]


def editing_behind_the_view(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    behind: Any = pool.dynamics("labels").aum.base
    behind[0] = 5
    return np.arange(budget)


def editing_through_torch(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    torch.from_numpy(pool.images).bitwise_not_()
    return np.arange(budget)


def peeking(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    return np.argsort(present(cast(ArraySource, pool._source).label_array), kind="stable")[-budget:]


def peeking_with_care(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    with suppress(BenchError):
        return np.argsort(pool._source.labels(), kind="stable")[-budget:]
    return np.arange(len(pool))[-budget:]


def peeking_at_the_proxy(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    with suppress(BenchError):
        return np.argsort(pool._source.read(DYNAMICS, TrainedOn(of="labels")).aum)[:budget]
    return np.arange(budget)


def peeking_beyond(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    kept = np.arange(budget)
    if budget > 1:
        pool.reveal(kept[:1])
        kept[-1] = budget - 1 + int(np.argmax(pool._source.labels()[budget - 1 :]))
    return kept


def asking_for_too_much(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    return np.argsort(pool.reveal(np.arange(len(pool))), kind="stable")[:budget]


def dropping_what_it_asked_for(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    pool.reveal(np.arange(budget))
    return np.arange(len(pool))[-budget:]


def undeclared(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    return np.argsort(pool.neighbors(5).distances[:, 0])[:budget]


def other_neighbors(
    pool: Pool, budget: int, rng: np.random.Generator, *, k: Annotated[int, Field(ge=1, le=200)] = 10
) -> np.ndarray:
    return np.argsort(pool.neighbors(k).distances[:, -1])[:budget]


def zero_end(pool: Pool, budget: int, rng: np.random.Generator, *, step: Annotated[int, Field(ge=0)] = 1) -> np.ndarray:
    return (np.arange(len(pool)) // step)[:budget]


def far_end(pool: Pool, budget: int, rng: np.random.Generator, *, group: Annotated[int, Field(ge=1)] = 1) -> np.ndarray:
    return np.arange(len(pool)).reshape(-1)[[group - 1]] if budget == 1 else np.arange(budget)


def bad_pair(
    pool: Pool, budget: int, rng: np.random.Generator, *, one: bool = False, other: bool = False
) -> np.ndarray:
    return np.arange(budget + (one and other))


def bad_check(params: dict[str, Any], rate: float) -> float:
    return params["other"] / (1 if not params["one"] else 0)


def many_assumed(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    np.argpartition(np.zeros(len(pool)), 10)
    return np.arange(budget)


def classes_assumed(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    share = len(pool) / (len(np.unique(pool.labels)) - 1)
    return np.arange(budget) + int(share * 0)


def distinct_only(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    return np.sort(np.unique(pool.embeddings, axis=0, return_index=True)[1])[:budget]


def spread_assumed(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    scores = pool.dynamics("labels").confidence
    return np.argsort((scores - scores.min()) / (scores.max() - scores.min()))[:budget]


def top_is_positive(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    """Strata end a little above the largest score, as in the released code of CCS."""
    scores = pool.dynamics("labels").aum
    return np.flatnonzero(scores <= scores.max() * 1.0001)[:budget]


def top_of_the_difficulty(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    scores = -pool.dynamics("labels").aum
    return np.flatnonzero(scores <= scores.max() * 1.0001)[:budget]


def swallows_nan(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    try:
        return np.argsort(np.linalg.norm(pool.embeddings, axis=1))[:budget]
    except SelectionError:
        return np.arange(budget)


def unclear_about_nan(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    try:
        return np.argsort(np.linalg.norm(pool.embeddings, axis=1))[:budget]
    except SelectionError:
        raise SelectionError("something is wrong.") from None


def swallows_nan_scores(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    try:
        return np.argsort(pool.dynamics("labels").variability)[:budget]
    except SelectionError:
        return np.arange(budget)


def draws_weights(pool: Pool, budget: int, rng: np.random.Generator) -> Weighted:
    return Weighted(np.arange(budget), rng.uniform(1, 2, budget))


def counts_for_nothing(pool: Pool, budget: int, rng: np.random.Generator) -> Weighted:
    return Weighted(np.arange(budget), np.arange(budget))


def by_position(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    kept = np.arange(budget)
    kept[-1] = rng.integers(budget - 1, len(pool))
    return kept


FLAGGED = [
    ("declaration", bad_docstring, {}, "one sentence"),
    ("declaration", bad_default, {}, "k=0 is not valid"),
    ("declaration", first, {"needs": lambda params: ["gradients"]}, "a method cannot need 'gradients'"),
    ("declaration", first, {"needs": lambda params: [need("neighbors", k=params["k"])]}, "KeyError: 'k'"),
    ("exact", truncated, {"stochastic": True}, "returned 0 indices; 1 unique"),
    ("exact", rate_as_kept, {"stochastic": True}, "returned 299 indices; 1 unique"),
    ("exact", repeated, {"stochastic": True}, "more than once"),
    ("exact", empty_at_the_end, {"stochastic": True}, "returned 0 indices"),
    ("exact", counts_for_nothing, {"weighted": True}, "gave the weight 0; one finite number above 0"),
    ("exact", draws_weights, {"stochastic": True}, "returned weights, which it does not declare; add weighted=True"),
    ("same-seed", unseeded, {"stochastic": True}, "kept different images; draw from rng"),
    ("same-seed", unseeded_ties, {"stochastic": True, **LABELS}, "kept different images; draw from rng"),
    ("seeds", drawing, {}, "declare stochastic=True"),
    ("seeds", first, {"stochastic": True}, "declare stochastic=False"),
    ("seeds", draws_weights, {"weighted": True}, "declare stochastic=True"),
    ("global-state", globally_drawn, {"stochastic": True}, "global random state of numpy changed"),
    ("inputs", sorting_in_place, LABELS, "read-only"),
    ("inputs", editing_behind_the_view, LABELS, "edited dynamics.aum in place"),
    ("inputs", editing_through_torch, {"needs": ("images",)}, "edited images in place"),
    ("labels", peeking, {}, "n = 100 of 300 images, seed 0: "),
    ("labels", peeking_with_care, {}, "changes if labels are permuted: labels reach"),
    ("labels", peeking_at_the_proxy, {}, "changes if labels cannot be read: labels reach"),
    ("labels", unseeded, {}, "with the same labels .* differ, so this check cannot tell; see same-seed"),
    ("coreset-labels", unseeded, {"supervision": "coreset"}, "with the same labels .* differ, so this check cannot"),
    ("coreset-labels", peeking_beyond, {"supervision": "coreset"}, "outside the coreset changed it"),
    ("exact", asking_for_too_much, {"supervision": "coreset"}, "asks for the labels of 300 images; its budget is 1"),
    ("exact", dropping_what_it_asked_for, {"supervision": "coreset"}, "labels of 1 image that it does not keep"),
    ("supervision", first, {"supervision": "coreset"}, "declare supervision='none'"),
    ("supervision", asking_for_too_much, {"supervision": "labels"}, "declare supervision='coreset'"),
    ("needs", undeclared, {}, "reads pool.neighbors but does not declare it"),
    ("needs", other_neighbors, {"needs": (need("neighbors", k=10),)}, r"k=200, .* but declares .*k=50"),
    ("supervision", first, {"supervision": "labels"}, "declare supervision='none'"),
    ("supervision", first, {"supervision": "pseudo"}, "declare supervision='none'"),
    ("parameters", zero_end, {}, "returned 0|more than once|ZeroDivisionError|divide"),
    ("parameters", far_end, {}, r"group=39: test_checks\.py:\d+: IndexError"),
    ("parameters", bad_pair, {}, "one=True, other=True: .*returned 13 indices"),
    ("parameters", bad_pair, {"check": bad_check}, r"check \(one=True\) at rate .*ZeroDivisionError"),
    ("tiny", many_assumed, {}, r"n = 1 of 1 images, seed 0: test_checks\.py:\d+: ValueError"),
    ("one-class", classes_assumed, {"supervision": "labels"}, "ZeroDivisionError"),
    ("duplicates", distinct_only, EMBEDDINGS, "returned 38 indices"),
    ("constant", spread_assumed, LABELS, "RuntimeWarning: (invalid value|divide by zero)"),
    ("negative", top_is_positive, LABELS, "returned 299 indices; 300 unique"),
    ("negative", top_of_the_difficulty, LABELS, "returned 299 indices; 300 unique"),
    ("nan-embeddings", swallows_nan, EMBEDDINGS, "one nan in embedding_array goes unnoticed"),
    ("nan-embeddings", unclear_about_nan, EMBEDDINGS, "without saying so: something is wrong"),
    ("nan-scores", swallows_nan_scores, LABELS, "one nan in dynamics_labels.variability goes unnoticed"),
    ("ties", by_position, {"stochastic": True}, "break ties by rng"),
]


@pytest.mark.parametrize(
    ("check", "function", "declaration", "reason"), FLAGGED, ids=[f"{row[0]}-{row[1].__name__}" for row in FLAGGED]
)
def test_broken_methods_are_flagged(
    check: str, function: Callable[..., Any], declaration: dict[str, Any], reason: str
) -> None:
    found = failures(function, check, **declaration)
    assert set(found) == {check}
    assert re.search(reason, found[check]), found[check]


def test_a_method_that_keeps_the_same_image_again_by_chance_is_not_said_to_read_labels() -> None:
    images = itertools.chain([0, 1, 0], itertools.repeat(2))

    def now_and_then(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        return np.array([next(images)]) if budget == 1 else np.arange(budget)

    found = failures(now_and_then, "coreset-labels", supervision="coreset")
    assert found["coreset-labels"].startswith("two runs with the same labels and seed differ")


def test_every_check_has_a_method_that_fails_it() -> None:
    assert {row[0] for row in FLAGGED} == {check.name for check in CHECKS}


def test_a_fault_is_reported_where_it_is_and_nowhere_else() -> None:
    assert set(failures(by_position, stochastic=True)) == {"ties"}
    assert set(failures(swallows_nan, **EMBEDDINGS)) == {"nan-embeddings"}
    assert set(failures(top_is_positive, **LABELS)) == {"negative"}


def test_declared_limits_are_respected() -> None:
    def fraction(
        pool: Pool, budget: int, rng: np.random.Generator, *, beta: Annotated[float, Field(ge=0, lt=1)] = 0.0
    ) -> np.ndarray:
        start = int(beta * len(pool))
        return np.arange(len(pool))[start : start + budget]

    def within_rate(params: dict[str, Any], rate: float) -> None:
        if params["beta"] > rate:
            raise SpecError("beta is above the rate.")

    assert "returned 1 indices; 19 unique" in failures(fraction, "parameters")["parameters"]
    assert failures(fraction, "parameters", check=within_rate) == {}


def test_a_refusal_is_no_failure_at_the_end_of_a_range_and_one_elsewhere() -> None:
    def refusing(
        pool: Pool, budget: int, rng: np.random.Generator, *, k: Annotated[int, Field(ge=1)] = 1
    ) -> np.ndarray:
        if k >= len(pool):
            raise SelectionError(f"k={k} is too many.")
        return np.arange(budget)

    assert failures(refusing, "parameters") == {}
    assert "refused: k=1 is too many" in failures(refusing, "tiny")["tiny"]


def test_needs_may_be_named_without_the_options_that_are_defaults() -> None:
    def reading(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        assert pool.neighbors(10, metric="cosine")
        return np.argsort(pool.dynamics("labels").el2n)[:budget]

    assert failures(reading, "needs", supervision="labels", needs=("dynamics", "neighbors")) == {}


def test_needs_that_depend_on_the_parameters_may_be_named_too() -> None:
    def reading(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        return np.argsort(pool.embeddings[:, 0])[:budget]

    assert failures(reading, "needs", needs=lambda params: ["embeddings"]) == {}


@pytest.mark.parametrize("check", [check.name for check in CHECKS])
def test_needs_that_fail_are_a_finding_of_the_check_that_asks_for_them(check: str) -> None:
    def first(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        return np.arange(budget)

    def failing(params: dict[str, Any]) -> None:
        raise KeyError("beta")

    found = failures(first, check, needs=failing)
    assert not found or "KeyError: 'beta'" in found[check]
    assert found or check not in ("needs", "budget")


def checks_as_tests(name: str) -> set[str]:
    tests: Any = conformance_tests(name)
    [parametrized] = tests.pytestmark
    assert {case.values[0] for case in parametrized.args[1]} == {name}
    return {case.values[1] for case in parametrized.args[1]}


@pytest.mark.parametrize(
    ("declaration", "left_out"),
    [
        ({}, {"coreset-labels", "supervision", "parameters", "nan-embeddings", "nan-scores", "ties"}),
        ({"stochastic": True, **LABELS}, {"labels", "coreset-labels", "parameters", "nan-embeddings"}),
        ({"supervision": "coreset", "needs": ("outputs",)}, {"labels", "parameters", "nan-scores", "ties"}),
        (EMBEDDINGS, {"coreset-labels", "supervision", "parameters", "nan-scores", "ties"}),
        ({"supervision": "pseudo", "needs": ("neighbors", "dynamics")}, {"coreset-labels", "parameters", "ties"}),
    ],
)
def test_a_test_is_made_of_every_check_that_applies(declaration: dict[str, Any], left_out: set[str]) -> None:
    def first(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        return np.arange(budget)

    with registered(first, **declaration):
        tests = checks_as_tests(NAME)
        found = check_method(NAME, tuple(left_out))
    assert tests == {check.name for check in CHECKS} - left_out
    assert {item.outcome for item in found} == {"skipped"}
    assert all(item.reason for item in found)


def test_needs_that_a_choice_brings_or_that_raise_leave_no_check_out() -> None:
    def reading(
        pool: Pool, budget: int, rng: np.random.Generator, *, of: Literal["nothing", "embeddings"] = "nothing"
    ) -> np.ndarray:
        return np.argsort(pool.embeddings[:, 0])[:budget] if of == "embeddings" else np.arange(budget)

    with registered(reading, needs=lambda params: ["embeddings"] if params["of"] == "embeddings" else []):
        assert "nan-embeddings" in checks_as_tests(NAME)
    with registered(reading, needs=lambda params: [params["missing"]]):
        assert {"nan-embeddings", "nan-scores", "parameters"} < checks_as_tests(NAME)


@pytest.mark.parametrize("name", [entry.name for entry in methods])
def test_what_is_left_out_of_a_method_of_ours_is_what_it_does_not_read(name: str) -> None:
    case, sample = Case(methods.get(name)), few_digits()
    read = set()
    for params in one_by_one(case.entry, sample.size):
        recorder = Recorder(sample.source)
        case.attempt(sample, case.budget(sample.size), params, recorder=recorder, numeric_warnings=False)
        read |= {call.part for call in recorder.calls}
    tests = checks_as_tests(name)
    assert "nan-embeddings" in tests or not read & {"embeddings", "neighbors", "outputs"}
    assert "nan-scores" in tests or not read & {"dynamics", "gradient_norms"}


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean random"):
        check_method("randm")
    with pytest.raises(UnknownName, match="Did you mean ties"):
        check_method("random", ("tie",))
