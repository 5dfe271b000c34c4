"""On what a result was computed."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

import bench
from bench.provenance import device_name, faster_in_bf16, git_state, processor, versions


def test_versions_are_those_that_are_installed() -> None:
    found = versions()
    assert found["python"] == platform.python_version()
    assert found["coreset-bench"] == bench.__version__
    assert found["torch"] == version("torch")
    assert "cuda" not in found


def test_a_processor_is_named_with_its_instructions() -> None:
    name = device_name("cpu")
    assert name.startswith("cpu (")
    assert processor().get("model name", platform.machine()) in name


def test_bf16_is_faster_where_there_is_amx() -> None:
    assert faster_in_bf16({"flags": "fpu avx512f avx512_bf16 amx_bf16 amx_tile"})
    assert not faster_in_bf16({"flags": "fpu avx512f avx512_bf16"})
    assert not faster_in_bf16({"flags": "not_amx_bf16x"})
    assert not faster_in_bf16({})


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="no /proc/cpuinfo")
def test_what_the_system_says_of_the_processor_is_read() -> None:
    found = processor()
    assert found["processor"] == "0"
    text = Path("/proc/cpuinfo").read_text()
    assert all(value in text for value in found.values())
    assert faster_in_bf16(found) == ("amx_bf16" in text)


def test_a_source_file_that_git_does_not_track_is_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").touch()
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    monkeypatch.setattr("bench.__file__", str(tmp_path / "bench" / "__init__.py"))
    changed = git_state.__wrapped__
    assert changed()[1] is False
    (tmp_path / "notes.txt").touch()
    assert changed()[1] is False, "no code"
    (tmp_path / "mine.py").touch()
    assert changed()[1] is True


def test_the_revision_of_a_repository_that_the_harness_is_installed_in_is_not_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / ".venv" / "bench"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (tmp_path / ".gitignore").write_text(".venv\n")
    for command in (["init"], ["add", "."], ["-c", "user.name=n", "-c", "user.email=e", "commit", "-m", "mine"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True, capture_output=True)
    monkeypatch.setattr("bench.__file__", str(package / "__init__.py"))
    monkeypatch.delenv("BENCH_REVISION", raising=False)
    assert git_state.__wrapped__() == ("", False)
    monkeypatch.setenv("BENCH_REVISION", "ab" * 20)
    assert git_state.__wrapped__() == ("ab" * 20, False)


def test_a_device_with_amx_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    described = {"model name": "X", "flags": "avx512_bf16 amx_bf16"}
    monkeypatch.setattr("bench.provenance.processor", lambda: described)
    assert device_name("cpu") == f"cpu (X, {torch.backends.cpu.get_cpu_capability()}, AMX)"


def test_provenance_names_software_and_hardware() -> None:
    found = versions()
    assert {"python", "coreset-bench", "torch", "numpy", "ray"} <= set(found)
    assert all(text[0].isdigit() for text in found.values())
    assert device_name("cpu").startswith("cpu (")
    amx = ", AMX" if faster_in_bf16(processor()) else ""
    assert device_name("cpu").endswith(f", {torch.backends.cpu.get_cpu_capability()}{amx})")
    revision, dirty = git_state()
    assert len(revision) in (0, 40)
    assert isinstance(dirty, bool)
