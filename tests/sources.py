"""The syntax of the product's sources, parsed once for all tests that look at it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = [path for folder in ("bench", "methods", "datasets") for path in sorted((ROOT / folder).rglob("*.py"))]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def functions_and_calls() -> list[tuple[str, Function | ast.Call]]:
    """Each function that is defined and each call, with the path below the root of the file that it is in."""
    return [
        (path.relative_to(ROOT).as_posix(), node)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, Function | ast.Call)
    ]
