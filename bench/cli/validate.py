"""``bench validate``: whether rows from outside are what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def validate(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Output folders of `bench run`, or row files.", show_default=False),
    ],
) -> None:
    """Check rows against the schema, themselves, their file names, coresets and scores; one line per problem.

    Needs neither the data set nor the plugins that made the rows. Exit code: 0 all is well, 1 there are problems,
    2 a path is not there or holds no row.
    """
    from bench.validation import problems_of, row_files

    files = list(dict.fromkeys(file for path in paths for file in row_files(path)))
    problems = 0
    for file in files:
        for problem in problems_of(file):
            problems += 1
            typer.echo(problem if problem.startswith(str(file)) else f"{file}: {problem}")
    typer.echo(f"{len(files)} rows checked, {problems} problems.")
    if problems:
        raise typer.Exit(1)
