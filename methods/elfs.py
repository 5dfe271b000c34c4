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
    """Return the candidates of ``beta="auto"``: those of 0, 0.1, ..., 0.9 with floor(beta * N) + n <= N, ascending."""
    # Whole numbers: floor(0.3 * N) in binary floating point may be one too low.
    return [tenths / 10 for tenths in range(10) if tenths * size // 10 + budget <= size]


def fine_beta_grid(size: int, budget: int) -> list[float]:
    """Return ``beta_grid`` and, where it is steepest, half a tenth below the rate, and the rate itself; ascending."""
    removed = (size - budget) / size
    top = [round(beta, 4) for beta in (removed - 0.05, removed)]
    # Four digits are read by people; rounded up, they may drop more images than there are beyond the budget.
    top = [beta if _dropped(beta, size) + budget <= size else round(beta - 1e-4, 4) for beta in top]
    finest = sorted({*beta_grid(size, budget), *(beta for beta in top if beta > 0)})
    return list({_dropped(beta, size): beta for beta in finest}.values())  # two that drop as many images are one


def _dropped(beta: float, size: int) -> int:
    """Return floor(beta * N) as ``count_hardest`` does, in decimals: in binary 0.3243 * 100,000 is below 32,430."""
    return int(Decimal(str(beta)) * size)


def choose_beta(candidates: Sequence[float], evaluate: Callable[[float], float]) -> float:
    """Return the candidate that ``evaluate`` scores highest; of equal ones the smallest.

    A single candidate is returned without a call of ``evaluate``, which may train a network.

    Args:
        candidates: values of beta, at least one.
        evaluate: beta -> how good it is, high = good.

    Raises:
        SelectionError: an evaluation is NaN.
    """
    if len(candidates) == 1:
        return candidates[0]
    # Ascending, and ``max`` takes the first of equals: where nothing tells betas apart, the least is dropped.
    scores = {beta: evaluate(beta) for beta in sorted(candidates)}
    # ``max`` over a NaN gives whatever stands first.
    if any(np.isnan(score) for score in scores.values()):
        raise SelectionError(f"cannot choose beta: an evaluation is NaN ({scores}).")
    _log.info("beta: %s", ", ".join(f"{beta:g} -> {score:.4f}" for beta, score in scores.items()))
    return max(scores, key=scores.__getitem__)


def _clustering(params: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords that name the pseudo-labels; heads and epochs belong to TEMI alone."""
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
    """Refuse a beta above the rate, and what nothing reads beside the other parameters.

    Not ``rehearsal`` and ``guard`` beside a fixed beta: beta may be fixed at some rates alone, and a row that chose it
    is checked with the value in its place.
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
    """Drop the beta * N hardest images by pseudo-label dynamics, keep the next n; no true label is read.

    ELFS (Zheng et al. 2025). The paper grid-searched beta per data set and rate by accuracy. ``beta="auto"`` uses no
    true label: the coreset of every candidate of ``fine_beta_grid`` is judged by how well clusterings that the score
    does not rest on can be learnt from it (``Pool.judge``), and the best is taken; ``guard`` takes a random coreset
    where none is above those. Version 1 rehearsed on its own pseudo-labels (``rehearsal="own-pseudo-labels"``): for
    each candidate of ``beta_grid`` the proxy's network is trained on the pseudo-labels of its coreset, and the
    candidate that best predicts those of a fixed held-out tenth of the pool is taken (``Pool.rehearse``).
    Other ``sampling`` than ELFS's takes the n images from those that are left after the cut as CCS or DUAL do, with
    pseudo-labels in place of labels; no paper's numbers are of these.

    Args:
        pool: needs dynamics on pseudo-labels, judge or rehearsal where beta is ``auto``, and pseudo-labels for
            ``per_cluster``.
        budget: n, images to keep.
        rng: breaks ties of the scores and draws, once for all candidates.
        beta: fraction of the pool that is dropped as too hard.
        score: which score of the pseudo-label dynamics says what is hard.
        clustering: what gives the pseudo-labels: TEMI, or k-means on L2-normalised embeddings, which is Euclidean
            and not spherical (``bench.clustering.kmeans``).
        num_clusters: number of pseudo-labels. None is the number of classes, which the paper takes as known;
            ``estimate`` takes it from the embeddings (``bench.clustering.count``), and the row names it.
        heads: TEMI's heads.
        cluster_epochs: TEMI's epochs.
        never_learned: under ``score=forgetting``, what images count as that the proxy never had right: the hardest
            (Toneva et al. 2019), or ``zero`` forgettings, the easiest (released code).
        rehearsal: what chooses beta; ours, see above. ``ridge`` and ``network`` name the judge. The default is
            what a study chose that was planned before its runs (results/judge).
        guard: with a judge, whether a random coreset is taken where the best candidate is not above the mean of five
            random ones by their standard deviation; the row names what was taken, and what all were judged.
        sampling: which n of those left: the hardest (``window``, ELFS), an equal share of each of 50 strata of the
            score (CCS, ``ccs.stratified``), or draws by DUAL score and a ``beta`` density of the mean confidence,
            whatever the score (DUAL with c = 4, ``_scores.beta_sample``).
        per_cluster: for ``sampling="strata"``, cut and sample inside each cluster, with budgets in proportion to the
            clusters' sizes, as class-proportional CCS (Tsai et al. 2025) does inside classes.

    Returns:
        int64 [n], unique; hardest first, or in the order of the draws.

    Raises:
        SelectionError: a score is not finite, beta is above the rate, or see ``choose_beta``.
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
        # The guard may take a random coreset, and then there is no beta to report.
        taken, coreset = take_best(pool, coresets, budget, rng, by=rehearsal, guard=guard)
        if taken in betas:
            pool.report(beta=betas[taken])
        return coreset
    if beta == "auto":
        # Sorted: a network is trained on a set, whatever order ``sampling`` gives it.
        beta = choose_beta(
            beta_grid(len(pool), budget), lambda candidate: pool.rehearse(np.sort(keep(candidate)), **options)
        )
        pool.report(beta=beta)
    return keep(beta)


def _by_strata(
    difficulty: NDArray[np.float64], clusters: NDArray[np.int64] | None, budget: int, rng: np.random.Generator
) -> Keep:
    """Give beta -> what CCS keeps; each draws the same random numbers, so that chance does not choose between them."""
    seed = int(rng.integers(2**63))
    return lambda beta: stratified(difficulty, budget, np.random.default_rng(seed), beta=beta, classes=clusters)


def _by_dual(order: NDArray[np.int64], dynamics: Dynamics, budget: int, rng: np.random.Generator) -> Keep:
    """Give beta -> what DUAL's Beta sampling keeps of the images after the cut; random numbers as in ``_by_strata``."""
    seed = int(rng.integers(2**63))
    rate = 1 - budget / len(order)

    def keep(beta: float) -> NDArray[np.int64]:
        left = order[count_hardest(beta, len(order), budget) :]
        draws = np.random.default_rng(seed)
        scores, confidence = dynamics.dual[left], dynamics.early_confidence[left]
        return left[beta_sample(scores, confidence, budget, draws, rate=rate, exponent=4.0)]

    return keep
