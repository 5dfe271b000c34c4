"""Base classes of all commands: they refuse repeated options, and turn unexpected ends into errors."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from bench.cli._usage import one_line
from bench.errors import BenchError, SpecError, UnknownName, install_command
from bench.interruption import INTERRUPTED
from bench.outside import reason_of

_LEFT_OUT = {"PIL", "faiss", "matplotlib", "pandas", "ray", "seaborn", "torchvision"}
"""Packages that a small environment may lack: ``bench select --embeddings`` needs none of them."""


class Command(TyperCommand):
    """A command that refuses a repeated option, whose last value would silently win; lists and flags may repeat.

    ``sys.exit`` in a plugin's function is an error, since an exit code of 0 would claim that the command succeeded.
    """

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in _LEFT_OUT:
                raise
            without = ", or add --executor local" if package == "ray" else ""
            raise BenchError(
                f"this needs {package}, which is not installed: run {install_command()}{without}."
            ) from error
        except SystemExit as error:  # the commands themselves raise typer.Exit
            # ``bench table RUN | head``: rich exits when the reader has gone, as click does by itself.
            if isinstance(error.__context__, BrokenPipeError):
                raise typer.Exit(1) from error
            raise BenchError(f"a plugin or library ended the command: {reason_of(error)}.") from error

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        # A copy, since parsing empties the list.
        words = list(args)
        with one_line(ctx):
            rest = super().parse_args(ctx, args)
        # Completion parses half a line, which must not be refused.
        options = [] if ctx.resilient_parsing else self.make_parser(ctx).parse_args(list(words))[2]
        for option, count in Counter(options).items():
            single = isinstance(option, TyperOption) and not (option.multiple or option.is_flag)
            if single and count > 1:
                # The long form, as ``--help`` shows it.
                name = max(option.opts, key=len)
                form = "it takes one value"
                if re.search(r"comma-separated|'[\w.=]+,[\w.=]+", getattr(option, "help", None) or "", re.IGNORECASE):
                    form = f"write {name} {','.join(_values(words, option.opts))}"
                raise SpecError(f"{name} was given {count} times; {form}.")
        return rest


class Commands(TyperGroup):
    """A group of commands that prints "Interrupted.", which Typer leaves out, even while options are being read."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with one_line(ctx):
            return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if self.get_command(ctx, args[0]) is None and not ctx.resilient_parsing:
            raise UnknownName(f"command of {ctx.command_path}", args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _interruption_reported():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with _interruption_reported():
            return super().invoke(ctx)


@contextmanager
def _interruption_reported() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("Interrupted.", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _values(words: list[str], names: list[str]) -> list[str]:
    """Return the values of an option, written as ``--name VALUE`` or ``--name=VALUE``."""
    separate = [value for word, value in itertools.pairwise(words) if word in names]
    joined = [word.partition("=") for word in words]
    return separate + [value for name, equals, value in joined if equals and name in names]
