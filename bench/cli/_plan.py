"""The output of ``bench run --dry-run``: the cells, the shared stages, and the resources they need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bench.cli._forecast import forecast_document
from bench.engine.machine import free_disk, shortages, this_machine
from bench.engine.plan import cache_problem
from bench.stages.memory import Estimate
from bench.stages.selection import Selection
from bench.units import counted, show_bytes

if TYPE_CHECKING:
    from rich.console import Console

    from bench.engine.forecast import Forecast
    from bench.engine.plan import Plan
    from bench.stages.session import Session

_LISTED = 24
"""Number of cells up to which each is listed by its id."""
_WIDEST = 60


def plan_document(plan: Plan, session: Session, forecast: Forecast) -> dict[str, Any]:
    """Return the plan as plain values; bytes are None if the data set was not found, since its size is not known."""
    stages, cells = plan.estimates(session.store)
    machine = this_machine(session.device)
    return {
        "out": str(session.out),
        **forecast_document(forecast),
        "datasets": [held.document(label) for label, held in plan.contents.items()],
        "cells": [
            {
                "cell_id": cell.cell_id,
                "dataset": cell.dataset.label,
                "variant": cell.variant,
                "encoder": cell.encoder and cell.encoder.label,
                "rate": cell.rate,
                "budget": cell.budget,
                "seed": cell.seed,
                "model": cell.model.label,
                "finished": cell.cell_id in plan.finished,
                # A finished cell needs nothing more, and must not raise the peak of the plan.
                **_bytes(None if cell.cell_id in plan.finished else plan.estimate(cell)),
            }
            for cell in plan.cells
        ],
        "stages": [
            {
                "kind": stage.kind,
                "title": stage.title(),
                "key": stage.key,
                **_bytes(plan.estimate(stage)),
            }
            for stage in plan.stages(session.store)
        ],
        "machine": {
            "memory_bytes": machine.memory,
            "gpu_memory_bytes": machine.gpu_memory,
            "cache_free_bytes": free_disk(session.cache),
            "out_free_bytes": free_disk(session.out),
        },
        "downloads": plan.downloads,
        "unidentified": plan.unidentified,
        "problems": [
            *shortages(stages, cells, machine, cache=session.cache, out=session.out, gpus=session.gpu_share),
            *filter(None, [cache_problem(session.cache)] if stages else []),
            *plan.problems,
        ],
    }


def show_plan(document: dict[str, Any], console: Console, forecast: Iterable[str]) -> None:
    """Print a plan for people, with the lines of the forecast."""

    def line(text: str, style: str = "") -> None:
        console.print(text, style=style, soft_wrap=True)

    cells, stages, machine = document["cells"], document["stages"], document["machine"]
    for dataset in document["datasets"]:
        line(dataset["summary"])
    finished = sum(cell["finished"] for cell in cells)
    line(f"{counted(len(cells), 'cell')}, {finished} with a row in {document['out']} already:")
    for text in _cell_lines(cells):
        line(text)
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(stage["kind"] for stage in stages).items())
    # There are as many selections as cells, which are listed.
    unlisted = "; selections are not listed" if any(stage["kind"] == Selection.kind for stage in stages) else ""
    line(f"{counted(len(stages), 'shared stage')} to compute, each once{f': {kinds}{unlisted}' if kinds else ''}")
    for stage in stages:
        if stage["kind"] == Selection.kind:
            continue
        line(f"  {stage['title']}{_needs(stage, machine)}")
    for name, group, free in (("Stages", stages, "cache_free_bytes"), ("Cells", cells, "out_free_bytes")):
        known = [item for item in group if item["memory_bytes"] is not None]
        if known:
            line(
                f"{name}: up to {show_bytes(max(item['memory_bytes'] for item in known))} of memory each, of "
                f"{show_bytes(machine['memory_bytes'])}; {_on_gpu(known, machine)}"
                f"{show_bytes(sum(item['disk_bytes'] for item in known))} "
                f"on disk, of {show_bytes(machine[free])} free. (Estimates.)"
            )
    for text in forecast:
        line(text)
    for download in document["downloads"]:
        line(f"A run would download: {download}")
    if document["unidentified"]:
        line("Cells whose data or weights were not found cannot be matched to finished rows yet.")
    for problem in document["problems"]:
        line(f"A run would stop here: {problem}", "red")


def _cell_lines(cells: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield a line per cell; for many cells, tables of methods by rates with the number of seeds to run."""
    if len(cells) <= _LISTED:
        for cell in cells:
            yield f"  {'done   ' if cell['finished'] else 'to run '} {cell['cell_id']}"
        return
    blocks: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for cell in cells:
        blocks.setdefault((cell["dataset"], cell["model"]), []).append(cell)
    for (dataset, model), block in blocks.items():
        rates = sorted({cell["rate"] for cell in block})
        lines: dict[str, list[dict[str, Any]]] = {}
        for cell in block:
            lines.setdefault(", ".join(filter(None, (cell["variant"], cell["encoder"]))), []).append(cell)
        seeds = len({cell["seed"] for cell in block})
        yield f"  {dataset}, {model}: cells to run of {counted(seeds, 'seed')}, by rate removed"
        width = min(_WIDEST, max(map(len, lines)))
        yield " ".join([" " * (width + 4), *(f"{100 * rate:4g} %" for rate in rates)])
        for name, group in lines.items():
            counts = [_to_run([cell for cell in group if cell["rate"] == rate]) for rate in rates]
            # Beta by rate is long, and only its end may tell two lines apart.
            if len(name) > width:
                yield f"    {name}"
            shown = name if len(name) <= width else ""
            yield " ".join([f"    {shown:{width}}", *(f"{text:>6}" for text in counts)]).rstrip()


def _to_run(cells: Sequence[dict[str, Any]]) -> str:
    """Return the number of unfinished cells, ``done`` if there are none, and an empty text without cells."""
    left = sum(not cell["finished"] for cell in cells)
    return (str(left) if left else "done") if cells else ""


def _needs(stage: dict[str, Any], machine: dict[str, Any]) -> str:
    if stage["memory_bytes"] is None:
        return ""
    on_gpu = machine["gpu_memory_bytes"] is not None and stage["gpu_bytes"]
    words = [
        f"memory {show_bytes(stage['memory_bytes'])}",
        *([f"GPU {show_bytes(stage['gpu_bytes'])}"] if on_gpu else []),
        f"disk {show_bytes(stage['disk_bytes'])}",
    ]
    return f" ({', '.join(words)})"


def _on_gpu(group: list[dict[str, Any]], machine: dict[str, Any]) -> str:
    """Return ``up to 2.1 GB of GPU memory each, of 80 GB; ``; empty on a machine without GPUs."""
    if machine["gpu_memory_bytes"] is None:
        return ""
    most = max(item["gpu_bytes"] for item in group)
    return f"up to {show_bytes(most)} of GPU memory each, of {show_bytes(machine['gpu_memory_bytes'])}; "


def _bytes(estimate: Estimate | None) -> dict[str, int | None]:
    if estimate is None:
        return {"memory_bytes": None, "gpu_bytes": None, "disk_bytes": None}
    return {"memory_bytes": estimate.memory, "gpu_bytes": estimate.gpu, "disk_bytes": estimate.disk}
