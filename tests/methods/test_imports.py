from __future__ import annotations

import ast
from pathlib import Path

import pytest

import bench
import bench.methods

FILES = sorted(Path(next(iter(bench.methods.__path__))).glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_method_imports_only_the_public_api_of_bench(path: Path) -> None:
    """So that an outside method can do whatever a built-in one does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not [alias.name for alias in node.names if alias.name.split(".")[0] == "bench"]
        if isinstance(node, ast.ImportFrom) and node.level == 0 and str(node.module).split(".")[0] == "bench":
            assert node.module == "bench"
            assert {alias.name for alias in node.names} <= set(vars(bench)["__all__"])
