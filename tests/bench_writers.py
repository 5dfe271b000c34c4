"""An outside plugin whose methods write into what the pool handed them, in each way that numpy does not stop, or change
what others of their process use."""

from __future__ import annotations

import ctypes
import decimal
import os
from typing import Any, Literal

import numpy as np

from bench import Pool, need, register_method

Part = Literal[
    "images", "embeddings", "neighbors", "pseudo_labels", "dynamics", "gradient_norms", "outputs", "labels", "reveal"
]
Trick = Literal["torch", "setflags", "base", "ctypes", "interface", "memoryview"]
CLUSTERING = {"clustering": "kmeans"}


class Holder:
    """The memory of an array, said to be writable."""

    def __init__(self, array: np.ndarray) -> None:
        self.__array_interface__ = {**array.__array_interface__, "data": (array.ctypes.data, False)}


def write(array: np.ndarray, trick: Trick) -> None:
    """Add one to every byte of the array, through ``trick``."""
    if trick == "torch":
        import torch

        torch.from_numpy(array).view(torch.uint8).add_(1)
        return
    if trick == "ctypes":
        changed = array.copy().view(np.uint8) + np.uint8(1)
        ctypes.memmove(array.ctypes.data, changed.ctypes.data, array.nbytes)
        return
    if trick == "base":
        while array.base is not None and isinstance(array.base, np.ndarray):
            array = array.base
    if trick == "interface":
        array = np.asarray(Holder(array))
    if trick == "memoryview":
        pointer = ctypes.cast(array.ctypes.data, ctypes.POINTER(ctypes.c_uint8))
        array = np.asarray(np.ctypeslib.as_array(pointer, (array.nbytes,)).data)
    if not array.flags.writeable:
        array.setflags(write=True)
    array.view(np.uint8)[...] += 1


def handed_out(pool: Any, part: Part) -> list[np.ndarray]:
    """The arrays of one part of the pool."""
    if part == "neighbors":
        return list(pool.neighbors(50))
    if part == "pseudo_labels":
        return [pool.pseudo_labels(**CLUSTERING)]
    if part == "dynamics":
        return [values for values in pool.dynamics("labels").arrays().values() if values.ndim]
    if part == "gradient_norms":
        return [pool.gradient_norms(networks=1, epochs=0)]
    if part in ("outputs", "reveal"):
        labels = pool.reveal(np.arange(3))
        return [labels] if part == "reveal" else list(pool.outputs())
    return [getattr(pool, part)]


def _needs(params: Any) -> list[Any]:
    options: dict[str, Any] = {
        "pseudo_labels": CLUSTERING,
        "dynamics": {"of": "labels"},
        "gradient_norms": {"networks": 1, "epochs": 0},
    }
    return [] if params["part"] in ("labels", "reveal") else [need(params["part"], **options.get(params["part"], {}))]


@register_method("writes", supervision="labels", needs=_needs)
def writes(
    pool: Pool, budget: int, rng: np.random.Generator, *, part: Part = "images", trick: Trick = "torch"
) -> np.ndarray:
    """Write into every array of a part, and keep the first images."""
    for array in handed_out(pool, part):
        before = array.tobytes()
        write(array, trick)
        assert array.tobytes() != before, "the trick does not work, so it shows nothing"
    return np.arange(budget)


@register_method("meddles", supervision="none")
def meddles(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    """Change settings and functions of this process that training, clustering and other methods rest on."""
    import torch

    torch.set_float32_matmul_precision("medium")
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    np.seterr(all="raise")
    decimal.getcontext().prec = 1
    permutation, argsort = torch.randperm, np.argsort
    torch.randperm = lambda *given, **more: permutation(*given, **more).roll(1)
    np.argsort = lambda *given, **more: np.roll(argsort(*given, **more), 1)
    os.chdir("/")
    return np.arange(budget)
