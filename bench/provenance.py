"""The software and hardware that a row records."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import bench

_PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "faiss-cpu", "ray", "timm")


@lru_cache(maxsize=2)
def versions(device: str = "cpu") -> dict[str, str]:
    """Return the versions of Python, the harness and packages that affect results, and for a GPU of CUDA and cuDNN."""
    installed = {"python": platform.python_version(), "coreset-bench": bench.__version__}
    for name in _PACKAGES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    if device.startswith("cuda"):
        import torch

        installed |= {"cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}
    return installed


# Once per process: a run names the revision that its code was loaded from, not one that was edited meanwhile.
@lru_cache(maxsize=1)
def git_state() -> tuple[str, bool]:
    """Return the git revision of the harness and whether it has uncommitted changes.

    Outside git, such as in a container, these are the environment variable ``BENCH_REVISION``, or nothing, and False. A
    source file that git does not track yet is a change too, such as a method just added.
    """
    folder = Path(bench.__file__).parent
    try:
        # Fails if the harness is installed inside some other repository.
        _git(folder, "ls-files", "--error-unmatch", "__init__.py")
        revision = _git(folder, "rev-parse", "HEAD")
        changes = _git(folder, "status", "--porcelain", "--untracked-files=all").splitlines()
        # An untracked file of another kind, such as a run's output, changes no result.
        return revision, any(not line.startswith("??") or line.endswith(".py") for line in changes)
    except (OSError, subprocess.SubprocessError):
        return os.environ.get("BENCH_REVISION", ""), False


def device_name(device: str) -> str:
    """Return the name of the GPU, or of the processor with the instructions torch uses, which affect rounding."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name()
    # torch says AVX512 with and without AMX. Where AMX is hidden, a row in bf16 was not reproduced (n = 1, 2026-11-29).
    amx = ", AMX" if faster_in_bf16(processor()) else ""
    return f"cpu ({_model_name()}, {torch.backends.cpu.get_cpu_capability()}{amx})"


@lru_cache(maxsize=1)
def processor() -> Mapping[str, str]:
    """Return Linux's description of the machine's first CPU (``/proc/cpuinfo``); empty on other systems."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return {}
    parts = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in parts}


def faster_in_bf16(processor: Mapping[str, str]) -> bool:
    """Return whether the CPU trains faster in bf16 than in fp32: whether it has AMX.

    ``avx512_bf16`` alone is not enough (``python -m benchmarks precision``): on a Xeon whose AMX the virtual machine
    hides, bf16 took 1.1 to 1.3 times as long as fp32 (n = 9, 2026-11-29). AMD's Zen 4 and ARM were not measured.
    """
    return "amx_bf16" in processor.get("flags", "").split()


def _model_name() -> str:
    return processor().get("model name") or platform.processor() or platform.machine()


def _git(folder: Path, *arguments: str) -> str:
    process = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=20
    )
    return process.stdout.strip()
