"""Compare coreset selection methods. What a plugin needs is importable from here; none of it imports torch or Ray."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.clustering.kmeans import fit_kmeans
    from bench.data import Dataset, Images, Split, make_dataset
    from bench.dynamics import Dynamics, Score
    from bench.errors import BenchError, DataError, SelectionError, SpecError, WeightsError
    from bench.plugins import need, register_dataset, register_encoder, register_method, register_model
    from bench.pool import Neighbors, Outputs, Pool
    from bench.recipe import Recipe

__version__ = "0.1.0"

_HOME = {
    "clustering.kmeans": ("fit_kmeans",),
    "data": ("Dataset", "Images", "Split", "make_dataset"),
    "dynamics": ("Dynamics", "Score"),
    "errors": ("BenchError", "DataError", "SelectionError", "SpecError", "WeightsError"),
    "plugins": ("need", "register_dataset", "register_encoder", "register_method", "register_model"),
    "pool": ("Neighbors", "Outputs", "Pool"),
    "recipe": ("Recipe",),
}

__all__ = [
    "BenchError",
    "DataError",
    "Dataset",
    "Dynamics",
    "Images",
    "Neighbors",
    "Outputs",
    "Pool",
    "Recipe",
    "Score",
    "SelectionError",
    "SpecError",
    "Split",
    "WeightsError",
    "fit_kmeans",
    "make_dataset",
    "need",
    "register_dataset",
    "register_encoder",
    "register_method",
    "register_model",
]


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: `bench --help` needs neither numpy nor pydantic."""
    for module, names in _HOME.items():
        if name in names:
            value = getattr(importlib.import_module(f"bench.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
