"""Progress of consecutive stages, where there is no terminal."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from bench.cli import _stages
from bench.cli._stages import StageProgress


def console() -> tuple[Console, io.StringIO]:
    said = io.StringIO()
    return Console(file=said, force_terminal=False, width=200, highlight=False, markup=False), said


def test_each_stage_is_one_line_when_it_ends() -> None:
    screen, said = console()
    with StageProgress(console=screen) as progress:
        progress.stage("embedding")(1, 2)
        progress.stage("embedding")(2, 2)
        assert said.getvalue() == "", "a stage of two parts has not ended"
        progress.stage("choosing [zcore]")
        assert re.fullmatch(r"embedding  \d+\.\d s\n", said.getvalue())
    assert re.fullmatch(r"embedding  \d+\.\d s\nchoosing \[zcore\]  \d+\.\d s\n", said.getvalue())


def test_a_stage_that_failed_is_not_reported_as_finished() -> None:
    screen, said = console()

    def fail() -> None:
        with StageProgress(console=screen) as progress:
            progress.stage("embedding")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert said.getvalue() == ""


def test_how_far_a_long_stage_is_is_said_now_and_then_unless_it_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_stages, "SAY", 0.0)
    screen, said = console()
    with StageProgress(console=screen) as progress:
        progress.stage("embedding")(30, 120)
        assert "embedding" in said.getvalue()
        assert "30" in said.getvalue()
    screen, said = console()
    with StageProgress(console=screen, quiet=True) as progress:
        progress.stage("embedding")(30, 120)
    assert said.getvalue() == ""
