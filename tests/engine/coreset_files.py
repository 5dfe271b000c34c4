"""Files of positions as the coresets of a small grid, and commands on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from bench.cli import app
from bench.engine.plan import Plan, make_plan
from bench.grid.spec import load_spec

RECIPE = {"iterations": 40, "proxy_epochs": 2, "evaluations": 4}

GRID: dict[str, Any] = {"datasets": "digits", "rates": "0.5", "seeds": [3], "pool_size": 400, "recipe": RECIPE}


def plan_of_file(path: Path, *, device: str = "cpu", said: str = "", **grid: object) -> Plan:
    return make_plan(load_spec(given={**grid, "methods": f"indices(of='{path}'{said})"}), out=None, device=device)


def bench(*arguments: object) -> tuple[int, str, BaseException | None]:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return done.exit_code, done.output, done.exception


def told(*arguments: object) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)
