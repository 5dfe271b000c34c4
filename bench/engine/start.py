"""From a grid and the user's options to a run that can start: one way in for the command line and for Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from bench.addresses import local_path
from bench.engine.events import Listener
from bench.engine.forecast import Forecast
from bench.engine.machine import shortages, this_machine
from bench.engine.plan import Plan, check_cache, make_plan
from bench.engine.run import Outcome, run
from bench.errors import SpecError
from bench.fields import FolderFields, MachineFields
from bench.grid.cells import check_names
from bench.grid.spec import GridSpec
from bench.stages.session import Session
from bench.store.folder import cache_folder
from bench.units import counted, parse_seconds

if TYPE_CHECKING:
    from bench.engine.executors.base import Executor

_DECODERS = 8
"""CPU threads below which a GPU waits for images that are decoded from files: by arithmetic, not measured."""

_START = {"ray": 12.0, "local": 2.0}
"""Seconds until work begins: the start of Ray, and imports; rough, and the same on every machine."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class RunOptions(FolderFields, MachineFields):
    """Where and on what a grid runs, checked; none of it is part of a result."""


class Job:
    """A grid that was checked against this machine.

    Args:
        spec: the grid.
        options: where and on what.
        tolerant: collect what is missing instead of stopping at it, and leave ``out`` as it is (``--dry-run``).
        revise: see ``make_plan``.

    Attributes:
        plan: its cells.
        session: where its workers find everything.
        executor: what runs it.

    Raises:
        BenchError: the first name, option, folder, data set or weights file that is not valid.
    """

    def __init__(
        self,
        spec: GridSpec,
        options: RunOptions,
        *,
        tolerant: bool = False,
        revise: Callable[[Plan], Plan] = lambda plan: plan,
    ) -> None:
        limit = options.time_limit
        seconds = parse_seconds(limit) if isinstance(limit, str) else limit
        check_names(spec)  # before the device, which costs an import of torch
        device = pick_device(options.device, elsewhere=options.address is not None)
        gpus = _gpus_of_trial(options.gpus_per_trial, device)
        self._options = options
        self.executor = _executor(options, gpus)
        out = local_path(options.out)
        self.plan: Plan = make_plan(
            spec,
            out=out,
            data_root=options.data_root,
            download=options.download,
            tolerant=tolerant,
            device=device,
            revise=revise,
        )
        self.session = Session(
            # Whole paths: workers may start in another folder.
            out=out.resolve(),
            cache=cache_folder(options.cache_dir),
            data_root=local_path(options.data_root).resolve() if options.data_root else None,
            weights=self.plan.weights,
            coresets=self.plan.coresets,
            device=device,
            gpu_share=min(1.0, gpus or 1.0),
            threads=options.cpus_per_trial,
            time_limit=seconds,
        )

    def check(self) -> None:
        """Refuse what this machine cannot hold, before anything starts.

        Raises:
            SpecError: the cache cannot be written to, or memory or disk will not do by the estimates.
        """
        plan, session = self.plan, self.session
        # Without a stage to compute nothing is written there, and a cache that can only be read will do.
        if plan.stages(session.store):
            check_cache(session.cache)
        # The memory of a cluster's other machines is not known here.
        if self._options.address is not None or self._options.force:
            return
        machine = this_machine(session.device)
        work = plan.estimates(session.store)
        lacking = shortages(*work, machine, cache=session.cache, out=session.out, gpus=session.gpu_share)
        if lacking:
            raise SpecError(f"{' '.join(lacking)} These are estimates; --force (force=True) starts all the same.")

    def warnings(self) -> Iterator[str]:
        """Warnings that do not stop a run."""
        plan, session = self.plan, self.session
        for path in plan.damaged:
            yield f"A row was incomplete and is run again; what is left of it: {path}"
        if plan.outdated:
            outdated = f"{counted(len(plan.outdated), 'finished row')}, such as {plan.outdated[0]}"
            yield (
                f"Selected by other code of their method or of a stage than the present: {outdated}. To run them anew, "
                "take another --out, or delete them."
            )
        filed = sorted(name for name, shape in plan.shapes.items() if not shape.in_memory)
        if session.device == "cuda" and session.threads < _DECODERS and filed and plan.missing:
            yield (
                f"The images of {', '.join(filed)} are decoded by {counted(session.threads, 'thread')}, for which a "
                f"GPU will wait; --cpus-per-trial {_DECODERS} decodes faster."
            )

    def forecast(self) -> Forecast:
        """Say how long the run will take, from what this machine has done before and a few seconds of its work."""
        from bench.engine.durations import foresee

        return foresee(self.plan, self.session, self.executor.slots(self.session), _START[_named(self._options)])

    def run(self, listener: Listener) -> Outcome:
        """Compute what is missing; see ``bench.engine.run``."""
        return run(self.plan, self.session, self.executor, listener, retries=self._options.retries)


def pick_device(wanted: str, *, elsewhere: bool = False) -> str:
    """``cpu`` or ``cuda``, for ``auto`` whatever is there.

    Args:
        wanted: ``auto``, ``cpu`` or ``cuda``.
        elsewhere: whether other machines will train, so that this one need not have the GPU that was asked for.

    Raises:
        SpecError: an unknown device, or a GPU that torch does not see.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise SpecError(f"device {wanted!r} is not valid; valid: auto, cpu, cuda.")
    # Before torch is imported, which takes seconds.
    if wanted == "cpu" or (wanted == "cuda" and elsewhere):
        return wanted
    import torch

    if wanted == "cuda" and not torch.cuda.is_available():
        raise SpecError("--device cuda was given, but torch sees no GPU on this machine; leave it out, or use cpu.")
    return "cuda" if torch.cuda.is_available() else "cpu"


def _named(options: RunOptions) -> str:
    return options.executor or ("ray" if options.workers is None else "local")


def _executor(options: RunOptions, gpus: float) -> Executor:
    if _named(options) == "ray":
        if options.workers is not None:
            raise SpecError("--workers is for --executor local; on Ray, --cpus-per-trial says how many run at once.")
        from bench.engine.executors.base import Resources
        from bench.engine.executors.ray import OnRay

        return OnRay(Resources(options.cpus_per_trial, gpus), options.address)
    if options.address is not None:
        raise SpecError("--address is of a Ray cluster; --executor local runs on this machine alone. Give one of them.")
    from bench.engine.executors.local import InProcess, Workers

    return InProcess() if options.workers is None else Workers(options.workers)


def _gpus_of_trial(given: float | None, device: str) -> float:
    """GPUs of a stage or cell: as the user says, else one where a GPU trains."""
    if device == "cuda" and given == 0:
        raise SpecError("--gpus-per-trial 0 is not valid on cuda: take one or a part of one, such as 0.25.")
    return given if given is not None else float(device == "cuda")
