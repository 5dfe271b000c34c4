from __future__ import annotations

import json
import re

import pytest
from bench_command import Command, finish

from bench.quantities import counted
from bench.results.rows import read_rows

pytestmark = [pytest.mark.faults, pytest.mark.slow]


def test_ctrl_c_while_cells_train(tmp_path):
    # Long enough that not all six are done when the first is.
    arguments = ("--methods", "random", "--rates", "0.5", "--seeds", "6", "--recipe", "iterations=600,evaluations=1")
    command = Command(tmp_path, *arguments)
    rows = tmp_path / "out" / "rows"
    command.wait_for(lambda: rows.exists() and any(rows.glob("*.json")), "row")
    command.interrupt()
    there = list(read_rows(tmp_path / "out"))  # raises if any is not whole
    assert 1 <= len(there) < 6
    assert command.process.returncode == 130
    computed = int(re.findall(r"Shared stages: (\d) computed, 0 reused\.", command.text)[0])
    assert len(there) <= computed
    assert f"Interrupted; {counted(6 - len(there), 'cell')} left. The same command goes on." in command.text
    assert "Traceback" not in command.text
    text = finish(tmp_path, *arguments)
    assert int(re.findall(r"(\d) shared stages? to compute", text)[0]) <= 6 - computed
    assert f"{counted(6 - len(there), 'cell')} to train, {len(there)} with a row already" in text
    assert len(list(read_rows(tmp_path / "out"))) == 6


def test_sigterm_in_the_background_while_stages_are_computed(tmp_path):
    recipe = "iterations=20,evaluations=1,proxy_epochs="
    arguments = ("--methods", "aum,random", "--rates", "0.5", "--seeds", "2", "--pool-size", "300", "--recipe")
    command = Command(tmp_path, *arguments, f"{recipe}100000", background=True)
    command.wait_for(lambda: any((tmp_path / "cache").glob("dynamics/*.lock")), "proxy under way")
    command.terminate()  # at once, since the proxy would take hours
    assert command.process.returncode == 130
    assert "Interrupted; 4 cells left. The same command goes on." in command.text
    assert "Traceback" not in command.text
    assert not list((tmp_path / "cache").glob("dynamics/*.npz"))
    for record in (tmp_path / "cache").glob("*/*.json"):
        json.loads(record.read_text())
    # The same grid with proxies that end: locks left behind by the killed processes hold nobody up.
    finish(tmp_path, *arguments, f"{recipe}3")
    assert len(list(read_rows(tmp_path / "out"))) == 4
