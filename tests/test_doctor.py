"""What a machine can be found to lack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.doctor import device, disk, openmp, packages, threads, torch_pair

NMS = "RuntimeError: operator torchvision::nms does not exist"


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
