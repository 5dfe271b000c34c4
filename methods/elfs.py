"""ELFS (Zheng et al. 2025): double-end pruning by the training dynamics of a proxy on pseudo-labels."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import (
    Clustering,
    Dynamics,
    NeverLearned,
    Pool,
    Score,
    SelectionError,
    count_hardest,
    hard_to_easy,
    need,
    register_method,
)

from ._judging import take_best
from ._scores import beta_sample, check_dropping, next_hardest
from ._unread import refuse_unread
from .ccs import stratified

_log = logging.getLogger(__name__)

Sampling = Literal["window", "strata", "beta"]
Keep = Callable[[float], NDArray[np.int64]]
"""beta -> the coreset, in the method's order."""

Rehearsal = Literal["own-pseudo-labels", "ridge", "network"]


def beta_grid(size: int, budget: int) -> list[float]:
    """Return the values of 0, 0.1, ..., 0.9 that leave n images, floor(beta * N) + n <= N, in ascending order."""
    # Integers: floor(0.3 * N) in binary floating point may be one too low.
    return [tenths / 10 for tenths in range(10) if tenths * size // 10 + budget <= size]


def fine_beta_grid(size: int, budget: int) -> list[float]:
    """Return ``beta_grid`` with two more values at its steep end, rate - 0.05 and the rate, in ascending order."""
    removed = (size - budget) / size
    top = [round(beta, 4) for beta in (removed - 0.05, removed)]
    # People read four digits; rounded up, a value may leave fewer images than the budget.
    top = [beta if _dropped(beta, size) + budget <= size else round(beta - 1e-4, 4) for beta in top]
    finest = sorted({*beta_grid(size, budget), *(beta for beta in top if beta > 0)})
    return list({_dropped(beta, size): beta for beta in finest}.values())  # one value for each number of images


def _dropped(beta: float, size: int) -> int:
    """Return floor(beta * N) in decimal arithmetic, as ``count_hardest`` does: in binary 0.3243 * 100,000 < 32,430."""
    return int(Decimal(str(beta)) * size)


def choose_beta(candidates: Sequence[float], evaluate: Callable[[float], float]) -> float:
    """Return the candidate that ``evaluate`` scores highest; ties go to the smallest.

    A single candidate is returned without calling ``evaluate``, which may train a network.

    Args:
        candidates: values of beta, at least one.
        evaluate: beta -> its score, high = good.

    Raises:
        SelectionError: an evaluation is NaN.
    """
    if len(candidates) == 1:
        return candidates[0]
    # In ascending order, and ``max`` takes the first of equals: between equal betas, fewer images are dropped.
    scores = {beta: evaluate(beta) for beta in sorted(candidates)}
    # ``max`` over a NaN returns whatever comes first.
    if any(np.isnan(score) for score in scores.values()):
        raise SelectionError(f"cannot choose beta: an evaluation is NaN ({scores}).")
    _log.info("beta: %s", ", ".join(f"{beta:g} -> {score:.4f}" for beta, score in scores.items()))
    return max(scores, key=scores.__getitem__)


def _clustering(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that identify the pseudo-labels; only TEMI has heads and epochs."""
    temi = params["clustering"] == "temi"
    effort = {"heads": params["heads"], "epochs": params["cluster_epochs"]} if temi else {}
    return {"clustering": params["clustering"], "num_clusters": params["num_clusters"], **effort}


def _needs(params: Mapping[str, Any]) -> list[Any]:
    clustering = _clustering(params)
    needs = [need("embeddings"), need("dynamics", of="pseudo", **clustering)]
    if params["sampling"] == "strata" and params["per_cluster"]:
        needs.append(need("pseudo_labels", **clustering))
    if params["beta"] != "auto":
        return needs
    rehearses = params["rehearsal"] == "own-pseudo-labels"
    return [*needs, need("rehearsal", **clustering) if rehearses else need("judge", by=params["rehearsal"])]


def _check(params: Mapping[str, Any], rate: float) -> None:
    """Refuse a beta above the rate, and parameters that the other parameters make irrelevant.

    ``rehearsal`` and ``guard`` are allowed with a fixed beta: beta may be fixed at some rates only, and a row whose
    beta was chosen is checked with the chosen value.
    """
    check_dropping(params, rate)
    temi = {"heads": Clustering.heads, "cluster_epochs": Clustering.epochs}
    refuse_unread(params, "clustering=temi", params["clustering"] == "temi", temi)
    refuse_unread(params, "a judge as rehearsal", params["rehearsal"] != "own-pseudo-labels", {"guard": True})
    refuse_unread(params, "sampling=strata", params["sampling"] == "strata", {"per_cluster": False})


@register_method(
    "elfs",
    supervision="pseudo",
    needs=_needs,
    paper="Zheng et al. 2025, arXiv:2406.04273",
    stochastic=True,
    version=2,
    check=_check,
)
def elfs(
    pool: Pool,
    budget: int,
    rng: np.random.Generator,
    *,
    beta: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] = "auto",
    score: Score = "aum",
    clustering: Literal["temi", "kmeans"] = Clustering.clustering,
    num_clusters: Annotated[int, Field(ge=2)] | Literal["estimate"] | None = None,
    heads: Annotated[int, Field(ge=1)] = Clustering.heads,
    cluster_epochs: Annotated[int, Field(ge=1)] = Clustering.epochs,
    never_learned: NeverLearned = "hardest",
    rehearsal: Rehearsal = "ridge",
    guard: bool = True,
    sampling: Sampling = "window",
    per_cluster: bool = False,
) -> NDArray[np.int64]:
    """Drop the beta * N hardest images by pseudo-label dynamics and keep the next n; no true label is read.

    ELFS (Zheng et al. 2025). Steps:

    1. Cluster the embeddings; the clusters are the pseudo-labels.
    2. Train a proxy on the pseudo-labels and score every image by its training dynamics (high = hard).
    3. Drop the floor(beta * N) hardest images, which are mostly mislabelled, and keep the n hardest of the rest.

    The paper searched beta for every data set and rate by accuracy. Deviation: ``beta="auto"`` chooses it without true
    labels. A judge scores the coreset of every candidate beta by how well clusterings other than the score's can be
    learnt from it (``Pool.judge``), and the best is taken. The candidates are 0, 0.1, ..., 0.9 up to the rate, the
    rate minus 0.05 and the rate. ``guard`` keeps a random coreset if no candidate is clearly better than random ones.

    ``rehearsal="own-pseudo-labels"`` is the choice that version 1 of this method made: it trains the proxy's network
    on the pseudo-labels of each candidate's coreset and takes the beta that best predicts those of a fixed held-out
    tenth of the pool (``Pool.rehearse``). Its candidates are 0, 0.1, ..., 0.9 up to the rate.

    ``sampling="strata"`` and ``"beta"`` choose among the images after the cut as CCS and DUAL do; no paper did.

    Args:
        pool: needs dynamics on pseudo-labels; a judge or a rehearsal if beta is ``auto``; pseudo-labels for
            ``per_cluster``.
        budget: n, images to keep.
        rng: breaks ties between scores, and makes the draws, the same for all candidates.
        beta: fraction of the pool that is dropped as too hard, at most the rate; or ``auto``.
        score: which score of the dynamics measures difficulty.
        clustering: source of the pseudo-labels: ``temi``, or ``kmeans`` (Euclidean) on L2-normalised embeddings.
        num_clusters: number of pseudo-labels. None is the number of classes, which the paper takes as known;
            ``estimate`` estimates it from the embeddings, and the row names it.
        heads: heads of TEMI.
        cluster_epochs: training epochs of TEMI.
        never_learned: how ``score=forgetting`` counts images that the proxy never classified correctly: as the
            ``hardest`` (Toneva et al. 2019), or as ``zero`` forgetting events, the easiest (released code).
        rehearsal: how ``beta="auto"`` is chosen: by the judge ``ridge`` or ``network``, or by ``own-pseudo-labels``.
            The default was chosen by a study that was planned before its runs (results/judge).
        guard: whether a judge keeps a random coreset unless the best candidate exceeds the mean judgement of five
            random coresets by more than their standard deviation. The row has the choice and all judgements.
        sampling: which n images of those after the cut: the hardest (``window``, ELFS), an equal share of each of 50
            ``strata`` of the score (CCS), or draws by the DUAL score and a ``beta`` density of the mean confidence,
            whatever ``score`` is (DUAL with c = 4).
        per_cluster: for ``sampling="strata"``, whether to cut and sample inside each cluster, with a budget
            proportional to its size, as class-proportional CCS (Tsai et al. 2025) does inside classes.

    Returns:
        int64 [n], unique; hardest first, or in the order of the draws.

    Raises:
        SelectionError: a score is not finite, beta is above the rate, or a judgement or rehearsal is NaN.
    """
    options = _clustering(
        {"clustering": clustering, "num_clusters": num_clusters, "heads": heads, "cluster_epochs": cluster_epochs}
    )
    dynamics = pool.dynamics(of="pseudo", **options)
    difficulty = dynamics.difficulty(score, never_learned=never_learned)
    order = hard_to_easy(difficulty, rng)
    pool.report(scores=difficulty)

    def window(beta: float) -> NDArray[np.int64]:
        return next_hardest(order, budget, beta)

    keep: Keep = window
    if sampling == "strata":
        clusters = pool.pseudo_labels(**options) if per_cluster else None
        keep = _by_strata(difficulty, clusters, budget, rng)
    elif sampling == "beta":
        keep = _by_dual(order, dynamics, budget, rng)
    if beta == "auto" and rehearsal != "own-pseudo-labels":
        betas = {f"beta={value:g}": value for value in fine_beta_grid(len(pool), budget)}
        coresets = {name: keep(value) for name, value in betas.items()}
        # If the guard takes a random coreset, there is no beta to report.
        taken, coreset = take_best(pool, coresets, budget, rng, by=rehearsal, guard=guard)
        if taken in betas:
            pool.report(beta=betas[taken])
        return coreset
    if beta == "auto":
        # Sorted: a network must train the same on the same images, whatever order ``sampling`` returns.
        beta = choose_beta(
            beta_grid(len(pool), budget), lambda candidate: pool.rehearse(np.sort(keep(candidate)), **options)
        )
        pool.report(beta=beta)
    return keep(beta)


def _by_strata(
    difficulty: NDArray[np.float64], clusters: NDArray[np.int64] | None, budget: int, rng: np.random.Generator
) -> Keep:
    """Return beta -> the coreset of CCS; all betas share their random numbers, so that chance decides nothing."""
    seed = int(rng.integers(2**63))
    return lambda beta: stratified(difficulty, budget, np.random.default_rng(seed), beta=beta, classes=clusters)


def _by_dual(order: NDArray[np.int64], dynamics: Dynamics, budget: int, rng: np.random.Generator) -> Keep:
    """Return beta -> DUAL's Beta sample of the images after the cut; all betas share their random numbers."""
    seed = int(rng.integers(2**63))
    rate = 1 - budget / len(order)

    def keep(beta: float) -> NDArray[np.int64]:
        left = order[count_hardest(beta, len(order), budget) :]
        draws = np.random.default_rng(seed)
        scores, confidence = dynamics.dual[left], dynamics.early_confidence[left]
        return left[beta_sample(scores, confidence, budget, draws, rate=rate, exponent=4.0)]

    return keep
