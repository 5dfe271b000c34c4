"""How long a run takes: arithmetic on the seconds of its parts, before it and while it goes on."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from rich.console import Console

from bench.cli._forecast import forecast_document, forecast_lines, time_of_day
from bench.cli._plan import plan_document, show_plan
from bench.engine.durations import foresee
from bench.engine.forecast import Forecast, Outlook, Part, makespan
from bench.engine.measured import measured_before
from bench.engine.plan import Plan, make_plan
from bench.engine.probe import timed_units
from bench.grammar import parse_call
from bench.grid.spec import load_spec
from bench.identity import ModelRef
from bench.labelling.items import items_selection
from bench.parts import Clustering
from bench.recipe import Recipe
from bench.resource_usage import Usage
from bench.stages.clusters import PseudoLabels
from bench.stages.memory import Shape
from bench.stages.session import Session
from bench.stages.work import Distance, Scored, Step
from bench.units import about

CHAIN = (
    Part("embed", "embeddings", 10.0),
    Part("cluster", "pseudo-labels", 20.0, ("embed", "not a part")),
    Part("random", "cell", 5.0),
    Part("elfs", "cell", 5.0, ("cluster",)),
    Part("elfs2", "cell", 5.0, ("cluster",)),
)


@pytest.mark.parametrize(("slots", "seconds"), [(1, 45.0), (2, 35.0), (3, 35.0)])
def test_what_waits_for_inputs_starts_after_them(slots: int, seconds: float) -> None:
    assert makespan(CHAIN, slots) == seconds
    assert Forecast(CHAIN, slots, start=2.0).seconds == seconds + 2


def test_equal_cells_fill_all_places() -> None:
    cells = [Part(str(number), "cell", 3.0) for number in range(7)]
    assert makespan(cells, 1) == 21
    assert makespan(cells, 2) == 12
    assert makespan(cells, 100) == 3
    assert makespan([], 2) == 0


def test_a_kind_that_takes_twice_as_long_as_foreseen_is_taken_to_go_on_so() -> None:
    now = [100.0]
    outlook = Outlook(Forecast(CHAIN, 1, start=1.0), clock=lambda: now[0])
    assert outlook.left() == 46
    now[0] += 11
    assert outlook.left() == 35
    outlook.ended("embed", 10.0)
    outlook.ended("random", 10.0)  # foreseen: 5
    now[0] += 10
    assert outlook.left() == 20 + 2 * 10
    now[0] += 7
    assert outlook.left() == 33
    outlook.ended("cluster", None)  # failed, or computed by another run
    outlook.ended("elfs", None)
    now[0] += 1
    assert outlook.left() == 10
    outlook.ended("elfs2", 10.0)
    assert outlook.left() == 0
    outlook.ended("of another run", 1.0)
    now[0] += 1000
    assert outlook.left() == 0


def test_shares_name_each_kind_once_and_what_is_not_known() -> None:
    parts = (*CHAIN, Part("fit", "encoder", None), Part("other", "cell", None))
    forecast = Forecast(parts, 2)
    shares = {share.kind: share for share in forecast.shares()}
    assert list(shares) == ["embeddings", "pseudo-labels", "cell", "encoder"]
    assert shares["cell"][1:] == (4, 1, 5.0, 15.0)
    assert shares["encoder"][1:] == (1, 1, 0.0, 0.0)
    assert forecast.unknown == 2
    assert forecast_document(forecast)["estimated_seconds"] == 35.0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (12, "under a minute"),
        (61, "1 min"),
        (3599, "60 min"),
        (5400, "1.5 h"),
        (40_000, "11 h"),
        (129_600, "1.5 days"),
        (3_456_000, "40 days"),
    ],
)
def test_spans_are_as_exact_as_an_estimate(seconds: float, words: str) -> None:
    assert about(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "end"), [(60, "14:31"), (12 * 3600, "Sun 29 Nov, 02:30"), (40 * 86400, "7 January 2027")]
)
def test_the_end_is_named_as_near_as_it_matters(seconds: float, end: str) -> None:
    assert time_of_day(datetime(2026, 11, 28, 14, 30), seconds) == end


def planned(tmp_path: Path, **given: object) -> Plan:
    grid = {"methods": "random", "datasets": "digits", "rates": "0.9", **given}
    return make_plan(load_spec(given=grid), out=tmp_path / "out", tolerant=True)


def session_of(plan: Plan, tmp_path: Path) -> Session:
    return Session(out=tmp_path / "out", cache=tmp_path / "cache", weights=plan.weights)


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
    forecast = Forecast((Part("a", "cell", 700.0),), 1)
    lines = list(forecast_lines(forecast, plan, datetime(2026, 11, 28)))
    assert lines[-1] == "Shorter: --recipe evaluations=1: 6 test images are scored for each that is trained on."
    plan = planned(tmp_path, recipe={"iterations": 20, "evaluations": 1})
    assert not any("Shorter" in line for line in forecast_lines(forecast, plan, datetime(2026, 11, 28)))


def test_a_model_that_does_not_learn_takes_no_steps(tmp_path: Path) -> None:
    plan = planned(tmp_path, models="knn", recipe={"evaluations": 3})
    [work] = plan.missing[0].work(plan.shapes["digits"])
    assert work.number == 3 * 359 * 144, "each test image beside each kept one, at each scoring"
    assert isinstance(work.unit, Distance)


def test_cells_of_data_that_are_not_there_are_counted_and_their_stages_are_not(tmp_path: Path) -> None:
    plan = planned(tmp_path, datasets="cifar100", methods="aum", recipe={"iterations": 1000, "evaluations": 1})
    forecast = foresee(plan, session_of(plan, tmp_path), 1, 0.0)
    known = {part.kind: part.seconds is not None for part in forecast.parts}
    assert known == {"dynamics": False, "selection": False, "cell": True}
    assert next(iter(forecast_lines(forecast, plan, datetime(2026, 11, 28)))).startswith("At least ")


def test_a_stage_like_one_in_the_cache_takes_as_long(tmp_path: Path) -> None:
    import numpy as np

    first, second = (planned(tmp_path, methods="aum", seeds=seed) for seed in ("0,", "1,"))
    place = session_of(first, tmp_path)
    for stage, seconds in zip(first.stages(place.store), (123.0, 4.5), strict=True):
        place.store.write(stage, {"a": np.zeros(3)}, Usage(seconds))
    wanted = second.stages(place.store)
    assert [stage.kind for stage in wanted] == ["dynamics", "selection"]
    assert measured_before(wanted, [], place) == {wanted[0].key: 123.0, wanted[1].key: 4.5}
    other = planned(tmp_path, methods="aum", recipe={"proxy_epochs": 3})
    assert measured_before(other.stages(place.store), [], place) == {}, "a shorter proxy is another one"
    for record in (tmp_path / "cache").rglob("*.json"):
        content = json.loads(record.read_text())
        del content["record_sha256"]
        record.write_text(json.dumps({**content, "host": "another machine"}, indent=1))
    assert measured_before(wanted, [], place) == {}


def test_a_stage_like_one_of_other_threads_or_beside_another_with_a_gpu_takes_its_own_time(tmp_path: Path) -> None:
    import numpy as np

    arrays = {"labels": np.zeros(3)}
    asked = items_selection(np.zeros((30, 2), np.float32), parse_call("elfs"), budget=5, classes=2, seed=0)
    on_gpu, on_cpu = (PseudoLabels.of(asked, Clustering(clustering=name)) for name in ("temi", "kmeans"))
    place = Session(out=tmp_path, cache=tmp_path / "gpu", device="cuda", threads=1)
    place.store.write(on_gpu, arrays, Usage(100.0, 1, 5))
    place.store.write(on_cpu, arrays, Usage(2.0, 1, None))
    for stages in ([on_gpu, on_cpu], [on_cpu, on_gpu]):
        assert measured_before(stages, [], place) == {on_gpu.key: 100.0, on_cpu.key: 2.0}
    place.store.write(on_cpu, arrays, Usage(2.0, 1, 5))
    assert measured_before([on_cpu], [], place) == {on_cpu.key: 2.0}, "made in a process that held a GPU"
    one, many = (Session(out=tmp_path, cache=tmp_path / "cpu", threads=threads) for threads in (1, 64))
    one.store.write(on_gpu, arrays, Usage(6400.0, 1, None))
    assert measured_before([on_gpu], [], one) == {on_gpu.key: 6400.0}
    assert measured_before([on_gpu], [], many) == {}


def test_many_cells_are_a_table_of_methods_by_rates(tmp_path: Path) -> None:
    plan = planned(tmp_path, methods="full,random,elfs", rates="0.5,0.9", seeds=6, encoders="pixels", pool_size=100)
    plan = replace(plan, finished={cell.cell_id for cell in plan.cells if cell.method == "random" and cell.rate == 0.9})
    session = session_of(plan, tmp_path)
    document = plan_document(plan, session, Forecast((), 1))
    text = io.StringIO()
    show_plan(document, Console(file=text, width=100), ["About 3 h."])
    lines = text.getvalue().splitlines()
    assert lines[1:7] == [
        f"30 cells, 6 with a row in {tmp_path / 'out'} already:",
        "  digits(pool_size=100), small_cnn: cells to run of 6 seeds, by rate removed",
        "                    0 %   50 %   90 %",
        "    full              6",
        "    random                   6   done",
        "    elfs, pixels             6      6",
    ]
    assert "About 3 h." in lines


def test_a_networks_own_optimiser_is_what_its_steps_are_timed_with(tmp_path: Path) -> None:
    plan = planned(tmp_path, models="torchvision(name=squeezenet1_1,size=32)", recipe={"optimiser": "adamw"})
    units = [work.unit for work in plan.cells[0].work(Shape(90, 10, (1, 8, 8)))]
    assert [unit.recipe.optimiser for unit in units if isinstance(unit, Step | Scored)] == ["adamw", "adamw"]


def test_steps_are_timed_and_what_fails_is_left_out(tmp_path: Path) -> None:
    step = Step(ModelRef(name="small_cnn"), (1, 8, 8), 10, Recipe(precision="fp32"), 64)
    broken = step._replace(model=ModelRef(name="small_cnn", params={"width": "broken"}))
    place = Session(out=tmp_path, cache=tmp_path)
    found = timed_units({step: 10**6, broken: 10**6}, place, {})
    assert set(found) == {step}
    assert 0 < found[step] < 10
