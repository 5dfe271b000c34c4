"""Every benchmark runs at a tiny size, and the command prints and writes what it should."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks._common import Meter, Result, Skip

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    import typer

    app = typer.Typer()
    app.command()(command.main)
    return app


@pytest.fixture
def keep_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in command._THREAD_VARIABLES:
        monkeypatch.setenv(name, os.environ.get(name, "1"))


def test_there_are_benchmarks() -> None:
    assert {"d2_embeddings", "d2_graph", "orderings", "dynamics", "temi_heads", "loop_bare"} <= set(command.names())


GRIDS = {"memory_estimates", "orchestration", "thousand_cells"}
"""They start a Ray session of their own."""

LONG = {"compiled", "d2_memory", "dynamics", "labelling", "loop_accuracy"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in GRIDS) + [pytest.mark.long] * (name in LONG))
        for name in command.names()
        if not name.startswith("gpu_")
    ],
)
def test_every_benchmark_runs_at_a_tiny_size(name: str) -> None:
    check(*command.run(name, Meter(repeats=1, threads=1), tiny=True))


@pytest.mark.gpu
@pytest.mark.parametrize("name", [name for name in command.names() if name.startswith("gpu_")])
def test_every_benchmark_of_a_gpu_runs_at_a_tiny_size_there(name: str) -> None:
    check(*command.run(name, Meter(repeats=1, threads=1, device="cuda"), tiny=True))


def test_a_benchmark_of_a_gpu_says_that_it_needs_one() -> None:
    with pytest.raises(Skip, match="no GPU"):
        command.run("gpu_resnet18", Meter(device="cpu"), tiny=True)


def check(module: ModuleType, results: list[Result]) -> None:
    assert module.__doc__
    assert results
    for result in results:
        assert isinstance(result, Result)
        assert result.ours > 0
        assert result.other is None or (result.other > 0 and result.alternative)
        assert result.met in (None, True, False)


def test_the_command_prints_a_table_and_writes_it_into_the_page(
    app: typer.Typer, keep_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "README.md"
    page.write_text("# Speed and memory\n")
    full = command.run
    monkeypatch.setattr(command, "run", lambda name, meter, *, tiny, changed: full(name, meter, tiny=True))
    done = CliRunner().invoke(
        app, ["orderings", "--repeats", "2", "--threads", "1", "--clock", "cpu", "--write", "--readme", str(page)]
    )
    assert done.exit_code == 0, done.output
    assert "numpy argsort" in done.output
    for text in ("### `orderings`", "| measured", "1 thread; processor seconds; load "):
        assert text in page.read_text()


def test_a_failing_benchmark_does_not_stop_the_others(
    app: typer.Typer, keep_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = command.run

    def broken(name: str, meter: Meter, *, tiny: bool, changed: Any) -> Any:
        if name == "d2_graph":
            raise ZeroDivisionError
        return full(name, meter, tiny=tiny)

    monkeypatch.setattr(command, "run", broken)
    done = CliRunner().invoke(app, ["d2_graph", "orderings", "--tiny", "--threads", "1"])
    assert done.exit_code == 1
    assert "numpy argsort" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["orderigns"], "did you mean orderings"),
        (["--clock", "sun"], "valid: wall, cpu"),
        (["orderings", "--tiny", "--write"], "measures nothing"),
        (["orderings", "--set", "size:3"], "NAME=VALUE"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(
    app: typer.Typer, keep_environment: None, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "run", lambda *a, **k: pytest.fail("ran"))
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert message in " ".join(done.output.replace("│", " ").split())
