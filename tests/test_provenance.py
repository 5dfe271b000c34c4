"""On what a result was computed."""

from __future__ import annotations

import platform
from importlib.metadata import version

import bench
from bench.provenance import computes_bf16, device_name, processor, versions


def test_versions_are_those_that_are_installed() -> None:
    found = versions()
    assert found["python"] == platform.python_version()
    assert found["coreset-bench"] == bench.__version__
    assert found["torch"] == version("torch")
    assert "cuda" not in found


def test_a_processor_is_named_with_its_instructions() -> None:
    name = device_name("cpu")
    assert name.startswith("cpu (")
    assert processor().get("model name", platform.machine()) in name


def test_bf16_is_computed_by_those_that_multiply_in_it() -> None:
    assert computes_bf16({"flags": "fpu avx512f avx512_bf16 amx_tile"})
    assert not computes_bf16({"flags": "fpu avx512f"})
    assert not computes_bf16({"flags": "not_avx512_bf16x"})
    assert not computes_bf16({})
