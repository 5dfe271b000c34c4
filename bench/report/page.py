"""Puts the page together: its words, tables and pictures, with style and script inside, so that it needs no network."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import Any, NamedTuple

from bench.plots.figures import Figure
from bench.plots.style import THEMES, Style, save
from bench.quantities import counted
from bench.report.data import leaderboard_data
from bench.results.leaderboard import leaderboard_sheet, standings
from bench.results.sheets import Field, Sheet
from bench.results.table_text import percent, sheet
from bench.results.tables import Block

HEADINGS = {
    "accuracy": "Accuracy against the percentage removed",
    "cost": "Accuracy against cost",
    "scores": "Scores, kept and dropped",
    "balance": "Class balance",
    "overlap": "Overlap of coresets",
}


class Gallery(NamedTuple):
    """Pictures of one method's coreset: hardest kept, hardest dropped, easiest dropped."""

    block: int
    rate: float
    method: str
    pictures: tuple[tuple[str, bytes], ...]


def page(blocks: Sequence[Block], drawn: Iterable[Figure], galleries: Sequence[Gallery], *, compare: bool) -> str:
    """The whole page.

    Args:
        blocks: from ``bench.results.tables.blocks``.
        drawn: from ``bench.plots.figures.figures``, of the same blocks.
        galleries: contact sheets, may be empty.
        compare: show the papers' numbers in the tables.
    """
    figures = list(drawn)
    values = {
        "style": _part("style.css"),
        "script": _part("script.js"),
        "summary": escape(_summary(blocks)),
        "leaderboard": _leaderboard(blocks),
        "blocks": "\n".join(_block(number, block, figures, galleries, compare) for number, block in enumerate(blocks)),
        "contents": "\n".join(
            f'<li><a href="#block-{number}">{escape(block.name)}</a></li>' for number, block in enumerate(blocks)
        ),
        "data": _json(leaderboard_data(blocks)),
    }
    text = _part("template.html")
    for name, value in values.items():
        text = text.replace(f"<!--{name}-->", value)
    return text


def _summary(blocks: Sequence[Block]) -> str:
    rows = list({row.cell_id: row for block in blocks for row in block.rows}.values())
    days = sorted({row.created[:10] for row in rows})
    devices = ", ".join(sorted({row.device for row in rows}))
    seeds = ", ".join(map(str, sorted({row.seed for row in rows})))
    span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    methods = counted(len({row.method for row in rows}), "method")
    return (
        f"{counted(len(rows), 'row')} of {methods}, seeds {seeds}, made {span} (UTC) on "
        f"{devices}. Protocol version {rows[0].protocol}."
    )


def _leaderboard(blocks: Sequence[Block]) -> str:
    if not any(block.lines for block in blocks):
        return ""
    # Without intervals: the page's script ranks anew under its filters, and does not draw seeds.
    table = standings(blocks)
    return _table(leaderboard_sheet(blocks, table, intervals=False), "leaderboard")


def _block(number: int, block: Block, figures: Sequence[Figure], galleries: Sequence[Gallery], compare: bool) -> str:
    made = sheet(block)
    parts = [f'<section id="block-{number}" class="block">', f"<h2>{escape(block.name)}</h2>"]
    parts += [f"<p>{escape(made.lead)}</p>"] * bool(made.lead)
    parts.append(_table(made, f"table-{number}"))
    own = [figure for figure in figures if figure.block == number]
    parts += [_picture(figure) for figure in own if figure.rate is None]
    for rate in block.rates:
        at_rate = [figure for figure in own if figure.rate == rate]
        shown = [gallery for gallery in galleries if (gallery.block, gallery.rate) == (number, rate)]
        if at_rate or shown:
            opened = " open" if rate == block.rates[-1] else ""
            parts.append(f"<details{opened}><summary>{percent(rate)} removed: cost, scores, classes, overlap</summary>")
            parts += [_picture(figure) for figure in at_rate]
            parts += [_gallery(gallery) for gallery in shown]
            parts.append("</details>")
    return "\n".join([*parts, "</section>"])


def _table(made: Sheet, name: str) -> str:
    def field(entry: Field, number: int) -> str:
        text = escape(entry.text)
        text = f"<strong>{text}</strong>" if entry.bold else f"<em>{text}</em>" if entry.faint else text
        return f'<th scope="row">{text}</th>' if number == made.left - 1 else f"<td>{text}</td>"

    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in made.columns)
    body = []
    for section in made.sections:
        lines = "\n".join(
            f"<tr>{''.join(field(entry, number) for number, entry in enumerate(line))}</tr>" for line in section.lines
        )
        heading = f'<tr class="group"><th colspan="{len(made.columns)}">{escape(section.heading)}</th></tr>'
        body.append(f"<tbody>{heading if section.heading else ''}\n{lines}</tbody>")
    notes = "".join(f"<li>{escape(note)}</li>" for note in made.notes)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(made.title)}">'
        f'<table id="{name}" class="sortable left-{made.left}"><thead><tr>{head}</tr></thead>{"".join(body)}</table>'
        f'</div><ul class="notes">{notes}</ul>'
    )


def _picture(figure: Figure) -> str:
    light, dark = (_uri("image/svg+xml", save(figure.draw, "svg", Style(theme))) for theme in THEMES)
    return (
        f"<figure><figcaption>{escape(HEADINGS[figure.kind])}</figcaption><picture>"
        f'<source srcset="{dark}" media="(prefers-color-scheme: dark)">'
        f'<img src="{light}" alt="{escape(figure.title)}" loading="lazy"></picture></figure>'
    )


def _gallery(gallery: Gallery) -> str:
    shown = "".join(
        f"<figure><figcaption>{escape(gallery.method)}: {escape(title)}</figcaption>"
        f'<img class="pixels" src="{_uri("image/png", picture)}" alt="{escape(gallery.method)}: {escape(title)}" '
        f'loading="lazy"></figure>'
        for title, picture in gallery.pictures
    )
    return f'<div class="gallery">{shown}</div>'


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _part(name: str) -> str:
    return files("bench.report").joinpath(name).read_text(encoding="utf-8")


def _json(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
