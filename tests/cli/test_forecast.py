"""The forecast in words."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from bench.cli._forecast import forecast_document, forecast_lines, time_of_day
from bench.engine.durations import foresee
from bench.engine.forecast import Forecast, TimedWork
from bench.stages.work import Step
from tests.plans import CHAIN, planned, session_of


def test_shares_name_each_kind_once_and_what_is_not_known() -> None:
    parts = (*CHAIN, TimedWork("fit", "encoder", None), TimedWork("other", "cell", None))
    forecast = Forecast(parts, 2)
    shares = {share.kind: share for share in forecast.shares()}
    assert list(shares) == ["embeddings", "pseudo-labels", "cell", "encoder"]
    assert shares["cell"][1:] == (4, 1, 5.0, 15.0)
    assert shares["encoder"][1:] == (1, 1, 0.0, 0.0)
    assert forecast.unknown == 2
    assert forecast_document(forecast)["estimated_seconds"] == 35.0


@pytest.mark.parametrize(
    ("seconds", "end"), [(60, "14:31"), (12 * 3600, "Sun 29 Nov, 02:30"), (40 * 86400, "7 January 2027")]
)
def test_the_end_is_named_as_near_as_it_matters(seconds: float, end: str) -> None:
    assert time_of_day(datetime(2026, 11, 28, 14, 30), seconds) == end


def test_what_is_not_known_is_no_estimate(tmp_path: Path) -> None:
    plan, now = planned(tmp_path), datetime(2026, 11, 28, 14, 30)
    unknown = TimedWork("fit", "encoder", None)
    assert [*forecast_lines(Forecast((unknown,), 1), plan, now)] == ["How long this takes is not known."]
    lines = [*forecast_lines(Forecast((unknown, TimedWork("a", "cell", 120.0)), 1), plan, now)]
    assert lines[0] == "At least 2 min, until 14:32 or later (an estimate)."


def test_a_tiny_run_is_not_probed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.engine.probe._Probe", None)
    plan = planned(tmp_path, pool_size=100, recipe={"iterations": 5, "evaluations": 1})
    forecast = foresee(plan, session_of(plan, tmp_path), 1, 2.0)
    assert [part.kind for part in forecast.parts] == ["selection", "cell"]
    assert 2 < forecast.seconds < 20
    assert list(forecast_lines(forecast, plan, datetime(2026, 11, 28))) == ["This takes under a minute."]


def test_days_of_training_say_what_is_shorter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step, seconds = 0.001, {}
    monkeypatch.setattr(
        "bench.engine.durations.timed_units",
        lambda counts, *_: seconds.update(counts) or {unit: step for unit in counts if isinstance(unit, Step)},
    )
    plan = planned(tmp_path, methods="random,aum", recipe={"iterations": 10**8, "proxy_epochs": 7})
    forecast = foresee(plan, session_of(plan, tmp_path), 1, 0.0)
    steps = {unit.batch: count for unit, count in seconds.items() if isinstance(unit, Step)}
    assert steps == {64: 2 * 10**8 + 7 * 23}, "two cells, and a proxy of 7 times 1,438 images, all in batches of 64"
    assert forecast.seconds == pytest.approx(2 * 10**8 * step, rel=0.01)
    lines = list(forecast_lines(forecast, plan, datetime(2026, 11, 28)))
    assert lines[0] == "About 2.3 days, until Mon 30 Nov, 07:33 (an estimate)."
    assert lines[1].split() == ["cell", "2", "2.3", "days,", "about", "28", "h", "each"]
    assert (
        lines[-1]
        == "Shorter: a GPU, which the same command takes; --scale 0.1, a tenth of the training, which marks the rows."
    )


def test_a_recipe_that_mostly_scores_the_test_split_is_told_so(tmp_path: Path) -> None:
    """20 scorings of 359 images beside 20 steps of 64."""
    plan = planned(tmp_path, recipe={"iterations": 20, "evaluations": 20})
    forecast = Forecast((TimedWork("a", "cell", 700.0),), 1)
    lines = list(forecast_lines(forecast, plan, datetime(2026, 11, 28)))
    assert lines[-1] == "Shorter: --recipe evaluations=1: 6 test images are scored for each that is trained on."
    for recipe in ({"iterations": 20, "evaluations": 1}, {"iterations": 1, "evaluations": 1}):
        plan = planned(tmp_path, recipe=recipe)
        assert not any("Shorter" in line for line in forecast_lines(forecast, plan, datetime(2026, 11, 28)))


def test_days_of_clustering_say_how_to_cluster_less(tmp_path: Path) -> None:
    plan, days = planned(tmp_path, methods="elfs"), TimedWork("a", "pseudo-labels", 200_000.0)
    lines = list(forecast_lines(Forecast((days,), 1), plan, datetime(2026, 11, 28)))
    assert lines[-1].startswith("Shorter: elfs(heads=5,cluster_epochs=20) or elfs(clustering=kmeans), whose pseudo-lab")
