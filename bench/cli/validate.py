"""``bench validate``: check the claims of rows from outside."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from bench.cli._options import DataRootOption, PluginOption
from bench.cli._output import JsonOption, print_json, visible


def validate(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Output folders of `bench run`, or row files.", show_default=False),
    ],
    data_root: DataRootOption = None,
    plugin: PluginOption = None,
    json_output: JsonOption = False,
) -> None:
    """Check that rows agree with themselves, their files, and the plugins and data on this machine.

    Print one line per problem. The plugins and data that made the rows need
    not be on this machine: claims that could not be checked are listed. Claims
    that only a run can check, such as an accuracy or a time, are believed.

    Exit codes: 0 no problems, 1 problems, 2 a path is missing or holds no row.
    """
    from bench.results.claims import Unchecked
    from bench.results.claims.labels import DataAtHand
    from bench.results.validation import findings_of, row_files
    from bench.units import counted

    data = DataAtHand(data_root)
    # A row that is named by itself and by its folder is checked once.
    files = list(dict.fromkeys(file for path in paths for file in row_files(path)))
    findings = [(file, finding) for file in files for finding in findings_of(file, data)]
    problems = [(file, finding) for file, finding in findings if not isinstance(finding, Unchecked)]
    unchecked = Counter(str(finding) for _, finding in findings if isinstance(finding, Unchecked))
    if json_output:
        print_json(
            {
                "rows": len(files),
                "problems": [{"file": str(file), "problem": problem} for file, problem in problems],
                "not_checked": [{"claim": claim, "rows": count} for claim, count in unchecked.items()],
            }
        )
    else:
        for file, problem in problems:
            # Errors of reading already name the file.
            typer.echo(visible(problem if problem.startswith(str(file)) else f"{file}: {problem}"))
        for claim, count in unchecked.items():
            typer.echo(visible(f"Not checked in {counted(count, 'row')}: {claim}."))
        typer.echo(f"{counted(len(files), 'row')} checked, {counted(len(problems), 'problem')}.")
    if problems:
        raise typer.Exit(1)
