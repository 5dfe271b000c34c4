"""Timed steps of training."""

from __future__ import annotations

import time
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bench.clustering.temi import ClusterHeads
from bench.engine import probe
from bench.engine.probe import timed_units
from bench.identity import EncoderRef, ModelRef
from bench.recipe import Recipe
from bench.stages.memory import Shape
from bench.stages.session import Session
from bench.stages.work import Distance, Embedded, Fitted, HeadStep, Scored, Step, Unit
from tests.plans import planned


def test_a_networks_own_optimiser_is_what_its_steps_are_timed_with(tmp_path: Path) -> None:
    plan = planned(tmp_path, models="torchvision(name=squeezenet1_1,size=32)", recipe={"optimiser": "adamw"})
    units = [work.unit for work in plan.cells[0].work(Shape(90, 10, (1, 8, 8)))]
    assert [unit.recipe.optimiser for unit in units if isinstance(unit, Step | Scored)] == ["adamw", "adamw"]


STEP = Step(ModelRef(name="small_cnn"), (1, 8, 8), 10, Recipe(precision="fp32"), 64)
PIXELS = EncoderRef(name="pixels")


def test_steps_are_timed_and_what_fails_is_left_out(tmp_path: Path) -> None:
    broken = STEP._replace(model=ModelRef(name="small_cnn", params={"width": "broken"}))
    place = Session(out=tmp_path, cache=tmp_path)
    found = timed_units({STEP: 10**6, broken: 10**6}, place, {})
    assert set(found) == {STEP}
    assert 0 < found[STEP] < 10


def test_opening_a_gpu_takes_nothing_from_the_time_for_the_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds, opened = [0.0], count()

    def now(self: Any) -> float:
        if next(opened) == 0:
            seconds[0] += 60
        return time.process_time()

    monkeypatch.setattr(probe, "time", SimpleNamespace(perf_counter=lambda: seconds[0]))
    monkeypatch.setattr(probe._Probe, "now", now)
    assert set(timed_units({STEP: 10**6}, Session(out=tmp_path, cache=tmp_path), {})) == {STEP}


def test_drawing_the_weights_of_heads_is_no_part_of_their_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw, drawn = ClusterHeads.__init__, count()

    def slow(self: Any, *given: Any) -> None:
        draw(self, *given)
        end = time.process_time() + (1.0 if next(drawn) == 1 else 0.0)  # as on a machine that others use
        while time.process_time() < end:
            pass

    monkeypatch.setattr(ClusterHeads, "__init__", slow)
    unit = HeadStep(PIXELS, 3, 16, "fp32")
    assert timed_units({unit: 10**6}, Session(out=tmp_path, cache=tmp_path), {PIXELS: 4})[unit] < 0.2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_nothing_is_left_to_the_rough_seconds_of_a_cpu(tmp_path: Path) -> None:
    units: dict[Unit, float] = {STEP: 1e9, HeadStep(PIXELS, 3, 64, "bf16"): 10.0, Distance(PIXELS): 10.0}
    found = timed_units(units, Session(out=tmp_path, cache=tmp_path, device="cuda"), {PIXELS: 64})
    assert found.keys() == units.keys()
    assert all(seconds > 0 for seconds in found.values())


def test_an_encoder_that_learns_is_timed_as_it_learns_and_as_it_embeds(tmp_path: Path) -> None:
    encoder = EncoderRef(name="simsiam", params={"epochs": 2, "size": 8, "width": 8})
    units: list[Unit] = [Fitted(encoder, (1, 8, 8)), Embedded(encoder, (1, 8, 8))]
    found = timed_units(dict.fromkeys(units, 10**6), Session(out=tmp_path, cache=tmp_path), {})
    assert Fitted(encoder, (1, 8, 8)) in found
    assert all(seconds > 0 for seconds in found.values())
