"""What all commands refuse: an option given twice, and a group without a command shows its help."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.cli._command import Command
from bench.cli.cache import cache
from bench.errors import SpecError

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("group", [[], ["cache"]])
def test_a_group_without_a_command_shows_its_help(group: list[str]) -> None:
    done = CliRunner().invoke(app, group, prog_name="bench")
    assert done.exit_code == 2
    assert "Commands" in done.output
    assert f"Usage: {' '.join(['bench', *group])} [OPTIONS]" in done.output


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--recipe", "run --recipe iterations=3 --recipe batch_size=4"),
        ("--track", "run --track wandb --track tensorboard"),
        ("--format", "plot accuracy nowhere --format png --format svg"),
        ("--baseline", "compare nowhere --baseline random --baseline=ccs"),
        ("--kind", "cache list --kind selection --kind dynamics"),
    ],
)
def test_an_option_of_one_value_is_not_given_twice(option: str, words: str) -> None:
    done = CliRunner().invoke(app, words.split())
    assert isinstance(done.exception, SpecError)
    assert str(done.exception).startswith(f"{option} was given 2 times; ")


@pytest.mark.parametrize(
    ("words", "form"),
    [
        ("run --recipe iterations=3 --recipe=batch_size=4", "write --recipe iterations=3,batch_size=4."),
        ("plot accuracy nowhere --format png --format svg", "write --format png,svg."),
        ("run --time-limit 2h --time-limit 3h", "it takes one value."),
    ],
)
def test_an_option_that_takes_a_list_shows_the_form_that_works(words: str, form: str) -> None:
    assert str(CliRunner().invoke(app, words.split()).exception).endswith(f" was given 2 times; {form}")


def test_a_flag_says_the_same_twice() -> None:
    assert CliRunner().invoke(app, ["list", "methods", "--json", "--json"]).exit_code == 0


def test_every_command_refuses_an_option_given_twice() -> None:
    commands = [*app.registered_commands, *cache.registered_commands]
    assert {item.cls for item in commands} == {Command}
