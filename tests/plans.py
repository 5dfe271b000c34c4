"""A plan on digits, by default of one cell, a session that would run it, and work whose times are known."""

from __future__ import annotations

from pathlib import Path

from bench.engine.forecast import TimedWork
from bench.engine.plan import Plan, make_plan
from bench.grid.spec import load_spec
from bench.stages.session import Session

CHAIN = (
    TimedWork("embed", "embeddings", 10.0),
    TimedWork("cluster", "pseudo-labels", 20.0, ("embed", "not a part")),
    TimedWork("random", "cell", 5.0),
    TimedWork("elfs", "cell", 5.0, ("cluster",)),
    TimedWork("elfs2", "cell", 5.0, ("cluster",)),
)


def planned(tmp_path: Path, **given: object) -> Plan:
    grid = {"methods": "random", "datasets": "digits", "rates": "0.9", **given}
    return make_plan(load_spec(given=grid), out=tmp_path / "out", tolerant=True)


def session_of(plan: Plan, tmp_path: Path) -> Session:
    return Session(out=tmp_path / "out", cache=tmp_path / "cache", weights=plan.weights)
