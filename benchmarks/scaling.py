"""The time of each selection as the pool grows from 1,000 to 100,000 images, and of the exact neighbour search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np

from bench import Neighbors
from bench.array_source import ArraySource
from bench.knn import nearest_neighbors
from bench.parts import Chosen, NearestNeighbors, Part, Value
from bench.plugins import methods
from bench.pool import NOTHING, Asked
from bench.selection import budget_for, method_pool, run_method
from benchmarks import _data
from benchmarks._common import Meter, Result, Times, slope

TINY = {"sizes": (100, 200, 400), "limit": 0.5}
RATE, K = 0.9, 10
PARAMS = {"elfs": {"beta": 0.3}}
"""``auto`` trains networks, which is not what is measured here."""
TRAINING = {"outputs", "rehearsal", "judge"}
"""Needs of methods that train networks while they select; they are left out."""


@dataclass(frozen=True)
class Given(ArraySource):
    """A pool whose neighbour lists are there already."""

    lists: Neighbors | None = None

    def read(self, part: Part[Chosen, Value], options: Chosen, asked: Asked = NOTHING) -> Value:
        if self.lists is None or not isinstance(options, NearestNeighbors):
            return super().read(part, options, asked)
        return cast("Value", Neighbors(*(array[:, : options.k] for array in self.lists)))


def run(
    meter: Meter,
    *,
    sizes: tuple[int, ...] = (1_000, 10_000, 100_000),
    features: int = 64,
    limit: float = 120.0,
) -> list[Result]:
    """Every registered method at rate 0.9, given what it needs; it stops where the next size would pass ``limit`` s."""
    pools = {size: make_pool(size, features) for size in sizes}
    costs: dict[str, Callable[[Given], object]] = {
        f"exact search of {K} neighbours in {features} features": lambda pool: nearest_neighbors(
            pool.embeddings(), K, threads=meter.threads
        )
    }
    for entry in methods:
        needs = {item.part for item in entry.info.needs(entry.resolve(PARAMS.get(entry.name, {})))}
        if not entry.info.unpruned and not needs & TRAINING:
            costs[f"`{entry.name}`"] = partial(select, entry.name)
    return [growth(meter, what, cost, pools, limit) for what, cost in costs.items()]


def make_pool(size: int, features: int) -> Given:
    """All that a method may ask for, of N images."""
    dynamics, labels = _data.dynamics(size), np.random.default_rng(0).integers(_data.CLUSTERS, size=size)
    return Given(
        embedding_array=_data.embeddings(size, features),
        label_array=labels,
        pseudo_label_array=labels,
        dynamics_labels=dynamics,
        dynamics_pseudo=dynamics,
        gradient_norm_array=dynamics.el2n,
        lists=_data.spatial_neighbors(size, K),
    )


def select(name: str, pool: Given) -> None:
    """One coreset by one method."""
    entry, params, size = methods.get(name), PARAMS.get(name, {}), len(pool.labels())
    seen = method_pool(entry, params, pool, size=size, num_classes=_data.CLUSTERS, rate=RATE)
    run_method(entry, seen, params, budget_for(size, RATE), seed=0)


def growth(meter: Meter, what: str, cost: Callable[[Given], object], pools: dict[int, Given], limit: float) -> Result:
    """Time at every size, until the next would pass ``limit`` seconds if it grew as between the last two."""
    measured: dict[int, Times] = {}
    for size in pools:
        reached, seconds = list(measured)[-2:], [times.best for times in measured.values()][-2:]
        # One size says nothing of the growth: a guess (N^2) once left out sizes that took a quarter of the limit.
        if len(reached) > 1 and seconds[-1] * (size / reached[-1]) ** slope(reached, seconds) > limit:
            break
        (measured[size],) = meter.compare(partial(cost, pools[size]), repeats=2, warm_up=not reached)
    sizes = list(measured)
    between = [f"{measured[size].best:.3g} s at {size:,}" for size in sizes[1:-1]]
    if len(sizes) > 1:
        between.append(f"as N^{slope(sizes, [times.best for times in measured.values()]):.2f}")
    if len(sizes) < len(pools):
        between.append(f"larger pools would pass {limit:g} s")
    return Result(
        f"{what}, N = {sizes[-1]:,}" + (f" ({'; '.join(between)})" if between else ""),
        measured[sizes[-1]].best,
        "s",
        measured[sizes[-1]].count,
        other=measured[sizes[0]].best,
        alternative=f"N = {sizes[0]:,}",
    )
