from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.doctor import device, disk, openmp, packages, threads, torch_pair
from bench.provenance import computes_bf16, processor

NMS = "RuntimeError: operator torchvision::nms does not exist"


def test_this_machine_is_well(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["doctor", "--cache-dir", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    findings = {item["topic"]: item for item in json.loads(done.stdout)["findings"]}
    assert findings["torch and torchvision"]["level"] == "ok"
    assert str(tmp_path) in findings["disk (cache)"]["found"]
    assert findings["OpenMP"]["level"] in ("ok", "warning")
    assert findings["precision on the CPU"]["found"].startswith("bf16" if computes_bf16(processor()) else "fp32")


def test_builds_that_do_not_fit_are_recognised() -> None:
    for pair, error in (
        (("2.8.0+cpu", "0.23.0"), NMS),
        (("2.8.0", "0.23.0"), NMS),
        (("2.8.0+cpu", "0.23.0"), "OSError: x"),
    ):
        found = torch_pair(*pair, error)
        assert found.level == "problem"
        assert "different builds" in found.advice
    assert torch_pair("2.8.0+cpu", "0.23.0+cpu", "").level == "ok"
    assert "reinstall" in torch_pair("2.8.0", None, "ModuleNotFoundError: No module named 'torchvision'").advice


def test_two_openmp_runtimes_are_a_warning() -> None:
    one = ["/a/torch/lib/libgomp-a34b3233.so.1", "/a/sklearn.libs/libgomp-a34b3233.so.1.0.0"]
    assert [item.level for item in openmp(one)] == ["ok"]
    assert [item.level for item in openmp([*one, "/b/libiomp5.so"])] == ["warning"]


def test_what_is_missing_is_said() -> None:
    required, *extras = packages({"torch": "2.8.0"})
    assert required.level == "problem"
    assert "ray" in required.advice
    assert {item.topic for item in extras} >= {"timm", "wandb", "medmnist"}
    assert all("pip install -e '.[" in item.advice for item in extras)
    assert all(item.level == "ok" for item in extras)


@pytest.fixture
def frappe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The metadata of an installed distribution whose command and package are called bench too."""
    folder = tmp_path / "frappe_bench-5.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: frappe-bench\nVersion: 5.0\n")
    (folder / "entry_points.txt").write_text("[console_scripts]\nbench = bench.cli:cli\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def named_bench(tmp_path: Path) -> dict[str, str]:
    done = CliRunner().invoke(app, ["doctor", "--cache-dir", str(tmp_path), "--json"])
    return next(item for item in json.loads(done.stdout)["findings"] if item["topic"] == "the name bench")


def test_nobody_else_is_called_bench(tmp_path: Path) -> None:
    assert named_bench(tmp_path)["level"] == "ok"


def test_another_command_called_bench_is_named(tmp_path: Path, frappe: Path) -> None:
    found = named_bench(tmp_path)
    assert (found["level"], found["found"]) == ("warning", "frappe-bench installs a command bench too")
    assert "type coreset-bench" in found["advice"]


def test_another_package_called_bench_is_a_problem(tmp_path: Path, frappe: Path) -> None:
    (frappe / "top_level.txt").write_text("bench\n")
    found = named_bench(tmp_path)
    assert (found["level"], found["found"]) == ("problem", "import bench may find a package of frappe-bench")


@pytest.mark.parametrize(
    ("arguments", "level"),
    [
        (([["H100", 79.0]], "12.8", True), "ok"),
        (([], None, True), "warning"),
        (([], "12.8", True), "warning"),
        (([], None, False), "ok"),
    ],
)
def test_device(arguments: tuple[Any, ...], level: str) -> None:
    assert device(*arguments).level == level


def test_more_threads_than_cpus_are_a_warning() -> None:
    assert threads(2, {"OMP_NUM_THREADS": "8"}).level == "warning"
    assert threads(2, {"OMP_NUM_THREADS": "2"}).level == threads(2, {}).level == "ok"


def test_space_is_that_of_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    [finding] = disk({"cache": tmp_path / "not" / "there"})
    assert "GB free" in finding.found
