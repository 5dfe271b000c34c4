"""Text tables, and their rendering as Markdown and LaTeX."""

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
WARNING = "Warning"


class Field(NamedTuple):
    """One entry of a table."""

    text: str
    bold: bool = False
    faint: bool = False


class Section(NamedTuple):
    """Lines of a table under one heading; an empty heading is not shown."""

    heading: str
    lines: tuple[tuple[Field, ...], ...]


class Fact(NamedTuple):
    """A note below a table: ``Pool: N = 5,000 images of cifar10``."""

    label: str
    text: str

    def __str__(self) -> str:
        return f"{self.label}: {self.text}"


@dataclass(frozen=True)
class TextTable:
    """A table of texts.

    Attributes:
        title: one line.
        columns: column headings.
        sections: the lines; every line is as long as ``columns``.
        lead: a line between title and headings, or empty.
        facts: notes below the table.
        left: number of leading columns that are aligned to the left; the others are aligned to the right.
    """

    title: str
    columns: tuple[str, ...]
    sections: tuple[Section, ...]
    lead: str = ""
    facts: tuple[Fact, ...] = ()
    left: int = 1

    @property
    def notes(self) -> tuple[str, ...]:
        """The facts as texts."""
        return tuple(map(str, self.facts))


class Tex(NamedTuple):
    r"""Options of tables in LaTeX.

    Attributes:
        caption: LaTeX code of the caption; empty for the table's title.
        label: label for ``\ref``; later tables get a number appended. Empty for none.
        wide: whether a table spans both columns of a two-column page (``table*``).
        notes: whether notes are printed ``below`` the table, or become ``comments`` in the source.
    """

    caption: str = ""
    label: str = ""
    wide: bool = False
    notes: str = "below"


def markdown(tables: Iterable[TextTable]) -> str:
    """Return tables as GitHub-flavoured Markdown, with a level-2 heading for each."""
    return "\n".join(_markdown(table) for table in tables)


def latex(tables: Iterable[TextTable], tex: Tex | None = None) -> str:
    """Return tables as LaTeX ``table`` environments for ``booktabs``, none of them wider than the text."""
    tex, several = tex or Tex(), list(tables)
    parts = []
    for number, table in enumerate(several):
        caption = f"{escape_latex(table.title)}."
        if tex.caption:
            # The same caption would not tell several tables apart.
            own = tex.caption if tex.caption.endswith((".", ":", "!", "?")) else f"{tex.caption}:"
            caption = f"{own} {caption}" if len(several) > 1 else tex.caption
        # ``\ref`` needs different labels.
        label = f"{tex.label}-{number + 1}" if tex.label and number else tex.label
        parts.append(_latex(table, tex._replace(caption=caption, label=label)))
    return "% needs \\usepackage{booktabs,graphicx}\n" + "\n".join(parts)


def to_csv(records: Sequence[Mapping[str, object]]) -> str:
    """Return CSV with a header, from records with the same keys.

    Floats have six decimals, but rates, scores and p-values have significant digits. None is empty, a bool 0 or 1, and
    a list is joined by blanks.
    """
    lines = [list(records[0]), *([_csv_value(*item) for item in record.items()] for record in records)]
    return "".join(map(_csv_line, lines))


def _csv_line(values: Sequence[str]) -> str:
    """Return one line of CSV; a name with a bare carriage return is quoted, since readers take it for a line end."""
    out = io.StringIO()
    # Python's writer only quotes characters of its own line end; with "\n" it would leave a "\r" unquoted.
    csv.writer(out, lineterminator="\r\n").writerow(values)
    return out.getvalue().removesuffix("\r\n") + "\n"


def escape_markdown(text: str) -> str:
    """Escape characters that GitHub would read as markup; an underscore inside a word is not."""
    # "|" would end the cell and "<" begin HTML; names of methods may come from other people's rows.
    text = re.sub(r"([\\`*|<>\[\]~#$])", r"\\\1", text)
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)


def escape_latex(text: str) -> str:
    """Escape LaTeX's special characters, and write a few other characters as LaTeX commands."""
    # Character by character: repeated replacing would escape the braces of "\textbackslash{}" too.
    return "".join(_LATEX.get(character, character) for character in text)


