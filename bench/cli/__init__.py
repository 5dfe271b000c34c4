"""The ``bench`` command. Importing it imports neither torch nor Ray; each command imports its own dependencies."""

from __future__ import annotations

import errno
import io
import sys
import warnings
from functools import partial
from typing import Annotated

import typer

import bench
from bench.cli._command import Command, Commands
from bench.cli._options import PluginOption
from bench.cli._output import JSON, JsonOption, drop_stdout, print_json, reserve_stdout, takes_more, visible
from bench.cli.cache import Folder, cache
from bench.cli.check import check
from bench.cli.compare import compare
from bench.cli.doctor import doctor
from bench.cli.export import export
from bench.cli.leaderboard import leaderboard
from bench.cli.listing import Kind, document, matching, show, show_matches, show_reference
from bench.cli.plot import plot
from bench.cli.report import report
from bench.cli.run import run
from bench.cli.schema import schema
from bench.cli.select import select
from bench.cli.table import table
from bench.cli.train import train
from bench.cli.validate import validate
from bench.errors import BenchError

app = typer.Typer(
    name="bench",
    cls=Commands,
    help="Compare coreset selection methods: which images of a training set to keep, and what accuracy remains.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
command = partial(app.command, cls=Command)
command("run")(run)
command("table")(table)
command("leaderboard")(leaderboard)
command("compare")(compare)
command("plot")(plot)
command("report")(report)
command("train")(train)
command("select")(select)
command("validate")(validate)
command("export")(export)
command("schema")(schema)
command("check")(check)
command("doctor")(doctor)
app.add_typer(cache)


@command("list")
def list_plugins(
    kind: Annotated[Kind, typer.Argument(help="Kind of plugin to list.")],
    search: Annotated[
        str,
        typer.Option(
            "--search", metavar="TEXT", help="List names that contain TEXT, including other libraries' names."
        ),
    ] = "",
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the page docs/methods.md (methods only).")
    ] = False,
    cache_dir: Folder = None,
    plugin: PluginOption = None,
    json_output: JsonOption = False,
) -> None:
    """List the registered methods, data sets, encoders or models, and which of them this machine has used before."""
    if search and json_output:
        print_json(matching(kind, search))
    elif search:
        show_matches(kind, search)
    elif json_output:
        print_json(document(kind, cache_dir))
    elif markdown:
        show_reference(kind)
    else:
        show(kind, cache_dir)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"coreset-bench {bench.__version__}")
        raise typer.Exit


@app.callback()
def overall(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Compare coreset selection methods: which images of a training set to keep, and what accuracy remains."""


def main() -> None:
    """Run the command line; bad input ends it with exit code 2 and one line that says what was given and what is valid.

    With ``--json``, standard output gets that line too, as ``{"error": LINE, "kind": CLASS, "exit_code": 2}``.
    """
    for stream in (sys.stdout, sys.stderr):
        # A character that the encoding of a terminal or file lacks becomes a question mark, not a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    # Pillow's warning about images that it still reads: it names no file, and refused images are listed as unreadable.
    warnings.filterwarnings("ignore", "Image size .* exceeds limit", RuntimeWarning)
    # From the words as typed, since an error may come before the options are parsed.
    as_json = JSON in sys.argv[1:]
    if as_json:
        reserve_stdout()
    try:
        app()
        sys.stdout.flush()
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EIO) or takes_more():
            raise
        # The disk of standard output is full; the command's files are complete.
        drop_stdout()
        typer.echo(f"Error: cannot write to standard output: {error.strerror}. All files are written.", err=True)
        sys.exit(1)
    except BenchError as error:
        typer.echo(f"Error: {visible(str(error))}", err=True)
        if as_json:
            print_json({"error": str(error), "kind": type(error).__name__, "exit_code": 2})
        sys.exit(2)
