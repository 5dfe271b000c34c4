"""What every command is made of: no option of one value given twice, and no end but its own."""

from __future__ import annotations

from collections import Counter
from typing import Any

from typer.core import TyperCommand, TyperOption

from bench.errors import BenchError, SpecError
from bench.outside import reason_of


class Command(TyperCommand):
    """Refuses an option that is given again, of which the last value would silently win; lists and flags may repeat.

    ``sys.exit`` in a plugin's function is an error: an exit code of 0 says that the command did what was asked.
    """

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except SystemExit as error:  # the commands themselves raise typer.Exit
            raise BenchError(f"a plugin or library ended the command: {reason_of(error)}.") from error

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        words = list(args)
        rest = super().parse_args(ctx, args)
        given = [] if ctx.resilient_parsing else self.make_parser(ctx).parse_args(words)[2]
        for option, count in Counter(given).items():
            single = isinstance(option, TyperOption) and not (option.multiple or option.is_flag)
            if single and count > 1:
                name = max(option.opts, key=len)
                raise SpecError(f"{name} was given {count} times; it takes one value, or a list where --help says so.")
        return rest
