"""What is settled, checked and said before a run starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli._machine import cache_folder

if TYPE_CHECKING:
    from bench.runner.preflight import Plan
    from bench.runner.workspace import Workspace

_DECODERS = 8
"""CPU threads below which a GPU waits for images that are decoded from files: by arithmetic, not measured."""


def gpus_of_trial(given: float | None, device: str) -> float:
    """GPUs of a trial: as the user says, else one where a GPU trains.

    Raises:
        SpecError: none, where a GPU trains.
    """
    from bench.errors import SpecError

    if device == "cuda" and given == 0:
        raise SpecError("--gpus-per-trial 0 is not valid on cuda: take one or a part of one, such as 0.25.")
    return given if given is not None else float(device == "cuda")


def workspace(
    plan: Plan,
    out: Path,
    cache: Path | None,
    data_root: Path | None,
    device: str,
    gpus: float,
    threads: int,
    time_limit: float | None,
) -> Workspace:
    """Where the run's processes find things, and what each may use."""
    from bench.runner.workspace import Workspace

    return Workspace(
        out=out.resolve(),
        cache=cache_folder(cache),
        data_root=data_root.expanduser().resolve() if data_root else None,
        weights=plan.weights,
        device=device,
        gpu_share=min(1.0, gpus or 1.0),
        threads=threads,
        time_limit=time_limit,
    )


def check_estimates(plan: Plan, place: Workspace) -> None:
    """Refuse what this machine cannot hold."""
    from bench.errors import SpecError
    from bench.runner.estimates import shortages, this_machine

    machine = this_machine(place.device)
    work = plan.estimates(place.store)
    lacking = shortages(*work, machine, cache=place.cache, out=place.out, gpus=place.gpu_share)
    if lacking:
        raise SpecError(f"{' '.join(lacking)} These are estimates; --force starts all the same.")


def warnings(plan: Plan, place: Workspace) -> Iterator[str]:
    """What the user should know before a run that goes on all the same."""
    from bench.quantities import counted

    for path in plan.damaged:
        yield f"A row was incomplete and is run again; what is left of it: {path}"
    if plan.outdated:
        found = f"{counted(len(plan.outdated), 'finished row')}, such as {plan.outdated[0]}"
        yield (
            f"Selected by other code of their method or of a stage than the present: {found}. To run them anew, take "
            "another --out, or delete them."
        )
    filed = sorted(name for name, shape in plan.shapes.items() if not shape.in_memory)
    if place.device == "cuda" and place.threads < _DECODERS and filed and plan.missing:
        yield (
            f"The images of {', '.join(filed)} are decoded by {counted(place.threads, 'thread')}, for which a GPU will "
            f"wait; --cpus-per-trial {_DECODERS} decodes faster."
        )
