from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.results.rendering import (
    MISSING,
    Fact,
    Field,
    Section,
    Tex,
    TextTable,
    escape_latex,
    escape_markdown,
    latex,
    markdown,
    to_csv,
    write_text,
)

TABLE = TextTable(
    title="a_b, 50 % & more",
    columns=("method", "30 %", "90 %"),
    sections=(
        Section("no labels", ((Field("x_1|y"), Field("1.0 ± 0.2", bold=True), Field(MISSING)),)),
        Section("", ((Field("#z", faint=True), Field("2.0"), Field("")),)),
    ),
    lead="full_data: 99 %",
    facts=(Fact("Note_1", "100 % & {braces}"),),
)


def test_latex_escapes_every_special_character() -> None:
    assert escape_latex(f"50 % a_b & #1 $x {{y}} ± {MISSING}") == r"50 \% a\_b \& \#1 \$x \{y\} $\pm$ --"
    assert escape_latex("\\~^") == r"\textbackslash{}\textasciitilde{}\textasciicircum{}"


def test_latex_lines_have_as_many_cells_as_the_table_has_columns() -> None:
    text = latex([TABLE, TABLE])
    body = [line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert len(body) == 2 * 3
    assert all(len(re.findall(r"(?<!\\)&", line)) == 2 for line in body)
    assert len(re.findall(r"(?<!\\)\{", text)) == len(re.findall(r"(?<!\\)\}", text))
    assert text.count("\\begin{table}") == text.count("\\end{table}") == 2
    assert "\\begin{tabular}{lrr}" in text
    assert "\\textbf{1.0 $\\pm$ 0.2}" in text
    assert text.isascii()


def test_latex_has_no_unescaped_special_character_outside_commands() -> None:
    text = latex([TABLE]).removeprefix("% needs")
    assert not re.search(r"(?<!\\)[%#_]", text.replace("{!}{%\n", ""))


def test_facts_are_a_list_in_markdown_and_notes_or_comments_in_latex() -> None:
    assert markdown([TABLE]).endswith("\n- **Note_1**: 100 % & {braces}\n")
    note = r"\emph{Note\_1:} 100 \% \& \{braces\}."
    assert note in latex([TABLE]).splitlines()
    commented = latex([TABLE], Tex(notes="comments")).splitlines()
    assert r"% Note\_1: 100 \% \& \{braces\}" in commented
    assert not any("footnotesize" in line for line in commented)


def test_captions_and_labels_are_the_users_and_differ_between_tables() -> None:
    one = latex([TABLE], Tex(caption=r"Ours, \cite{elfs}.", label="tab:x", wide=True))
    assert r"\caption{Ours, \cite{elfs}.}" in one
    assert one.count("{table*}") == 2
    two = latex([TABLE, TABLE], Tex(caption="Ours.", label="tab:x"))
    assert re.findall(r"\\label\{(.*)\}", two) == ["tab:x", "tab:x-2"]
    assert r"\caption{Ours. a\_b, 50 \% \& more.}" in two
    assert r"\caption{Ours: a\_b, 50 \% \& more.}" in latex([TABLE, TABLE], Tex(caption="Ours"))
    assert "\\label" not in latex([TABLE])


def test_markdown_lines_have_as_many_cells_as_the_table_has_columns() -> None:
    lines = [line for line in markdown([TABLE]).splitlines() if line.startswith("|")]
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in lines] == [4] * 5
    assert lines[1] == "| :-- | --: | --: |"
    assert lines[3] == rf"| x_1\|y | **1.0 ± 0.2** | {MISSING} |"


def test_markdown_escapes_what_github_reads_as_markup() -> None:
    assert escape_markdown("a*b* <i> `c` [d] _e_ pool_size") == r"a\*b\* \<i\> \`c\` \[d\] \_e\_ pool_size"


def test_csv_quotes_and_formats() -> None:
    records = [{"a": 'x, "y"', "b": 0.1, "c": None, "d": True, "e": 3}]
    assert to_csv(records) == 'a,b,c,d,e\n"x, ""y""",0.100000,,1,3\n'
    assert to_csv([{"rate": 0.95, "seeds": [0, 1]}, {"rate": None, "seeds": []}]) == "rate,seeds\n0.95,0 1\n,\n"
    # Of ImageNet's images, 1,000 and 1,001 are kept.
    assert to_csv([{"rate": 0.9992195}, {"rate": 0.9992187}]) == "rate\n0.9992195\n0.9992187\n"


def test_csv_keeps_small_p_values_and_scores() -> None:
    """With six decimals, a p-value of 3e-9 was 0, and so was each score of a confident network."""
    small = {"p": 3.21654987e-9, "p_holm": 0.0400123456, "p_floor": 2.0**-30, "score": 2.5e-7}
    assert to_csv([small]) == "p,p_holm,p_floor,score\n3.21655e-09,0.0400123,9.31323e-10,2.5e-07\n"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match=r"cannot write .*accuracy.md"):
        write_text(tmp_path / "file", "accuracy", {"md": "x"})


@pytest.mark.parametrize("text", ["a\rb", "a\r\nb", "a\nb", 'a"b', "a,b", "=1+1", "\r", " x ", "\u2028", "ä"])
def test_csv_gives_every_text_back(text: str) -> None:
    """A bare carriage return ended a line: case F9 of 2026-11-28."""
    written = to_csv([{"file": text, "n": 1}, {"file": "plain", "n": 2}])
    assert list(csv.reader(io.StringIO(written, newline=""))) == [["file", "n"], [text, "1"], ["plain", "2"]]
