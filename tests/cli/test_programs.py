"""What a program relies on: exit codes as docs/command-line.md lists them, and one JSON object per command."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench.cli import app, main
from tests.cli.commands import run
from tests.digits import load_digits

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "command-line.md").read_text()
TINY = ("--datasets", "digits", "--rates", "0.9", "--pool-size", "300", "--recipe", "iterations=8,evaluations=1")


def ask(*arguments: str, code: int = 0) -> dict[str, Any]:
    """Run a command in this process, which must print one JSON object and nothing else."""
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == code, (done.output, done.exception)
    return json.loads(done.stdout)


def fields(command: str) -> set[str]:
    """The top-level fields that the page lists for a command."""
    [line] = [line for line in PAGE.splitlines() if line.startswith(f"| `{command}` |")]
    outer = re.sub(r"\([^)]*\)", "", line.split("|")[2])
    return set(re.findall(r"`([a-z_]+)`", outer))


@pytest.mark.usefixtures("ray_session", "troublemakers")
def test_a_run_ends_with_its_summary(tmp_path: Path) -> None:
    places = ("--out", str(tmp_path / "out"), "--cache-dir", str(tmp_path / "cache"), "--device", "cpu")
    plan = ask("run", "--methods", "random,raises", *TINY, *places, "--dry-run")
    assert set(plan) == fields("run --dry-run")
    assert [(cell["variant"], cell["budget"], cell["finished"]) for cell in plan["cells"]] == [
        ("random", 30, False),
        ("raises", 30, False),
    ]
    assert [stage["kind"] for stage in plan["stages"]] == ["selection", "selection"]
    assert all(item["memory_bytes"] > 0 for item in (*plan["cells"], *plan["stages"]))
    assert not (tmp_path / "out").exists()

    summary = ask("run", "--methods", "random,raises", *TINY, *places, code=1)
    assert set(summary) == fields("run")
    assert (summary["cells"], summary["written"], summary["left"], summary["exit_code"]) == (2, 1, 1, 1)
    [failed] = summary["failed"]
    assert failed["cell_id"] == plan["cells"][1]["cell_id"]
    assert "divides by zero" in failed["reason"]
    assert all(Path(path).is_file() for path in summary["tables"])

    again = ask("run", "--methods", "random", *TINY, *places)
    assert (again["written"], again["exit_code"]) == (1, 0)
    assert ask("validate", str(tmp_path / "out")) == {"rows": 1, "problems": [], "not_checked": []}

    foreign = tmp_path / "out" / "rows" / "of-another-grid.json"
    foreign.write_text("{")
    told = ask("run", "--methods", "random", *TINY, *places, code=1)
    assert (told["written"], told["tables"], told["exit_code"]) == (1, [], 1), "its own cells are told all the same"
    foreign.unlink()

    [row] = (tmp_path / "out" / "rows").glob("*.json")
    trained = ask("train", "--row", str(row), "--out", str(tmp_path / "retrained"))
    assert set(trained) == fields("train")
    assert (trained["reproduced"], trained["differences"]) == (True, [])

    row.write_text(row.read_text().replace('"budget": 30', '"budget": 31'))
    told = ask("validate", str(tmp_path / "out"), code=1)
    assert {item["file"] for item in told["problems"]} == {str(row)}


def test_select_prints_its_summary_and_progress_elsewhere(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", load_digits().data[:200])
    choice = ("--embeddings", "x.npy", "--classes", "10", "--budget", "20", "--method", "d2-label-free")
    done = run(tmp_path, "select", *choice, "--json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == fields("select") - {
        "contact_sheet",
        "other_files",
        "skipped",
        "handed_over",
        "scores",
    }
    assert "neighbours" in done.stderr


def test_select_among_images_prints_more(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number, pixels in enumerate(load_digits().images[:6].astype(np.uint8)):
        Image.fromarray(pixels * 15).save(tmp_path / "photos" / f"{number}.png")
    (tmp_path / "photos" / "broken.jpg").touch()
    choice = ("--classes", "2", "--budget", "3", "--method", "random", "--encoder", "pixels(size=8)", "--device", "cpu")
    places = ("--images", str(tmp_path / "photos"), "--out", str(tmp_path / "x.csv"), "--cache-dir", str(tmp_path))
    more = ("--format", "coco", "--scores", str(tmp_path / "all.parquet"))
    assert set(ask("select", *choice, *places, *more)) == fields("select")


@pytest.mark.parametrize("kind", ["methods", "datasets", "encoders", "models"])
def test_listings_as_json(kind: str) -> None:
    from bench import plugins

    listed = ask("list", kind)[kind]
    assert [item["name"] for item in listed] == [entry.name for entry in getattr(plugins, kind)]
    assert all({"name", "what", "parameters", "source", "version"} <= item.keys() for item in listed)


@pytest.mark.usefixtures("troublemakers")
def test_check_tells_what_failed() -> None:
    assert set(ask("check", "random")) == fields("check")
    told = ask("check", "raises", code=1)
    failed = [item for item in told["findings"] if item["outcome"] == "failed"]
    assert len(failed) == told["counts"]["failed"] > 0


def test_the_cache_as_json(tmp_path: Path) -> None:
    from bench.store.cache import Store

    class Named:
        kind, key = "numbers", "a" * 64

        def describe(self) -> dict[str, str]:
            return {}

    Store(tmp_path).get(Named(), lambda: {"x": np.zeros(5000, dtype=np.uint8)})
    place = ("--cache-dir", str(tmp_path))
    [item] = ask("cache", "list", *place)["artifacts"]
    assert (item["kind"], item["key"]) == ("numbers", "a" * 64)
    assert ask("cache", "verify", *place)["damaged"] == []
    arrays = tmp_path / "numbers" / f"{'a' * 64}.npz"
    arrays.write_bytes(arrays.read_bytes()[:-7])
    assert len(ask("cache", "verify", *place, code=1)["damaged"]) == 1
    assert len(ask("cache", "prune", "--all", *place)["artifacts"]) == 1
    assert ask("cache", "list", *place)["artifacts"] == []


def test_a_table_as_json_holds_the_numbers_of_its_csv(tmp_path: Path) -> None:
    rows = ROOT / "results" / "digits-demo"
    told = ask("table", str(rows), "--out", str(tmp_path))
    assert set(told) == fields("table")
    [block] = told["blocks"]
    assert (block["dataset"], block["rates"], block["seeds"]) == ("digits", [0.5, 0.9], [0, 1])
    assert block["notes"][0].startswith("Accuracy: last-iteration test accuracy in percent, mean")
    [table] = [path for path in told["tables"] if path.endswith(".csv")]
    records = list(csv.DictReader(io.StringIO(Path(table).read_text())))
    assert len(records) == len(told["results"])
    for record, result in zip(records, told["results"], strict=True):
        assert record.keys() == result.keys()
        assert float(record["mean"]) == pytest.approx(result["mean"], abs=1e-6)
        assert record["seeds"] == " ".join(map(str, result["seeds"]))
    assert told["failed"] == []


def test_doctor_says_when_something_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench import doctor

    broken = doctor.SetupFinding("torch", "problem", "it is not there", "install it")
    monkeypatch.setattr(doctor, "examine", lambda cache: [broken])
    told = ask("doctor", code=1)
    assert set(told) == fields("doctor")
    assert told["findings"] == [broken._asdict()]


REFUSED = [
    ("run", "--methods", "elsf"),
    ("select", "--budget", "5", "--classes", "3"),
    ("train", "--row", "nowhere.json"),
    ("table", "nowhere"),
    ("validate", "nowhere"),
    ("check", "elsf"),
    ("cache", "prune"),
    ("leaderboard", "nowhere"),
    ("compare", "nowhere"),
    ("plot", "accuracy", "nowhere"),
    ("report", "nowhere"),
    ("export", "nowhere"),
]


def as_json(arguments: tuple[str, ...]) -> list[str]:
    """The arguments, with ``--json`` where the command has it."""
    has_json = arguments[0] not in ("leaderboard", "compare", "plot", "report", "export")
    return [*arguments, *(["--json"] * has_json)]


def check_refusal(arguments: list[str], code: object, output: str, errors: str) -> None:
    assert code == 2, errors
    [line] = errors.splitlines()
    if "--json" in arguments:
        told = json.loads(output)
        assert line == f"Error: {told['error']}"
        assert told["exit_code"] == 2
    else:
        assert output == ""


@pytest.mark.parametrize("arguments", [as_json(words) for words in REFUSED], ids=" ".join)
def test_bad_input_is_2(
    tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    # Else a `cache prune` that were not refused would delete the user's cache.
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    check_refusal(arguments, ended.value.code, said.out, said.err)


@pytest.mark.parametrize("arguments", [as_json(REFUSED[0]), as_json(REFUSED[-1])], ids=" ".join)
def test_the_process_of_a_command_ends_with_its_code(tmp_path: Path, arguments: list[str]) -> None:
    done = run(tmp_path, *arguments)
    check_refusal(arguments, done.returncode, done.stdout, done.stderr)


def test_interrupting_a_choice_is_130(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", load_digits().data)
    command = [sys.executable, "-m", "bench", "select", "--embeddings", "x.npy", "--classes", "10", "--budget", "50"]
    command += ["--cache-dir", "cache", "--threads", "1", "--method", "elfs(heads=50,cluster_epochs=1000)"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "neighbours" in process.stderr.readline()  # clustering has begun
        process.send_signal(signal.SIGINT)
        text = process.stderr.read()
    assert process.returncode == 130
    assert "Traceback" not in text
    assert not (tmp_path / "to_label.csv").exists()


@pytest.mark.parametrize("words", [("list", "methods"), ("table", "results/digits-demo")])
def test_a_reader_that_has_gone_ends_a_command_without_a_word(tmp_path: Path, words: tuple[str, ...]) -> None:
    """As ``bench table RUN | head`` does once it has its lines."""
    reading, writing = os.pipe()
    os.close(reading)
    out = ("--out", str(tmp_path)) if words[0] == "table" else ()
    command = [sys.executable, "-m", "bench", *words, *out]
    done = subprocess.run(command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")
