"""The tables of the commands in a paper of two columns: TeX takes them, and nothing stands out of its column."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app

PAPER = r"""\documentclass[twocolumn]{article}
\usepackage{booktabs,graphicx}
\begin{document}
%s
\end{document}
"""


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex (texlive-latex-recommended)")
def test_tables_compile_and_stay_within_their_columns(folder: Path, tmp_path: Path) -> None:
    commands = {
        "table": ["accuracy.tex", "--compare", "paper", "--label", "tab:t", "--caption", "Ours."],
        "compare": ["comparison.tex", "--wide", "--label", "tab:c", "--notes", "comments"],
        "leaderboard": ["leaderboard.tex", "--label", "tab:l"],
    }
    for command, [_, *options] in commands.items():
        done = CliRunner().invoke(app, [command, str(folder), "--out", str(tmp_path), *options])
        assert done.exit_code == 0, done.output
    inputs = [rf"\input{{{name}}} Table~\ref{{tab:{command[0]}}}." for command, [name, *_] in commands.items()]
    (tmp_path / "paper.tex").write_text(PAPER % "\n".join(inputs))
    for _ in range(2):  # the second run knows the references
        ran = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout[-2000:]
    log = (tmp_path / "paper.log").read_text(errors="replace")
    assert not re.findall(r"Overfull \\hbox.*", log)
    assert "undefined" not in log
