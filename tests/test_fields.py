"""The fields of a run are the same in a grid and in Python."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields

import bench
from bench.fields import FolderFields, GridFields, MachineFields
from bench.grid.spec import GridSpec


def test_the_grid_and_python_have_these_fields_and_no_others() -> None:
    grid = {field.name for field in fields(GridFields)}
    assert grid - {"preset", "config"} == set(GridSpec.model_fields)
    names = [field.name for group in (GridFields, FolderFields, MachineFields) for field in fields(group)]
    assert set(bench.RunFields.__annotations__) == set(names)
    documented = inspect.cleandoc(bench.RunFields.__doc__ or "").partition("Attributes:\n")[2]
    assert re.findall(r"^    (\w+): \S", documented, re.MULTILINE) == names
