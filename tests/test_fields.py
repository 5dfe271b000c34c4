"""The fields of a run are the same in a grid and in Python, with the same texts."""

from __future__ import annotations

import inspect

import bench
from bench.fields import FolderFields, GridFields, MachineFields, field_texts
from bench.grid.spec import GridSpec


def test_the_grid_and_python_have_these_fields_and_no_others() -> None:
    grid = {name for name, _ in field_texts(GridFields)}
    assert grid - {"preset", "config"} == set(GridSpec.model_fields)
    texts = dict(field_texts(GridFields, FolderFields, MachineFields))
    assert set(bench.RunFields.__annotations__) == set(texts)
    # Written there too, since the documentation site and editors read it without running anything.
    _, _, listed = inspect.cleandoc(bench.RunFields.__doc__ or "").partition("Attributes:\n")
    assert listed.splitlines() == [f"    {name}: {text.doc}" for name, text in texts.items()]
