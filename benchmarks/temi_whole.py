"""TEMI from start to end against the released code's schedule: processor time, and how good the clusters are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.clustering.assign import near_enough
from bench.clustering.temi import Effort, Precision, temi
from bench.knn import nearest_neighbors
from benchmarks._common import Meter, Result, Target, Times, timed
from benchmarks._released_temi import Released

TINY = {"heads": 1, "epochs": 2, "shorter": 1, "size": 100}


def run(
    meter: Meter,
    *,
    pool: str | None = None,
    size: int = 5_000,
    heads: int = 3,
    epochs: int = 200,
    shorter: int = 100,
    precision: Precision = "bf16",
    k: int = 50,
) -> list[Result]:
    """Train an epoch of ours, then one of the released code, to the end; one pair of runs for each seed.

    NMI is against true labels, which neither sees. Both start from ready neighbours. ``repeats`` is the number of
    seeds. Ours runs once more with ``shorter`` epochs: the released schedule gives it nothing to be compared with but
    its end.

    Args:
        meter: see ``Meter``.
        pool: an ``.npz`` with ``embeddings`` float32 [N, D] and ``labels`` int64 [N]; without one, the digits that
            scikit-learn ships, by their pixels.
        size: N, the first rows of it.
        heads: of both.
        epochs: of both.
        shorter: of our second run.
        precision: of ours; the released code is in fp32 on a CPU.
        k: neighbours of the released code.
    """
    rows, labels = _read(pool, size)
    clusters = len(np.unique(labels))
    near = nearest_neighbors(rows, k, metric="cosine", threads=meter.threads).indices
    seconds: dict[str, list[float]] = {"ours": [], "released": [], "shorter": []}
    right: dict[str, list[float]] = {"ours": [], "released": [], "shorter": []}
    for seed in range(meter.repeats or 3):
        other = Released(rows, near, heads=heads, clusters=clusters, seed=seed)
        spent = {"ours": 0.0, "released": 0.0, "shorter": 0.0}

        def after_epoch(done: int, total: int, name: str) -> None:
            nonlocal start
            now = meter.now()
            spent[name] += now - start  # noqa: B023  (called before the next seed)
            if name == "ours":
                other.epoch()  # noqa: B023
                spent["released"] += meter.now() - now  # noqa: B023
            start = meter.now()

        for name, count in (("ours", epochs), ("shorter", shorter)):
            start = meter.now()
            found = temi(
                rows,
                near[:, : near_enough(len(rows), clusters)],
                clusters,
                Effort(heads, count),
                seed=seed,
                device=meter.device,
                precision=precision,
                progress=lambda done, total, name=name: after_epoch(done, total, name),
            )
            right[name].append(_nmi(labels, found.labels))
        right["released"].append(_nmi(labels, other.labels()))
        for name, value in spent.items():
            seconds[name].append(value)
    what = f"{heads} heads on {len(rows):,} x {rows.shape[1]}, {clusters} clusters"
    results = []
    for name, count in (("ours", epochs), ("shorter", shorter)):
        ours = f"{count} epochs of ours in {precision}: {what}"
        alternative = f"{epochs} epochs of the released code"
        results += [
            timed(
                ours,
                Times(tuple(seconds[name])),
                Times(tuple(seconds["released"])),
                alternative=alternative,
                target=Target("other / ours", "at least", 3),
            ),
            Result(
                f"its mean NMI ({_listed(right[name])} against {_listed(right['released'])})",
                float(np.mean(right[name])),
                "",
                len(right[name]),
                other=float(np.mean(right["released"])),
                alternative=alternative,
                target=Target("ours / other", "at least", 1),
            ),
        ]
    return results


def _read(pool: str | None, size: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    if pool is None:
        from sklearn.datasets import load_digits

        pixels, target = load_digits(return_X_y=True)
        return pixels[:size].astype(np.float32), target[:size].astype(np.int64)
    with np.load(pool) as stored:
        return np.ascontiguousarray(stored["embeddings"][:size], dtype=np.float32), stored["labels"][:size]


def _nmi(labels: NDArray[np.int64], clusters: NDArray[np.int64]) -> float:
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(labels, clusters))


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)
