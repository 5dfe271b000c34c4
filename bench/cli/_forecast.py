"""The estimate of a run's time in words, shown before the run and in ``--dry-run``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from bench.units import about

if TYPE_CHECKING:
    from bench.engine.forecast import Forecast, Share
    from bench.engine.plan import Plan

_LONG = 8 * 3600.0
"""Seconds from which a run gets advice on how to shorten it, since it does not end within a working day."""
_DETAILED = 600.0
"""Seconds from which a run gets a list of what takes the time."""


def forecast_document(forecast: Forecast) -> dict[str, Any]:
    """Return the forecast as plain values."""
    return {
        "estimated_seconds": round(forecast.seconds, 1),
        "estimated": [
            {"kind": share.kind, "count": share.number, "unknown": share.unknown, "seconds": round(share.seconds, 1)}
            for share in forecast.shares()
        ],
    }


def forecast_lines(forecast: Forecast, plan: Plan, now: datetime) -> Iterator[str]:
    """Yield a line with the total time and the end; for a long run also what takes the time and how to shorten it.

    Args:
        forecast: forecast of the plan.
        plan: plan of the run.
        now: local time.
    """
    if not forecast.parts:
        return
    seconds, at_once = forecast.seconds, f", {forecast.slots} at once" if forecast.slots > 1 else ""
    if forecast.unknown and not seconds:
        yield "How long this takes is not known."
        return
    least, later = ("At least", " or later") if forecast.unknown else ("About", "")
    if seconds < 60 and not forecast.unknown:
        yield "This takes under a minute."
        return
    yield f"{least} {about(max(seconds, 60.0))}{at_once}, until {time_of_day(now, seconds)}{later} (an estimate)."
    if seconds < _DETAILED and not forecast.unknown:
        return
    # Shares below half a percent do not explain what takes the time.
    shown = [share for share in forecast.shares() if share.unknown or share.seconds >= 0.005 * seconds]
    for share in sorted(shown, key=lambda share: -share.seconds):
        each = f", about {about(share.each)} each" if share.number > 1 and share.each >= 60 else ""
        known = about(share.seconds) if share.seconds else "not known"
        lacking = f", and {share.unknown} more whose time is not known" if share.unknown and share.seconds else ""
        yield f"  {share.kind:14} {share.number:>5,}   {known}{lacking}{each}"
    if shorter := [*_less_scoring(plan), *(_shorter(plan, shown) if seconds >= _LONG else ())]:
        yield f"Shorter: {'; '.join(shorter)}."


def time_of_day(now: datetime, seconds: float) -> str:
    """Return the end as ``17:40``, ``Sun 29 Nov, 04:10`` or ``7 January 2027``, depending on how far away it is."""
    end = now + timedelta(seconds=seconds)
    if end.date() == now.date():
        return f"{end:%H:%M}"
    if seconds < 7 * 86400:
        return f"{end:%a} {end.day} {end:%b, %H:%M}"
    return f"{end.day} {end:%B %Y}"


def _less_scoring(plan: Plan) -> list[str]:
    trained = scored = most = 0
    for cell in plan.missing:
        shape = plan.shapes.get(cell.pool.label)
        trained += cell.recipe.iterations * cell.recipe.batch_size
        times = min(cell.recipe.evaluations, cell.recipe.iterations)
        scored, most = scored + times * (shape.test if shape else 0), max(most, times)
    # Scoring an image costs a third of training on it, which has a backward pass; from here on, scoring costs as much.
    if most == 1 or scored < 3 * trained:
        return []
    return [f"--recipe evaluations=1: {scored / trained:.0f} test images are scored for each that is trained on"]


def _shorter(plan: Plan, shares: Sequence[Share]) -> list[str]:
    from bench.grid.spec import preset_names
    from bench.stages.clusters import PseudoLabels

    ways = []
    if max(shares, key=lambda share: share.seconds).kind == PseudoLabels.kind:
        ways.append("elfs(heads=5,cluster_epochs=20) or elfs(clustering=kmeans), whose pseudo-labels take less")
    for name in dict.fromkeys(cell.dataset.name for cell in plan.missing):
        preset = f"fast-{name}"
        # Not if the preset's network is already used.
        if preset in preset_names() and any(cell.model.name != "speedrun" for cell in plan.missing):
            ways.append(f"--preset {preset}, the same question with a network of a hundredth of the cost")
    if plan.device == "cpu":
        ways.append("a GPU, which the same command takes")
    if all(cell.recipe.scale == 1 for cell in plan.missing):
        ways.append("--scale 0.1, a tenth of the training, which marks the rows")
    return ways
