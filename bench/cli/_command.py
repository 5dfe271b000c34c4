"""What every command is made of: an option that takes one value is not given twice."""

from __future__ import annotations

from collections import Counter
from typing import Any

from typer.core import TyperCommand, TyperOption

from bench.errors import SpecError


class Command(TyperCommand):
    """Refuses an option that is given again, of which the last value would silently win; lists and flags may repeat."""

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
