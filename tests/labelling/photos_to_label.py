"""Photographs with odd names, and bench select on them."""

from __future__ import annotations

import csv
from pathlib import Path

from typer.testing import CliRunner, Result

from bench.cli import app

NAMES = ("a/1.png", "b/two words.jpg", "=SUM(A1).png", "umlaut-ä.png", "100%.png", "line\nbreak.png")


def select(folder: Path, *arguments: str) -> Result:
    given = (
        "select",
        "--cache-dir",
        str(folder / "cache"),
        "--threads",
        "1",
        "--device",
        "cpu",
        "-q",
        "--classes",
        "2",
    )
    method = () if "--method" in arguments else ("--method", "random")
    out = () if "--out" in arguments else ("--out", str(folder / "to_label.csv"))
    return CliRunner().invoke(app, [*given, *method, *out, *arguments])


def of_photos(folder: Path, photos: Path, *arguments: str) -> Result:
    done = select(folder, "--images", str(photos), "--encoder", "pixels(size=8)", "--budget", "6", *arguments)
    assert done.exit_code == 0, done.output or done.exception
    return done


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
