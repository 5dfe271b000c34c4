"""The HTML page: text, tables and pictures, with style and script inside, so that it needs no network."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any, NamedTuple

from bench.plots.figures import Figure
from bench.plots.style import THEMES, Style, save
from bench.progress import Progress
from bench.report.data import leaderboard_data
from bench.results.accuracy_table import accuracy_table
from bench.results.block import Block, Line
from bench.results.comparison import contests
from bench.results.comparison_tables import contest_table
from bench.results.leaderboard import leaderboard_table, standings
from bench.units import counted, percent

HEADINGS = {
    "accuracy": "Accuracy against the percentage removed",
    "cost": "Accuracy against cost",
    "scores": "Scores, kept and dropped",
    "balance": "Class balance",
    "overlap": "Overlap of coresets",
}


class PagePart(NamedTuple):
    """Folders whose rows can share a table: their names, their blocks, and a note for readers."""

    title: str
    blocks: list[Block]
    note: str = ""


class Picture(NamedTuple):
    """An image inside the page, with its size in CSS pixels."""

    uri: str
    width: int
    height: int


class Gallery(NamedTuple):
    """Pictures of one method's coreset at one seed: hardest kept, hardest dropped, easiest dropped."""

    block: int
    rate: float
    method: str
    pictures: tuple[tuple[str, bytes], ...]


def page(
    parts: Sequence[PagePart],
    baselines: Sequence[Line | None],
    drawn: Sequence[Figure],
    galleries: Sequence[Gallery],
    progress: Progress = lambda done, total: None,
) -> str:
    """Return the whole page as HTML.

    Args:
        parts: the parts, at least one.
        baselines: baseline of each block, over all parts; None for a block without one.
        drawn: figures of all blocks, from ``bench.plots.figures.figures``.
        galleries: contact sheets; there may be none.
        progress: called with (number of figures drawn, total number).
    """
    from jinja2 import Environment, StrictUndefined

    figures = []
    for number, figure in enumerate(drawn):
        # In both themes, since a picture in an ``img`` does not know the colours of the page around it.
        light, dark = (svg(save(figure.draw, "svg", Style(theme, font=10))) for theme in THEMES)
        heading = HEADINGS[figure.kind]
        figures.append({"figure": figure, "heading": heading, "title": figure.title, "light": light, "dark": dark})
        progress(number + 1, len(drawn))
    blocks = [block for part in parts for block in part.blocks]
    # An iterator, since blocks are numbered over all parts and listed by part.
    rendered_blocks = iter(
        _block(number, block, line, figures, galleries)
        for number, (block, line) in enumerate(zip(blocks, baselines, strict=True))
    )
    first = [block for block in parts[0].blocks if block.lines]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_file("template.html")).render(
        style=_file("style.css"),
        script=_file("script.js"),
        summary=_summary(blocks),
        # Without intervals: the page's script ranks again under its filters, and does not draw seeds.
        leaderboard=leaderboard_table(first, standings(first), intervals=False) if first else None,
        parts=[
            {"title": part.title, "note": part.note, "blocks": [next(rendered_blocks) for _ in part.blocks]}
            for part in parts
        ],
        data=leaderboard_data({part.title: part.blocks for part in parts}),
    )


def _summary(blocks: Sequence[Block]) -> str:
    import pandas as pd

    # A row without an encoder is in several blocks.
    cells = pd.concat([block.cells for block in blocks]).drop_duplicates("cell_id")
    days = sorted(cells["created"].str[:10])
    devices, seeds, protocols = (sorted(cells[name].unique()) for name in ("device", "seed", "protocol"))
    return (
        f"{counted(len(cells), 'row')} of {counted(cells['family'].nunique(), 'method')}, "
        f"seeds {', '.join(map(str, seeds))}, made "
        f"{' to '.join(dict.fromkeys((days[0], days[-1])))} (UTC) on {', '.join(devices)}. "
        f"Protocol version {' and '.join(map(str, protocols))}."
    )


def _block(
    number: int, block: Block, baseline: Line | None, figures: Sequence[dict[str, Any]], galleries: Sequence[Gallery]
) -> dict[str, Any]:
    """Return the template's values for a block."""
    rates = []
    for rate in block.rates:
        at_rate = [item for item in figures if (item["figure"].block, item["figure"].rate) == (number, rate)]
        sheets = [
            {"method": gallery.method, "pictures": [(title, png(content)) for title, content in gallery.pictures]}
            for gallery in galleries
            if (gallery.block, gallery.rate) == (number, rate)
        ]
        if at_rate or sheets:
            rates.append({"title": percent(rate), "figures": at_rate, "galleries": sheets})
    two_digits = replace(block, digits=2)  # differences are smaller than accuracies
    compared = contest_table(two_digits, baseline, contests(two_digits, baseline)) if baseline else None
    return {
        "number": number,
        "name": block.name,
        "accuracy": accuracy_table(block),
        "contests": compared,
        "figures": [item for item in figures if (item["figure"].block, item["figure"].rate) == (number, None)],
        "rates": rates,
    }


def svg(content: bytes) -> Picture:
    """Return the picture of a matplotlib SVG, whose size is in points: 72 points are 96 pixels of CSS."""
    width, height = (round(float(size) * 4 / 3) for size in re.findall(rb' (?:width|height)="([\d.]+)pt"', content)[:2])
    return Picture(_uri("image/svg+xml", content), width, height)


def png(content: bytes) -> Picture:
    """Return the picture of a PNG, whose pixels are CSS pixels."""
    # A PNG begins with 8 bytes of signature and the header of its first chunk, which holds the size.
    width, height = struct.unpack(">II", content[16:24])
    return Picture(_uri("image/png", content), width, height)


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _file(name: str) -> str:
    return files("bench.report").joinpath(name).read_text(encoding="utf-8")
