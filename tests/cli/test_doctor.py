from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.provenance import faster_in_bf16, processor

pytestmark = pytest.mark.integration


def test_this_machine_is_well(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["doctor", "--cache-dir", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    findings = {item["topic"]: item for item in json.loads(done.stdout)["findings"]}
    assert findings["torch and torchvision"]["level"] == "ok"
    assert str(tmp_path) in findings["disk (cache)"]["found"]
    assert findings["OpenMP"]["level"] in ("ok", "warning")
    assert findings["precision on the CPU"]["found"].startswith("bf16" if faster_in_bf16(processor()) else "fp32")


@pytest.fixture
def frappe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The metadata of an installed distribution whose command and package are called bench too."""
    folder = tmp_path / "frappe_bench-5.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: frappe-bench\nVersion: 5.0\n")
    (folder / "entry_points.txt").write_text("[console_scripts]\nbench = bench.cli:cli\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


@pytest.fixture
def no_torch_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the process that imports torch, which takes seconds and says nothing of names."""
    monkeypatch.setattr("bench.doctor._probe", dict)


def named_bench(tmp_path: Path) -> dict[str, str]:
    done = CliRunner().invoke(app, ["doctor", "--cache-dir", str(tmp_path), "--json"])
    return next(item for item in json.loads(done.stdout)["findings"] if item["topic"] == "the name bench")


@pytest.mark.usefixtures("no_torch_asked")
def test_nobody_else_is_called_bench(tmp_path: Path) -> None:
    assert named_bench(tmp_path)["level"] == "ok"


@pytest.mark.usefixtures("no_torch_asked")
def test_another_command_called_bench_is_named(tmp_path: Path, frappe: Path) -> None:
    found = named_bench(tmp_path)
    assert (found["level"], found["found"]) == ("warning", "frappe-bench installs a command bench too")
    assert "type coreset-bench" in found["advice"]


@pytest.mark.usefixtures("no_torch_asked")
def test_another_package_called_bench_is_a_problem(tmp_path: Path, frappe: Path) -> None:
    (frappe / "top_level.txt").write_text("bench\n")
    found = named_bench(tmp_path)
    assert (found["level"], found["found"]) == ("problem", "import bench may find a package of frappe-bench")
