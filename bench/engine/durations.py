"""The forecast of a plan: times measured before, or the number of units of work times the time of a unit."""

from __future__ import annotations

from collections import defaultdict

from bench.engine.forecast import Forecast, TimedWork
from bench.engine.measured import measured_before
from bench.engine.plan import Plan
from bench.engine.probe import timed_units
from bench.identity import DatasetRef, EncoderRef
from bench.plugins import datasets
from bench.stages.base import Stage, in_order
from bench.stages.embeddings import Embeddings
from bench.stages.memory import Shape
from bench.stages.session import Session
from bench.stages.training import Cell
from bench.stages.work import Unit, Work


def foresee(plan: Plan, session: Session, slots: int, start: float) -> Forecast:
    """Return the forecast of a plan's missing cells and the stages that they need.

    Args:
        plan: the plan.
        session: the session that will run it, with the times measured there before.
        slots: number of stages or cells that run at once.
        start: seconds before the first begins.
    """
    stages, cells = plan.stages(session.store), plan.missing
    measured = measured_before(stages, cells, session)
    work = {item.key: _work(item, plan) for item in (*stages, *cells)}
    counts: defaultdict[Unit, float] = defaultdict(float)
    for key, amounts in work.items():
        for amount in () if key in measured else amounts or ():
            counts[amount.unit] += amount.number
    # Work that was measured before has no counts, so that a grid that was run once needs no probe.
    timed = timed_units(counts, session, _widths(cells, session))

    def seconds(key: str) -> float | None:
        amounts = work[key]
        if key in measured or amounts is None:
            return measured.get(key)
        return sum(timed.get(unit, unit.rough()) * count for unit, count in amounts)

    parts = [
        TimedWork(item.key, item.kind, seconds(item.key), tuple(needed.key for needed in item.inputs()))
        for item in (*stages, *cells)
    ]
    return Forecast(tuple(parts), slots, start)


def _work(item: Stage, plan: Plan) -> list[Work] | None:
    """Return the item's work; None if the data set is missing, except for cells, whose declared image size is used."""
    shape = plan.shapes.get(item.pool.label)
    if shape is None and isinstance(item, Cell):
        shape = _declared(item.pool)
    return None if shape is None else item.work(shape)


def _declared(pool: DatasetRef) -> Shape | None:
    info = datasets.get(pool.name).info
    side = info.image_size
    return None if side is None else Shape(0, 0, (len(info.mean), side, side))


def _widths(cells: list[Cell], session: Session) -> dict[EncoderRef, int]:
    """Return the width of the embeddings of each encoder whose embeddings are stored."""
    widths: dict[EncoderRef, int] = {}
    for stage in in_order(cells):
        if isinstance(stage, Embeddings) and stage.split == "train" and stage.pool.size:
            size = session.store.record(stage).bytes
            if size:
                # The headers of the file are smaller than one number per image, except for tiny pools.
                widths[stage.encoder] = size // (4 * stage.pool.size)
    return widths
