"""``python -m benchmarks [NAME ...]``: run benchmarks, print their tables, write them into README.md."""

from __future__ import annotations

import difflib
import importlib
import json
import os
import pkgutil
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, get_args

import typer

import benchmarks
from benchmarks._common import README, Clock, Meter, Result, Skip, describe_run, section, table, write_section

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def names() -> list[str]:
    """Names of all benchmarks: the modules of this package without a leading underscore."""
    modules = pkgutil.iter_modules(benchmarks.__path__)
    return [found.name for found in modules if not found.name.startswith("_") and not found.ispkg]


def run(
    name: str, meter: Meter, *, tiny: bool = False, changed: dict[str, Any] | None = None
) -> tuple[ModuleType, list[Result]]:
    """Run one benchmark, at the sizes of its ``TINY`` or with ``changed`` ones; ``Skip`` where it cannot run here."""
    from bench.training.precision import prepare_torch

    module = importlib.import_module(f"benchmarks.{name}")
    prepare_torch(meter.threads)  # as every trial does
    return module, module.run(meter, **(module.TINY if tiny else {}), **(changed or {}))


def main(
    chosen: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Which; all if none.")] = None,
    repeats: Annotated[int | None, typer.Option(min=1, help="Repetitions instead of each benchmark's own.")] = None,
    clock: Annotated[str, typer.Option(help="wall, or cpu: processor seconds, for a machine that is shared.")] = "wall",
    device: Annotated[str, typer.Option(help="cpu or cuda, of the benchmarks that train.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = os.cpu_count() or 1,
    tiny: Annotated[bool, typer.Option(help="Tiny sizes: shows that it runs, measures nothing.")] = False,
    sizes: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE: a size other than the full one, as in size=10000.")
    ] = None,
    write: Annotated[bool, typer.Option(help="Write the tables into README.md beside this file.")] = False,
    readme: Annotated[Path, typer.Option(hidden=True)] = README,
) -> None:
    """Measure the harness against the obvious alternatives, in one run, with interleaved repetitions."""
    known = names()
    for name in chosen or ():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise typer.BadParameter(f"unknown benchmark {name!r}; {hint}Valid: {', '.join(known)}.")
    if clock not in get_args(Clock):
        raise typer.BadParameter(f"clock {clock!r} is not valid; valid: {', '.join(get_args(Clock))}.")
    if tiny and write:
        raise typer.BadParameter("--tiny measures nothing, so it cannot be combined with --write.")
    changed = dict(map(_parse, sizes or ()))
    # Before numpy and torch are loaded: their pools read this once.
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    meter = Meter(repeats, clock, device, threads)  # type: ignore[arg-type]
    failed = False
    for name in chosen or known:
        before = os.getloadavg()[0]
        try:
            module, results = run(name, meter, tiny=tiny, changed=changed)
        except Skip as reason:
            print(f"{name}: skipped, {reason}\n", flush=True)
            continue
        except Exception:
            traceback.print_exc()
            failed = True
            continue
        title = (module.__doc__ or "").strip().splitlines()[0]
        setting = describe_run(meter, (before, os.getloadavg()[0]))
        print(f"{name}: {title}\n\n{table(results)}\n\n{setting}\n", flush=True)
        if write:
            readme.write_text(write_section(section(name, title, results, setting), name, readme.read_text()))
    sys.exit(int(failed))


def _parse(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    if not value:
        raise typer.BadParameter(f"--set {text!r} is not valid; it must read NAME=VALUE.")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


if __name__ == "__main__":
    typer.run(main)
