"""The cells of a grid, for tests that need neither data nor weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from bench.grid.cells import check_names, encoder_calls, expand, network_calls, network_ref
from bench.grid.spec import GridSpec, load_spec
from bench.identity import DatasetRef, EncoderRef, ModelRef
from bench.modifiers import check_modifiers
from bench.plugins import datasets, encoders
from bench.stages.base import Stage, in_order
from bench.stages.training import Cell

SIZES = {"digits": 1438, "cifar10": 50_000, "cifar100": 50_000, "stl10": 5_000, "svhn": 73_257, "imagenet": 1_281_167}


def references(spec: GridSpec) -> tuple[dict[str, DatasetRef], dict[str, EncoderRef], dict[str, ModelRef]]:
    """Stand-ins for data and weights that need not be on the machine: only names, sizes and digests count here."""
    data = {
        str(call): DatasetRef(
            name=call.name,
            params=datasets.get(call.name).changed(call.params),
            modifiers=check_modifiers(call.name, call.modifiers),
            pool_size=spec.pool_size,
            pool_seed=spec.pool_seed,
            fingerprint="f" * 64,
            num_classes=datasets.get(call.name).info.num_classes or 0,
            size=spec.pool_size or SIZES[call.name],
        )
        for call in spec.datasets
    }
    found = {
        str(call): EncoderRef(name=call.name, params=encoders.get(call.name).changed(call.params))
        for dataset in spec.datasets
        for call in encoder_calls(spec, dataset)
    }
    return data, found, {str(call): network_ref(call) for call in network_calls(spec)}


def expanded(preset: str | None = None, **given: Any) -> list[Cell]:
    """The cells of a grid: fields as the command line gives them, ``preset`` by name."""
    spec = load_spec(preset=preset, given=given)
    check_names(spec)
    return expand(spec, *references(spec))


@cache
def cells_of_preset(name: str) -> list[Cell]:
    """The cells of a preset, which several tests read."""
    return expanded(name)


def stages_of(cells: list[Cell]) -> list[Stage]:
    return in_order([stage for cell in cells for stage in cell.stages()])


def count(stages: list[Stage], kind: str) -> int:
    return sum(stage.kind == kind for stage in stages)


@pytest.fixture
def cells_of() -> Callable[..., list[Cell]]:
    """Expand a grid, see ``expanded``."""
    return expanded
