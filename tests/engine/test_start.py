"""What is settled and said before a run starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.engine.start import Job, RunOptions, _gpus_of_trial
from bench.errors import SpecError
from bench.grid.spec import load_spec
from bench.stages.memory import Shape


def test_a_trial_on_a_gpu_gets_one_unless_it_is_told_otherwise() -> None:
    assert _gpus_of_trial(None, "cpu") == 0
    assert _gpus_of_trial(None, "cuda") == 1
    assert _gpus_of_trial(0.25, "cuda") == 0.25
    with pytest.raises(SpecError, match=r"--gpus-per-trial 0 is not valid on cuda: .*0.25"):
        _gpus_of_trial(0, "cuda")


def job(tmp_path: Path, **options: Any) -> Job:
    spec = load_spec(given={"methods": "random", "datasets": "digits", "rates": "0.5", "pool_size": 100})
    return Job(spec, RunOptions(out=tmp_path / "out", cache_dir=tmp_path / "cache", **{"executor": "local", **options}))


@pytest.mark.parametrize(("gpus", "share"), [(0.25, 0.25), (1.0, 1.0), (2.0, 1.0)])
def test_a_process_keeps_within_its_part_of_a_gpu(tmp_path: Path, gpus: float, share: float) -> None:
    assert job(tmp_path, device="cpu", gpus_per_trial=gpus).session.gpu_share == share


def test_a_gpu_that_will_wait_for_files_is_announced(tmp_path: Path) -> None:
    def said(device: str, threads: int) -> list[str]:
        made = job(tmp_path, device="cpu", cpus_per_trial=threads)
        made.plan.shapes["photos"] = Shape(100, 100, (3, 64, 64), in_memory=False)
        made.session = made.session.model_copy(update={"device": device})
        return list(made.warnings())

    [line] = said("cuda", 1)
    assert line.startswith("The images of photos are decoded by 1 thread")
    assert said("cpu", 1) == said("cuda", 16) == []


def test_workers_are_those_of_this_machine_without_ray(tmp_path: Path) -> None:
    """As README and docs say it: ``--workers 2``, no more."""
    made = job(tmp_path, device="cpu", executor=None, workers=2)
    assert made.executor.slots(made.session) == 2
    assert type(made.executor).__name__ == "Workers"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"executor": "ray", "workers": 2}, "--workers is for --executor local"),
        ({"workers": 2, "address": "auto"}, "--address is for a Ray cluster"),
        ({"executor": "local", "address": "auto"}, "--address is for a Ray cluster"),
    ],
)
def test_options_of_the_other_executor_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    spec = load_spec(given={"methods": "random", "datasets": "digits"})
    with pytest.raises(SpecError, match=message):
        Job(spec, RunOptions(out=tmp_path / "out", **options))
    assert not (tmp_path / "out").exists()
