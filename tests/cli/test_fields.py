"""The fields of a run are declared once, for the command line and the specs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
import typer
from pydantic import ValidationError
from typer.testing import CliRunner

from bench.cli import app
from bench.cli._fields import spread
from bench.engine.start import RunOptions
from bench.fields import FieldText, FolderFields, GridFields, MachineFields, TrackFields, Whole


def options_of(command: str) -> dict[str, Any]:
    group = typer.main.get_command(app)
    return {param.name: param for param in group.commands[command].params}  # type: ignore[attr-defined]


def test_every_field_is_an_option_of_bench_run() -> None:
    options = options_of("run")
    for field in (field for group in (GridFields, FolderFields, MachineFields, TrackFields) for field in fields(group)):
        assert options[field.name].opts == [f"--{field.name.replace('_', '-')}"]
        assert options[field.name].help
    defaults = {field.name: field.default for field in (*fields(FolderFields), *fields(MachineFields))}
    assert {name: options[name].default for name in defaults} == defaults


@pytest.mark.parametrize(
    "wrong", [{"workers": 0}, {"cpus_per_trial": 0}, {"retries": -1}, {"executor": "slurm"}, {"worker": 2}]
)
def test_what_no_run_can_have_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        RunOptions(**wrong)


def test_a_command_gets_its_groups_as_objects() -> None:
    @dataclass(frozen=True)
    class Fields:
        """Some fields."""

        panel: ClassVar[str] = "A heading"
        names: Annotated[list[str] | None, FieldText("Some names.")] = None
        least: Annotated[Whole, FieldText("At least 0.", env="BENCH_TEST_LEAST")] = 1
        where: Annotated[Path, typer.Option(help="Where.")] = Path("here")
        sure: Annotated[bool, FieldText("Whether.")] = False

    Fields.__module__ = __name__
    seen: list[Any] = []

    def command(*, group: Any, more: Annotated[int, typer.Option(help="More.")] = 0) -> None:
        """Do it."""
        seen.append((group, more))

    command.__annotations__["group"] = Fields
    small = typer.Typer(add_completion=False)
    small.command()(spread(command))
    runner = CliRunner(env={"BENCH_TEST_LEAST": "7", "COLUMNS": "200"})
    given = ["--names", "a", "--names", "b", "--sure", "--more", "3"]
    assert runner.invoke(small, given).exit_code == 0
    assert seen == [(Fields(names=["a", "b"], least=7, sure=True), 3)]
    shown = runner.invoke(small, ["--help"]).output
    assert all(text in shown for text in ("A heading", "Some names.", "At least 0.", "Where.", "Whether.", "More."))
    assert "--no-sure" not in shown
    assert runner.invoke(small, ["--least", "-1"]).exit_code == 2
