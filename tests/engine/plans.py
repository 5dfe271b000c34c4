"""Make a plan of a small grid on digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.engine.plan import Plan, make_plan
from bench.grid.spec import load_spec

WITH_BF16, WITHOUT = {"flags": "fpu avx512f avx512_bf16 amx_bf16"}, {"flags": "fpu avx512f avx512_bf16"}
"""What /proc/cpuinfo says of a processor that multiplies in bfloat16, and of one that does not."""


def plan(out: Path, *, data_root: Path | None = None, tolerant: bool = False, **given: Any) -> Plan:
    fields = {"methods": "random,elfs(heads=2)", "rates": "0.9", "pool_size": 200} | given
    return make_plan(load_spec(given=fields), out=out, data_root=data_root, tolerant=tolerant)
