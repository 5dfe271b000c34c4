"""The memory and disk space of this machine, and what a run lacks by the estimates of its stages and cells."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from bench.addresses import nearest_existing
from bench.stages.memory import Estimate
from bench.units import show_bytes

Named: TypeAlias = Sequence[tuple[str, Estimate]]


@dataclass(frozen=True)
class Machine:
    """The memory of this machine.

    Attributes:
        memory: bytes of memory, or those that the container may use.
        gpu_memory: bytes of the smallest GPU; None if no GPU is used.
    """

    memory: int
    gpu_memory: int | None = None


def this_machine(device: str = "cpu") -> Machine:
    """Return the memory, within the limit of a container, and that of the GPUs if ``device`` is one."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in memory_limits():
        try:
            # ``max`` (no limit) is a ValueError.
            memory = min(memory, int(path.read_text()))
        except (OSError, ValueError):
            continue
    return Machine(memory, _gpu_memory() if device != "cpu" else None)


def memory_limits(groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> list[Path]:
    """Return the files that may limit the memory of this process: those of its control group and of all above it.

    Slurm makes such a group for each job.

    Args:
        groups: the kernel's list of the groups of this process, each ``number:controllers:/path``.
        root: folder in which they are mounted.
    """
    files = [root / "memory.max", root / "memory/memory.limit_in_bytes"]
    with suppress(OSError):
        for line in groups.read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            # Group 0 is version 2 of control groups; version 1 has a tree for each controller.
            base, name = (root, "memory.max") if number == "0" else (root / "memory", "memory.limit_in_bytes")
            if number == "0" or "memory" in controllers.split(","):
                inside = base / path.lstrip("/")
                files += [folder / name for folder in (inside, *inside.parents) if folder.is_relative_to(base)]
    return files


def _gpu_memory() -> int | None:
    import torch

    return min(
        (torch.cuda.get_device_properties(number).total_memory for number in range(torch.cuda.device_count())),
        default=None,
    )


def free_disk(folder: Path) -> int:
    """Return the free bytes on the disk of ``folder``, which need not exist yet."""
    return shutil.disk_usage(nearest_existing(folder)).free


def shortages(stages: Named, cells: Named, machine: Machine, *, cache: Path, out: Path, gpus: float = 0.0) -> list[str]:
    """Return a sentence for each resource that this machine lacks.

    Args:
        stages: titles and estimates of the shared stages to compute.
        cells: ids and estimates of the cells to train.
        machine: memory of this machine.
        cache: folder of the shared stages.
        out: folder of the rows.
        gpus: GPUs of one stage or cell; a fraction is its share of one GPU's memory.
    """
    lacking = []
    if stages or cells:
        # Only the largest: executors run as much at once as fits, but each single one must fit.
        title, largest = max([*stages, *cells], key=lambda item: item[1].memory)
        if largest.memory > machine.memory:
            lacking.append(
                f"{title} needs about {show_bytes(largest.memory)} of memory, and this machine has "
                f"{show_bytes(machine.memory)}; a smaller batch_size (--recipe), model or --pool-size takes less."
            )
    if (stages or cells) and machine.gpu_memory is not None:
        title, largest = max([*stages, *cells], key=lambda item: item[1].gpu)
        share = int(machine.gpu_memory * min(1.0, gpus or 1.0))
        if largest.gpu > share:
            lacking.append(
                f"{title} needs about {show_bytes(largest.gpu)} of GPU memory, and its share is {show_bytes(share)}; a "
                "smaller batch_size (--recipe) takes less, more --gpus-per-trial (up to 1) gives more."
            )
    for name, folder, needed in (
        ("shared stages", cache, sum(item.disk for _, item in stages)),
        ("rows", out, sum(item.disk for _, item in cells)),
    ):
        free = free_disk(folder)
        if needed > free:
            lacking.append(
                f"the {name} need about {show_bytes(needed)} on disk, and {folder} has {show_bytes(free)} free."
            )
    return lacking
