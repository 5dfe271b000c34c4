"""A table of texts, and its renderings as Markdown and LaTeX; what it says is decided by who builds it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.errors import BenchError
from bench.store.files import write_atomically

MISSING = "\N{EN DASH}"


class Field(NamedTuple):
    """One entry of a table."""

    text: str
    bold: bool = False
    faint: bool = False


class Section(NamedTuple):
    """Lines of a table under one heading; an empty heading is not shown."""

    heading: str
    lines: tuple[tuple[Field, ...], ...]


@dataclass(frozen=True)
class Sheet:
    """One table.

    Attributes:
        title: one line.
        columns: headings.
        sections: lines; every line is as long as ``columns``.
        lead: a line between title and headings, or empty.
        notes: sentences below the table; together with the title they are the caption.
        left: number of leading columns that are aligned to the left; the others are aligned to the right.
    """

    title: str
    columns: tuple[str, ...]
    sections: tuple[Section, ...]
    lead: str = ""
    notes: tuple[str, ...] = ()
    left: int = 1


def markdown(sheets: Iterable[Sheet]) -> str:
    """GitHub-flavoured Markdown, one heading of level 2 per sheet."""
    return "\n".join(_markdown(sheet) for sheet in sheets)


def latex(sheets: Iterable[Sheet]) -> str:
    """One ``table`` environment per sheet, for ``booktabs``."""
    return "% needs \\usepackage{booktabs}\n" + "\n".join(_latex(sheet) for sheet in sheets)


def to_csv(records: Sequence[Mapping[str, object]]) -> str:
    """CSV with a header, from records of the same keys: floats with six decimals, None empty, a bool as 0 or 1."""
    lines = [list(records[0]), *([_csv_value(value) for value in record.values()] for record in records)]
    return "".join(map(_csv_line, lines))


def _csv_line(values: Sequence[str]) -> str:
    """One line. Python's writer quotes the characters of its own line end alone; a bare return ends a line too."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(values)
    return out.getvalue().removesuffix("\r\n") + "\n"


def escape_markdown(text: str) -> str:
    """Escape what GitHub would read as markup; an underscore inside a word is none."""
    text = re.sub(r"([\\`*|<>\[\]~#$])", r"\\\1", text)
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)


def escape_latex(text: str) -> str:
    """Escape LaTeX's special characters, and write the few signs we use as commands of plain LaTeX."""
    return "".join(_LATEX.get(character, character) for character in text)


def write_text(folder: Path, name: str, contents: dict[str, str]) -> list[Path]:
    """Write ``folder/name.SUFFIX`` for each suffix, each file whole or not at all, in UTF-8; file names that are
    none stay as they are.

    Raises:
        BenchError: the folder cannot be written.
    """
    return [
        write_bytes(folder / f"{name}.{suffix}", content.encode("utf-8", "surrogateescape"))
        for suffix, content in contents.items()
    ]


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all; return its path.

    Raises:
        BenchError: the folder cannot be written.
    """
    try:
        write_atomically(path, content)
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror}.") from error
    return path


_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "%": r"\%",
    "_": r"\_",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    MISSING: "--",
}


def _csv_value(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def _markdown(sheet: Sheet) -> str:
    def line(fields: Sequence[str]) -> str:
        return f"| {' | '.join(fields)} |"

    def field(entry: Field) -> str:
        text = escape_markdown(entry.text)
        mark = "**" if entry.bold else "*" if entry.faint else ""
        return f"{mark}{text}{mark}" if text else ""

    parts = [f"## {escape_markdown(sheet.title)}", ""]
    if sheet.lead:
        parts += [escape_markdown(sheet.lead), ""]
    if sheet.sections:
        parts.append(line([escape_markdown(column) for column in sheet.columns]))
        parts.append(line([":--" if number < sheet.left else "--:" for number in range(len(sheet.columns))]))
        for section in sheet.sections:
            if section.heading:
                parts.append(line([f"*{escape_markdown(section.heading)}*", *[""] * (len(sheet.columns) - 1)]))
            parts += [line([field(entry) for entry in entries]) for entries in section.lines]
        parts.append("")
    parts += [f"- {escape_markdown(note)}" for note in sheet.notes]
    return "\n".join(parts) + "\n"


def _latex(sheet: Sheet) -> str:
    width = len(sheet.columns)

    def line(fields: Iterable[str]) -> str:
        return f"{' & '.join(fields)} \\\\"

    def field(entry: Field) -> str:
        text = escape_latex(entry.text)
        command = "textbf" if entry.bold else "textit" if entry.faint else ""
        return f"\\{command}{{{text}}}" if command and text else text

    def across(text: str) -> str:
        return f"\\multicolumn{{{width}}}{{l}}{{{text}}} \\\\"

    caption = " ".join(escape_latex(text) for text in (f"{sheet.title}.", *sheet.notes))
    parts = [
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{caption}}}",
        f"\\begin{{tabular}}{{{'l' * sheet.left}{'r' * (width - sheet.left)}}}",
        "\\toprule",
    ]
    if sheet.sections:
        parts.append(line(escape_latex(column) for column in sheet.columns))
    if sheet.lead:
        parts += ["\\midrule"] * bool(sheet.sections) + [across(escape_latex(sheet.lead))]
    for section in sheet.sections:
        parts.append("\\midrule")
        if section.heading:
            parts.append(across(f"\\emph{{{escape_latex(section.heading)}}}"))
        parts += [line(field(entry) for entry in entries) for entries in section.lines]
    parts += ["\\bottomrule", "\\end{tabular}", "\\end{table}", ""]
    return "\n".join(parts)
