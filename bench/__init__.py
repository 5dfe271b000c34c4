"""Compare coreset selection methods. What a plugin needs is importable from here; none of it imports torch or Ray."""

from bench.clustering.kmeans import fit_kmeans
from bench.data import Dataset, Images, Split, make_dataset
from bench.dynamics import Dynamics, Score
from bench.errors import BenchError, DataError, SelectionError, SpecError, WeightsError
from bench.plugins import need, register_dataset, register_encoder, register_method, register_model
from bench.pool import Neighbors, Pool
from bench.recipe import Recipe

__version__ = "0.1.0"

__all__ = [
    "BenchError",
    "DataError",
    "Dataset",
    "Dynamics",
    "Images",
    "Neighbors",
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
