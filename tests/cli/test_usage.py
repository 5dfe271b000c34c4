"""Wrong usage is one line: what was given, what is valid, the nearest match."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.errors import SpecError
from tests.cli.commands import run

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "--outt", "x"), "unknown option of bench run '--outt'. Did you mean --out? Valid: --address, "),
        (("run", "--bogus"), "unknown option of bench run '--bogus'. Valid: --address, "),
        (("cache", "prune", "-z"), "unknown option of bench cache prune '-z'. Valid: --all, --cache-dir, "),
        (("--versoin",), "unknown option of bench '--versoin'. Did you mean --version? Valid: --help, "),
        (("run", "--cpus-per-trial", "0"), "--cpus-per-trial 0 is not valid: a whole number from 1 on."),
        (("select", "--budget", "many"), "--budget many is not valid: a whole number from 2 on."),
        (("plot", "accuracy", "runs", "--width", "x"), "--width x is not valid: a number from 1 to 40."),
        (("run", "--executor", "rey"), "unknown --executor of bench run 'rey'. Did you mean ray? Valid: local, ray."),
        (("lst",), "unknown command of bench 'lst'. Did you mean list? Valid: cache, check, "),
        (("cache", "lst"), "unknown command of bench cache 'lst'. Did you mean list? Valid: list, prune, verify."),
        (("list", "method"), "unknown kind of bench list 'method'. Did you mean methods? Valid: datasets, "),
        (("list", "methods", "elfs"), "bench list: got unexpected extra argument(s) (elfs); bench list -h shows what"),
        (("table",), "bench table needs folders; bench table -h shows what it takes."),
        (("run", "--rates"), "bench run: option '--rates' requires an argument; bench run -h shows what it takes."),
        (("run", "--dry-run=1"), "bench run: option '--dry-run' does not take a value; bench run -h shows what it"),
    ],
)
def test_wrong_usage_is_one_line_that_names_what_is_valid(arguments: tuple[str, ...], says: str) -> None:
    done = CliRunner().invoke(app, arguments, prog_name="bench")
    assert isinstance(done.exception, SpecError)
    assert str(done.exception).startswith(says)
    assert "\n" not in str(done.exception)


def test_wrong_usage_looks_like_every_other_error(tmp_path: Path) -> None:
    done = run(tmp_path, "list", "methods", "--json", "--bogus", columns=40)
    assert done.returncode == 2
    valid = "--cache-dir, --help, --json, --markdown, --plugin, --search, -h"
    said = f"unknown option of bench list '--bogus'. Valid: {valid}."
    assert done.stderr == f"Error: {said}\n"
    assert json.loads(done.stdout) == {"error": said, "kind": "UnknownName", "exit_code": 2}
