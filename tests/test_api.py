"""The front door: grids, rows and tables from Python."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bench
from bench.cli._results import read_blocks
from bench.cli.table import write_tables
from bench.errors import DataError, RowError, SpecError, UnknownName
from bench.plugins import methods
from bench.results.frame import from_frame, to_frame
from bench.results.rows import read_rows

TINY: dict[str, Any] = {
    "methods": "random,aum",
    "datasets": "digits",
    "rates": [0.5, 0.9],
    "seeds": 2,
    "pool_size": 300,
    "recipe": {"iterations": 10, "proxy_epochs": 2, "evaluations": 2},
    "quiet": True,
}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> bench.Run:
    folder = tmp_path_factory.mktemp("api")
    return bench.run(**TINY, out=folder / "out", cache_dir=folder / "cache")


def test_a_run_says_what_was_written_and_runs_nothing_twice(done: bench.Run, tmp_path: Path) -> None:
    assert len(done.written) == 8
    assert done.failed == {}
    before = {path: path.stat().st_mtime_ns for path in (done.out / "rows").iterdir()}
    again = bench.run(**TINY, out=done.out, cache_dir=tmp_path)
    assert again.written == done.written
    assert {path: path.stat().st_mtime_ns for path in (done.out / "rows").iterdir()} == before


def test_a_frame_holds_every_row_and_gives_it_back(done: bench.Run) -> None:
    frame = bench.load_rows(done.out)
    rows = {row.cell_id: row for row in read_rows(done.out)}
    assert len(frame) == len(rows) == 8
    assert {row.cell_id: row for row in from_frame(frame)} == rows
    assert set(frame.method) == {"random", "aum"}
    assert frame.accuracy.between(0, 100).all()
    assert isinstance(frame.params[0], dict)
    pd.testing.assert_frame_equal(to_frame(from_frame(frame)), frame)


def test_a_folder_below_home_is_written_and_read_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    given: dict[str, Any] = {"methods": "random", "datasets": "digits", "rates": [0.9], "executor": "local"}
    recipe = {"iterations": 1, "evaluations": 1}
    done = bench.run(**given, recipe=recipe, out="~/x", cache_dir=tmp_path / "cache", quiet=True)
    assert done.out == tmp_path / "home" / "x"
    assert len(bench.load_rows("~/x")) == 1
    assert not (tmp_path / "~").exists()


def test_tables_are_those_of_the_command_line(done: bench.Run, tmp_path: Path) -> None:
    frame = bench.load_rows(done.out)
    table = bench.table(frame)
    _, [markdown, _, latex] = write_tables(read_blocks([done.out]), tmp_path)
    assert table.to_markdown() == markdown.read_text()
    assert table.to_latex() == latex.read_text()
    mean = frame[(frame.method == "aum") & (frame.rate == 0.9)].accuracy.mean()
    assert table.loc[("digits(pool_size=300)", "-", "small_cnn", "aum"), 0.9] == pytest.approx(mean)
    only = bench.table(frame[frame.method == "random"])
    assert [line[-1] for line in only.index] == ["random"]
    assert type(table.loc[:, [0.9]]) is pd.DataFrame, "a part has no notes of the whole"


def test_comparisons_and_leaderboards_are_frames(done: bench.Run) -> None:
    frame = bench.load_rows(done.out)
    compared = bench.compare(frame, baseline="random")
    [line] = compared[(compared.method == "aum") & (compared.rate == 0.9)].to_dict("records")
    by_seed = frame[frame.rate == 0.9].pivot_table(index="seed", columns="method", values="accuracy")
    assert line["difference"] == pytest.approx((by_seed.aum - by_seed.random).mean())
    assert "aum" in compared.to_markdown()
    board = bench.leaderboard([frame])
    assert sorted(board.method) == ["aum", "random"]
    assert board.to_markdown() == bench.leaderboard(done.out).to_markdown()


def test_cells_that_two_grids_share_count_once(done: bench.Run) -> None:
    frame = bench.load_rows(done.out)
    assert bench.leaderboard([done.out, frame]).to_markdown() == bench.leaderboard(frame).to_markdown()
    twice = pd.concat([frame, frame])
    assert bench.table(twice).to_markdown() == bench.table(frame).to_markdown()
    assert bench.compare(twice).to_markdown() == bench.compare(frame).to_markdown()
    twice.loc[twice.method == "aum", "accuracy"] = [*range(len(twice) // 2)]
    with pytest.raises(RowError, match=r"line \d+ and line \d+ both hold the cell .* with different results"):
        bench.table(twice)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"digits": "two"}, "digits='two' is not valid: a whole number from 0 to 6"),
        ({"digits": -1}, "digits=-1 is not valid"),
        ({"digits": 1.5}, "digits=1.5 is not valid"),
        ({"compare": "papers"}, "unknown comparison 'papers'. Did you mean paper?"),
    ],
)
def test_options_of_a_table_are_checked(option: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=re.escape(said)):
        bench.table(pd.DataFrame({"accuracy": [1.0]}), **option)


def test_what_is_not_valid_is_one_error_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"executer.*Did you mean executor"):
        bench.run(methods="random", executer="local", out=tmp_path / "x")  # type: ignore[call-arg]
    with pytest.raises(SpecError, match="nothing to compare"):
        bench.run(out=tmp_path / "x")
    with pytest.raises(UnknownName, match="elfs"):
        bench.run(methods="efls", out=tmp_path / "x")
    with pytest.raises(SpecError, match=r"^executor='loca' is not valid: ray or local\. Did you mean local\?$"):
        bench.run(methods="random", executor="loca", out=tmp_path / "x")  # type: ignore[arg-type]
    with pytest.raises(SpecError, match=r"^rates \(from the arguments\): "):
        bench.run(methods="random", rates=[90], out=tmp_path / "x")
    assert not (tmp_path / "x").exists()
    with pytest.raises(RowError, match=r"^expected a frame of rows, got 'runs/py': give bench.load_rows"):
        bench.table("runs/py")  # type: ignore[arg-type]
    with pytest.raises(RowError, match=r"^expected frames or folders, got 3: "):
        bench.leaderboard(3)  # type: ignore[arg-type]
    with pytest.raises(RowError, match="no column"):
        bench.table(pd.DataFrame({"accuracy": [1.0]}))
    with pytest.raises(RowError, match="not a folder"):
        bench.load_rows(tmp_path / "nowhere")


@pytest.mark.integration
def test_a_method_of_a_script_works_in_workers_by_value(tmp_path: Path) -> None:
    """The script is no module that a worker could import, and is not run again in it."""
    script = tmp_path / "my script.py"
    script.write_text(
        "import bench, numpy as np\n"
        "print('started')\n"
        "OFFSET = 2\n"
        "@bench.register_method('mine', supervision='none')\n"
        "def mine(pool, budget, rng, *, skip: int = 0):\n"
        "    'Keep the first images.'\n"
        "    return np.arange(budget) + skip + OFFSET\n"
        "done = bench.run(methods='mine,mine(skip=3)', datasets='digits', rates=[0.9], pool_size=100, quiet=True,\n"
        "    recipe={'iterations': 2, 'evaluations': 1}, out='out', cache_dir='cache', workers=1)\n"
        "print(len(done.written), done.failed)\n"
    )
    ran = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.stdout.splitlines() == ["started", "2 {}"], ran.stderr
    kept = {row.variant: row.indices_sha256 for row in read_rows(tmp_path / "out")}
    assert len(set(kept.values())) == 2


@pytest.mark.integration
def test_a_single_file_is_a_plugin(tmp_path: Path) -> None:
    path = tmp_path / "ones.py"
    path.write_text(
        "import numpy as np\nfrom bench import register_method\n"
        "@register_method('only-here', supervision='none')\n"
        "def only_here(pool, budget, rng):\n    'Keep the first images.'\n    return np.arange(budget)\n"
    )
    bench.load_plugin(path)
    try:
        given = {**TINY, "methods": "only-here", "rates": [0.9], "seeds": 1}
        done = bench.run(**given, out=tmp_path / "out", cache_dir=tmp_path / "cache", workers=1)
        assert len(done.written) == 1, done.failed
        [row] = read_rows(done.out)
        assert np.load(done.out / "indices" / f"{row.cell_id}.npy").shape == (30,)
    finally:
        methods.remove("only-here")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1", "registers nothing"),
        ("import sys; sys.exit()", "cannot be loaded: it calls sys.exit"),
        ("1 / 0", "cannot be loaded: ZeroDivisionError"),
        ("def (", "cannot be loaded: SyntaxError"),
    ],
)
def test_a_file_that_is_no_plugin_is_named(tmp_path: Path, source: str, message: str) -> None:
    path = tmp_path / "file.py"
    path.write_text(source)
    with pytest.raises(SpecError, match=f"file.py.*{message}"):
        bench.load_plugin(path)
    with pytest.raises(SpecError, match="give a Python file"):
        bench.load_plugin(tmp_path / "missing.py")


def blobs(size: int = 120) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (np.repeat(np.eye(4), size // 4, axis=0) + rng.normal(scale=0.05, size=(size, 4))).astype(np.float32)


@pytest.mark.parametrize("method", ["random", "kcenter", "elfs(clustering=kmeans,beta=0.1)"])
def test_select_gives_what_to_label(tmp_path: Path, method: str) -> None:
    given: dict[str, Any] = {"budget": 30, "method": method, "num_classes": 4, "cache_dir": tmp_path}
    chosen = bench.select(blobs(), **given)
    assert chosen.indices.tolist() == sorted(chosen.order.tolist())
    assert len(set(chosen.indices.tolist())) == 30
    assert (chosen.clusters is None) == (method == "random")
    assert chosen.clusters is None or chosen.clusters.shape == (30,)
    assert (chosen.scores is not None) == method.startswith("elfs")
    if chosen.scores is not None:
        assert chosen.scores.shape == (120,)
        assert chosen.scores.dtype == np.float32
    again = bench.select(blobs(), **given)
    assert again.order.tolist() == chosen.order.tolist()


@pytest.mark.parametrize("separate", [False, True], ids=["one cloud", "three groups"])
@pytest.mark.parametrize("method", ["elfs(clustering=kmeans)", "auto(candidates='kcenter,d2-label-free')"])
def test_select_says_what_was_judged_and_taken(tmp_path: Path, method: str, separate: bool) -> None:
    points = np.random.default_rng(0).normal(size=(300, 16)) + separate * np.repeat([[4.0], [-4.0], [0.0]], 100, axis=0)
    chosen = bench.select(points, budget=20, num_classes=3, method=method, cache_dir=tmp_path)
    own = {name: value for name, value in chosen.judged.items() if not name.startswith("random ")}
    assert len(chosen.judged) == len(own) + 5
    # Where no candidate is above five random coresets, one of these is what the caller holds, and this says so.
    assert chosen.taken == max(own, key=own.__getitem__) or chosen.taken.startswith("random ")
    assert bench.select(points, budget=20, num_classes=3, method="kcenter", cache_dir=tmp_path).taken == ""


def test_select_takes_images_and_an_encoder(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8), dtype=np.uint8)
    chosen = bench.select(
        images, budget=10, method="kcenter", num_classes=3, encoder="pixels(size=8)", cache_dir=tmp_path
    )
    assert len(chosen.indices) == 10


@pytest.mark.parametrize(
    ("array", "given", "message"),
    [
        (blobs(), {"method": "aum"}, "reads labels"),
        ("photos", {}, "X is 'photos', a name; .* `bench select --images`"),
        (blobs()[0], {}, r"X holds float32 of shape \(4,\)"),
        (np.zeros((9, 0)), {}, r"X holds float64 of shape \(9, 0\)"),
        (np.zeros((9, 1, 8, 8), np.uint8), {}, "looks like images; give encoder"),
        (blobs(), {"encoder": "pixels"}, "with an encoder, X is uint8 images"),
        (np.zeros((40, 8, 8, 3), np.uint8), {"encoder": "pixels"}, r"X \[40, 8, 8, 3\] has the channels last"),
        (blobs(), {"budget": 121}, "budget 121 is not valid"),
    ],
)
def test_select_refuses_what_is_not_valid(
    tmp_path: Path, array: np.ndarray, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(bench.BenchError, match=message):
        bench.select(array, **{"budget": 5, "num_classes": 3, "cache_dir": tmp_path / "cache", **given})
    assert not (tmp_path / "cache").exists()


def test_a_budget_is_exact_and_beta_a_fraction_of_what_is_removed(tmp_path: Path) -> None:
    """In binary, 1 - 90 / 100 is below 0.1."""
    for budget, beta in ((90, 0.1), (60, 0.4), (7, 0.9), (93, 0.07)):
        chosen = bench.select(
            blobs(100),
            budget=budget,
            method=f"elfs(clustering=kmeans,beta={beta})",
            num_classes=4,
            cache_dir=tmp_path,
        )
        assert len(chosen.indices) == budget


@pytest.mark.parametrize("name", ["budget", "num_classes", "seed", "threads"])
@pytest.mark.parametrize("value", [3.0, True, "3", None, -1, np.float64(3)])
def test_what_is_no_whole_number_is_refused(name: str, value: object) -> None:
    given: Any = {"budget": 3, "num_classes": 3, name: value}
    with pytest.raises(SpecError, match=rf"^{name}=.* is not valid: a whole number from \d on\.$"):
        bench.select(np.eye(9), **given)


@pytest.mark.parametrize("value", [2.0, True, 0, None])
def test_a_share_of_a_group_is_a_whole_number_or_all(value: object) -> None:
    given: Any = {"per_group": value}
    with pytest.raises(SpecError, match="is not valid; the most items of a group, from 1 on, or all"):
        bench.select(np.eye(9), budget=3, num_classes=3, groups=np.arange(9) // 2, **given)


def test_embeddings_that_tell_nothing_are_refused_or_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="X holds 9 lines that are all the same: nothing tells the items apart"):
        bench.select(np.zeros((9, 2)), budget=3, num_classes=3, cache_dir=tmp_path)
    rows = np.eye(9)
    rows[4] = 0
    chosen = bench.select(rows, budget=np.int64(3), num_classes=3, method="kcenter", cache_dir=tmp_path)
    [said] = chosen.warnings
    assert said.startswith("1 of 9 embeddings are all zeros, the first in line 4 ")
