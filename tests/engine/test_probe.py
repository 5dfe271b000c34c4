"""Timed steps of training."""

from __future__ import annotations

from pathlib import Path

from bench.engine.probe import timed_units
from bench.identity import EncoderRef, ModelRef
from bench.recipe import Recipe
from bench.stages.memory import Shape
from bench.stages.session import Session
from bench.stages.work import Embedded, Fitted, Scored, Step, Unit
from tests.plans import planned


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


def test_an_encoder_that_learns_is_timed_as_it_learns_and_as_it_embeds(tmp_path: Path) -> None:
    encoder = EncoderRef(name="simsiam", params={"epochs": 2, "size": 8, "width": 8})
    units: list[Unit] = [Fitted(encoder, (1, 8, 8)), Embedded(encoder, (1, 8, 8))]
    found = timed_units(dict.fromkeys(units, 10**6), Session(out=tmp_path, cache=tmp_path), {})
    assert Fitted(encoder, (1, 8, 8)) in found
    assert all(seconds > 0 for seconds in found.values())