def write_text(folder: Path, name: str, contents: dict[str, str]) -> list[Path]:
    """Write ``folder/name.SUFFIX`` in UTF-8 for each suffix, each file as a whole or not at all.

    Raises:
        BenchError: the folder cannot be written.
    """
    return [
        # Surrogates stand for the bytes of a file name that is not UTF-8; a strict encoder would refuse them.
        write_bytes(folder / f"{name}.{suffix}", content.encode("utf-8", "surrogateescape"))
        for suffix, content in contents.items()
    ]


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file as a whole or not at all, and return its path.

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


def _csv_value(name: str, value: object) -> str:
    if value is None:
        return ""
    # Before numbers: a bool is an int in Python.
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, list):
        # Not joined by commas, which would be quoted, and which some spreadsheets read as decimal points.
        return " ".join(map(str, value))
    # Six decimals in percent are finer than one image of a million, and the same on every machine.
    return f"{value:{_DIGITS.get(name, '.6f')}}" if isinstance(value, float) else str(value)


_DIGITS = {"rate": ".9g", "score": ".9g", "p": ".6g", "p_holm": ".6g", "p_floor": ".6g"}
"""Formats of the columns whose numbers may be tiny; nine digits give a float32 back."""


def _markdown(table: TextTable) -> str:
    def line(fields: Sequence[str]) -> str:
        return f"| {' | '.join(fields)} |"

    def field(entry: Field) -> str:
        text = escape_markdown(entry.text)
        mark = "**" if entry.bold else "*" if entry.faint else ""
        return f"{mark}{text}{mark}" if text else ""

    parts = [f"## {escape_markdown(table.title)}", ""]
    if table.lead:
        parts += [escape_markdown(table.lead), ""]
    if table.sections:
        parts.append(line([escape_markdown(column) for column in table.columns]))
        parts.append(line([":--" if number < table.left else "--:" for number in range(len(table.columns))]))
        for section in table.sections:
            if section.heading:
                parts.append(line([f"*{escape_markdown(section.heading)}*", *[""] * (len(table.columns) - 1)]))
            parts += [line([field(entry) for entry in entries]) for entries in section.lines]
        parts.append("")
    parts += [f"- **{escape_markdown(fact.label)}**: {escape_markdown(fact.text)}" for fact in table.facts]
    return "\n".join(parts) + "\n"


def _latex(table: TextTable, tex: Tex) -> str:
    width = len(table.columns)
    environment = "table*" if tex.wide else "table"

    def line(fields: Iterable[str]) -> str:
        text = " & ".join(fields)
        # After the line break of the previous row, a bracket or a star would be read as its option.
        return f"{'{}' if text[:1] in ('[', '*') else ''}{text} \\\\"

    def field(entry: Field) -> str:
        text = escape_latex(entry.text)
        command = "textbf" if entry.bold else "textit" if entry.faint else ""
        return f"\\{command}{{{text}}}" if command and text else text

    def across(text: str) -> str:
        return f"\\multicolumn{{{width}}}{{l}}{{{text}}} \\\\"

    parts = [f"% {escape_latex(note)}" for note in table.notes if tex.notes == "comments"]
    parts += [f"\\begin{{{environment}}}", "\\centering", f"\\caption{{{tex.caption}}}"]
    parts += [f"\\label{{{tex.label}}}"] * bool(tex.label)
    # The table's own width, or the width of the text if that is smaller.
    parts.append("\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%")
    parts += [f"\\begin{{tabular}}{{{'l' * table.left}{'r' * (width - table.left)}}}", "\\toprule"]
    if table.sections:
        parts.append(line(escape_latex(column) for column in table.columns))
    if table.lead:
        parts += ["\\midrule"] * bool(table.sections) + [across(escape_latex(table.lead))]
    for section in table.sections:
        parts.append("\\midrule")
        if section.heading:
            parts.append(across(f"\\emph{{{escape_latex(section.heading)}}}"))
        parts += [line(field(entry) for entry in entries) for entries in section.lines]
    parts += ["\\bottomrule", "\\end{tabular}}"]
    if tex.notes == "below" and table.facts:
        texts = [f"\\emph{{{escape_latex(fact.label)}:}} {escape_latex(fact.text)}." for fact in table.facts]
        parts += ["\\par\\smallskip", "\\parbox{\\linewidth}{\\footnotesize\\raggedright", *texts, "}"]
    return "\n".join([*parts, f"\\end{{{environment}}}", ""])
