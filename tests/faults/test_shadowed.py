"""A user's own bench.py, bench/ or datasets/ in the working directory, with each way to install this project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from importlib.metadata import version
from pathlib import Path

import pytest

pytestmark = [pytest.mark.faults, pytest.mark.integration, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
WRONG = "raise RuntimeError('this is not the package bench')\n"
TINY = ("--datasets", "digits", "--rates", "0.9", "--pool-size", "200", "--recipe", "iterations=4,evaluations=1")
PLUGIN = """
from bench import register_method


@register_method("tells", supervision="none")
def tells(pool, budget, rng):
    \"\"\"Keep the first images where a plain import in a worker finds the package.\"\"\"
    import bench
    import bench.methods.aum

    assert bench.register_method is register_method, bench.__file__
    return range(budget)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs of a fresh environment with this project's wheel, and the dependencies of the present environment."""
    if int(version("setuptools").partition(".")[0]) < 77:
        pytest.skip("setuptools 77 or newer, which builds the wheel, is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("bench", "methods", "datasets"):
        shutil.copytree(ROOT / name, source / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(source)], check=True)
    [built] = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=False)
    [packages] = (folder / "env").glob("lib/python*/site-packages")
    # Paths alone: what the files there import, such as an editable install of this project, plays no part.
    present = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "present.pth").write_text("\n".join(present))
    python = str(folder / "env" / "bin" / "python")
    subprocess.run([*pip, "--python", python, "install", "--no-deps", str(built)], check=True)
    where = subprocess.run(
        [python, "-c", "import bench; print(bench.__file__)"], capture_output=True, text=True, cwd=folder
    )
    assert Path(where.stdout.strip()).is_relative_to(packages), where
    return folder / "env" / "bin"


@pytest.fixture(params=["editable", "wheel"])
def programs(request: pytest.FixtureRequest) -> Path:
    """Folder of the installed commands."""
    if request.param == "wheel":
        return request.getfixturevalue("wheel")
    if not Path(sys.executable).with_name("bench").exists():
        pytest.skip("the bench command is not installed in this environment")
    return Path(sys.executable).parent


@pytest.fixture(params=["bench.py", "bench/__init__.py", "bench/notes.txt"])
def shadowed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A working directory that holds things called as the parts of this project are."""
    for name in (request.param, "datasets/__init__.py", "methods/__init__.py", "results/__init__.py", "cli.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(WRONG)
    (tmp_path / "mine.py").write_text(PLUGIN)
    return tmp_path


def bench(programs: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    own = {"HOME": str(folder), "OMP_NUM_THREADS": "1", "RAY_TMPDIR": os.environ.get("RAY_TMPDIR", "/tmp/ray")}
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("BENCH_", "PYTHON"))}
    done = subprocess.run(
        [str(programs / "bench"), *arguments], cwd=folder, env=kept | own, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.parametrize("executor", ["ray", "local"])
def test_workers_find_the_package_whatever_else_is_called_so(programs: Path, shadowed: Path, executor: str) -> None:
    more = ("--plugin", "mine.py", "--executor", executor, "--out", "out", "--cache-dir", "cache", "--json")
    done = bench(programs, shadowed, "run", "--methods", "random,tells", *TINY, *more)
    told = json.loads(done.stdout)
    assert (told["written"], told["failed"]) == (2, [])


def test_commands_of_one_process_find_it_too(programs: Path, shadowed: Path) -> None:
    bench(programs, shadowed, "run", "--methods", "random", *TINY, "--executor", "local", "--out", "out")
    [row] = (shadowed / "out" / "rows").glob("*.json")
    bench(programs, shadowed, "train", "--row", str(row), "--out", "again")
    embeddings = "import numpy; numpy.save('e.npy', numpy.random.default_rng(0).normal(size=(60, 4)))"
    subprocess.run([sys.executable, "-c", embeddings], cwd=shadowed, check=True)
    chosen = ("--method", "kcenter", "--classes", "3", "--budget", "9", "--out", "label.csv")
    bench(programs, shadowed, "select", "--embeddings", "e.npy", *chosen)
    assert len((shadowed / "label.csv").read_text().splitlines()) == 10
    assert "elfs" in bench(programs, shadowed, "list", "methods").stdout
