"""Tables on a terminal, with colours and fitted to its width, and as plain text in piped output."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.results.rendering import WARNING, TextTable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def show(content: TextTable, console: Console | None = None) -> None:
    """Print a table; numbers break over two lines if the terminal is too narrow.

    Args:
        content: the table.
        console: console to print to; None for standard output.
    """
    from rich.console import Console
    from rich.text import Text

    console = console or Console(highlight=False)
    # Measured without a limit: rich would report the width to which it cut the table.
    wide = console.options.update(width=_UNLIMITED)
    layouts = [_table(content, layout) for layout in _LAYOUTS]
    widths = [console.measure(table, options=wide).maximum for table in layouts]
    if not console.is_terminal:
        # Piped output has no width of its own; rich takes 80, at which a table would break.
        console.width = max(widths[0], console.width)
    fitting = (table for table, needed in zip(layouts, widths, strict=True) if needed <= console.width)
    table = next(fitting, layouts[-1])
    # A narrower terminal breaks the lines itself; a table cut to fit would show cut numbers.
    console.width = max(console.width, console.measure(table, options=wide).minimum)
    console.print(Text(content.title, style="bold"), soft_wrap=not console.is_terminal)
    if content.lead:
        console.print(Text(content.lead), soft_wrap=not console.is_terminal)
    if content.sections:
        console.print(table)
        console.print()
    for fact in content.facts:
        if fact.label == "Bold" and not console.is_terminal:
            continue  # Plain text has no bold.
        style = "yellow" if fact.label in (WARNING, "Incomplete") else "dim"
        console.print(Text(str(fact), style=style), soft_wrap=not console.is_terminal)
    console.print()


class _Layout(NamedTuple):
    """The spacing of a table: blanks after a column, and the texts before a deviation and a bracket in a cell."""

    gap: int
    plus_minus: str
    bracket: str


_LAYOUTS = (_Layout(2, " ± ", " ("), _Layout(1, "±", " ("), _Layout(1, "\n±", "\n("))
_UNLIMITED = 10_000
_LABEL = 20


def _table(content: TextTable, layout: _Layout) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, layout.gap, 0, 0))
    lines = [fields for section in content.sections for fields in section.lines]
    for number, column in enumerate(content.columns):
        left = number < content.left
        # Numbers may break, names of methods only if they are long.
        longest = max((len(fields[number].text) for fields in lines), default=0) if left else 0
        table.add_column(
            column, justify="left" if left else "right", overflow="fold", min_width=min(longest, _LABEL) or None
        )
    for section in content.sections:
        if section.heading:
            table.add_row(*([""] * (content.left - 1)), Text(section.heading, style="cyan"))
        for fields in section.lines:
            texts = []
            for number, field in enumerate(fields):
                text = field.text
                if number >= content.left:
                    text = text.replace(" ± ", layout.plus_minus).replace(" (", layout.bracket)
                texts.append(Text(text, style="bold green" if field.bold else "dim" if field.faint else ""))
            table.add_row(*texts)
        table.add_section()
    return table
