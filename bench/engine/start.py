"""Jobs: a grid with the user's options, checked and ready to run. The command line and Python both use them."""

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
"""Number of CPU threads below which a GPU waits for images decoded from files: by arithmetic, not measured."""

_START = {"ray": 12.0, "local": 2.0}
"""Seconds until work begins, for the start of Ray and for imports: rough, and the same for every machine."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class RunOptions(FolderFields, MachineFields):
    """The checked folders and machine options of a run, which are not part of a result."""


class Job:
    """A grid that was checked against this machine.

    Args:
        spec: the grid.
        options: folders and machine options.
        tolerant: collect problems instead of stopping at the first, and do not change ``out`` (``--dry-run``).
        revise: see ``make_plan``.

    Attributes:
        plan: the plan of its cells.
        session: the session that its workers compute in.
        executor: the executor that runs it.

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
            # Absolute paths, since workers may start in another folder.
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
        """Refuse a run that does not fit this machine, before anything starts.

        Raises:
            SpecError: the cache cannot be written to, or by the estimates memory or disk will not suffice.
        """
        plan, session = self.plan, self.session
        # Without stages to compute, a read-only cache suffices.
        if plan.stages(session.store):
            check_cache(session.cache)
        # The memory of a cluster's other machines is not known here.
        if self._options.address is not None or self._options.force:
            return
        machine = this_machine(session.device)
        work = plan.estimates(session.store)
        lacking = shortages(*work, machine, cache=session.cache, out=session.out, gpus=session.gpu_share)
        if lacking:
            raise SpecError(f"{' '.join(lacking)} These are estimates; --force (force=True) starts anyway.")

    def warnings(self) -> Iterator[str]:
        """Yield warnings that do not stop a run."""
        plan, session = self.plan, self.session
        for path in plan.damaged:
            yield f"A row was incomplete and is run again; its remains are in {path}"
        if plan.outdated:
            outdated = f"{counted(len(plan.outdated), 'finished row')}, such as {plan.outdated[0]}"
            yield (
                f"Selected by other code of their method or of a stage than the present: {outdated}. To run them "
                "again, take another --out, or delete them."
            )
        from_files = sorted(name for name, shape in plan.shapes.items() if not shape.in_memory)
        if session.device == "cuda" and session.threads < _DECODERS and from_files and plan.missing:
            yield (
                f"The images of {', '.join(from_files)} are decoded by {counted(session.threads, 'thread')}, for which "
                f"a GPU will wait; --cpus-per-trial {_DECODERS} decodes faster."
            )

    def forecast(self) -> Forecast:
        """Return the expected time of the run, from earlier work on this machine and a few seconds of probing."""
        from bench.engine.durations import foresee

        start = _START[_executor_name(self._options)]
        return foresee(self.plan, self.session, self.executor.slots(self.session), start)

    def run(self, listener: Listener) -> Outcome:
        """Compute the missing stages and cells; see ``bench.engine.run``."""
        return run(self.plan, self.session, self.executor, listener, retries=self._options.retries)


def pick_device(device: str, *, elsewhere: bool = False) -> str:
    """Return ``cpu`` or ``cuda``; ``auto`` is ``cuda`` if torch sees a GPU.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.
        elsewhere: whether other machines will train, so that this one need not have a GPU.

    Raises:
        SpecError: the device is unknown, or torch sees no GPU.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise SpecError(f"device {device!r} is not valid; valid: auto, cpu, cuda.")
    # Before torch is imported, which takes seconds.
    if device == "cpu" or (device == "cuda" and elsewhere):
        return device
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise SpecError("--device cuda was given, but torch sees no GPU on this machine; leave it out, or use cpu.")
    return "cuda" if torch.cuda.is_available() else "cpu"


def _executor_name(options: RunOptions) -> str:
    return options.executor or ("ray" if options.workers is None else "local")


def _executor(options: RunOptions, gpus: float) -> Executor:
    if _executor_name(options) == "ray":
        if options.workers is not None:
            raise SpecError("--workers is for --executor local; on Ray, --cpus-per-trial says how many run at once.")
        from bench.engine.executors.base import Resources
        from bench.engine.executors.ray import OnRay

        return OnRay(Resources(options.cpus_per_trial, gpus), options.address)
    if options.address is not None:
        raise SpecError(
            "--address is for a Ray cluster; --executor local runs on this machine alone. Give one of them."
        )
    from bench.engine.executors.local import InProcess, Workers

    return InProcess() if options.workers is None else Workers(options.workers)


def _gpus_of_trial(gpus: float | None, device: str) -> float:
    """Return the GPUs of a stage or cell: the user's number, or by default one on ``cuda``."""
    if device == "cuda" and gpus == 0:
        raise SpecError("--gpus-per-trial 0 is not valid on cuda: take one or a part of one, such as 0.25.")
    return gpus if gpus is not None else float(device == "cuda")
