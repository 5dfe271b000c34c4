"""``bench validate``: whether rows from outside are what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli._output import JsonOption, print_json


def validate(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Output folders of `bench run`, or row files.", show_default=False),
    ],
    json_output: JsonOption = False,
) -> None:
    """Check rows against the schema, themselves, their file names, coresets and scores; one line per problem.

    Needs neither the data set nor the plugins that made the rows. Exit code: 0 all is well, 1 there are problems,
    2 a path is not there or holds no row.
    """
    from bench.quantities import counted
    from bench.results.validation import problems_of, row_files

    files = list(dict.fromkeys(file for path in paths for file in row_files(path)))
    found = [(file, problem) for file in files for problem in problems_of(file)]
    if json_output:
        problems = [{"file": str(file), "problem": problem} for file, problem in found]
        print_json({"rows": len(files), "problems": problems})
    else:
        for file, problem in found:
            typer.echo(problem if problem.startswith(str(file)) else f"{file}: {problem}")
        typer.echo(f"{counted(len(files), 'row')} checked, {counted(len(found), 'problem')}.")
    if found:
        raise typer.Exit(1)
