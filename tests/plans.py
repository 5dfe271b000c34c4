"""The plan of a grid on digits, by default of one cell, and a session that would run it."""

from __future__ import annotations

from pathlib import Path

from bench.engine.plan import Plan, make_plan
from bench.grid.spec import load_spec
from bench.stages.session import Session


def planned(tmp_path: Path, **given: object) -> Plan:
    grid = {"methods": "random", "datasets": "digits", "rates": "0.9", **given}
    return make_plan(load_spec(given=grid), out=tmp_path / "out", tolerant=True)


def session_of(plan: Plan, tmp_path: Path) -> Session:
    return Session(out=tmp_path / "out", cache=tmp_path / "cache", weights=plan.weights)
