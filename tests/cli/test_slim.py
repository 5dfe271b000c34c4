"""``bench select --embeddings`` in an environment without the large packages that it does not need."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.integration

ABSENT = ("PIL", "faiss", "matplotlib", "pandas", "ray", "seaborn", "timm", "torchvision")
COMMAND = f"""
import importlib.util
import sys

find_spec, absent = importlib.util.find_spec, {ABSENT!r}


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Absent())
# Of a package that is not there this is None, where the finder above would raise.
importlib.util.find_spec = lambda name, package=None: None if name in absent else find_spec(name, package)
from bench.__main__ import main

main()
"""


def bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", COMMAND, *arguments], capture_output=True, text=True, cwd=folder)


def test_it_chooses_from_embeddings(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32))
    for method in ("kmeans-sampling", "facility-location"):
        arguments = ("--embeddings", "X.npy", "--budget", "6", "--classes", "3", "--method", method)
        ended = bench(tmp_path, "select", *arguments, "--out", f"{method}.csv")
        assert ended.returncode == 0, ended.stderr
        with (tmp_path / f"{method}.csv").open() as file:
            assert len(list(csv.DictReader(file))) == 6


def test_what_needs_more_says_what_and_how_to_get_it(tmp_path: Path) -> None:
    ended = bench(tmp_path, "run", "--methods", "random", "--datasets", "digits", "--rates", "0.9", "--out", "out")
    assert ended.returncode == 2
    assert ended.stderr.strip().splitlines()[-1] == (
        "Error: this needs ray, which is not installed: run pip install -e . in a checkout of coreset-bench, or "
        "add --executor local."
    )
