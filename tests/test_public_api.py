"""What can be imported from ``bench``, and what that costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import bench

STUB = Path(bench.__file__).with_suffix(".pyi")


def test_every_name_of_the_stub_is_there_and_no_other() -> None:
    named = {
        alias.asname: node.module
        for node in ast.walk(ast.parse(STUB.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(vars(bench)["__all__"]) == sorted(map(str, named))
    for name in vars(bench)["__all__"]:
        assert getattr(bench, name) is not None
    with pytest.raises(AttributeError, match="hardset"):
        _ = bench.hardset  # type: ignore[attr-defined]


def test_every_package_is_installed() -> None:
    tomllib = pytest.importorskip("tomllib")  # from Python 3.11 on
    root = Path(bench.__file__).parents[1]
    listed = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = {".".join(path.parent.relative_to(root).parts) for path in (root / "bench").rglob("__init__.py")}
    assert sorted(listed) == sorted(there | {"bench.methods", "bench.datasets"})


@pytest.mark.integration
def test_only_a_frozen_encoder_needs_torch_and_nothing_needs_ray() -> None:
    code = (
        "import sys, bench; assert not {'numpy', 'pydantic'} & set(sys.modules); "
        "[getattr(bench, name) for name in bench.__all__ if name != 'FrozenEncoder']; "
        "sys.exit(bool({'torch', 'ray', 'pytest'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
