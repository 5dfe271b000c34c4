"""What every benchmark shares: clocks, interleaved timing, peak memory, results with targets, tables, the README.

Nothing heavy is imported at the top: ``__main__`` sets the number of threads before numpy and torch are loaded.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).parents[1]
README = Path(__file__).with_name("README.md")

Clock = Literal["wall", "cpu"]
Figure = Literal["ours", "ours / other", "other / ours"]


class Skip(Exception):
    """The benchmark cannot run here; the message says why."""


@dataclass(frozen=True)
class Meter:
    """How to measure.

    Attributes:
        repeats: repetitions; None is each benchmark's own number.
        clock: ``wall``, or ``cpu``: processor seconds of this process over all threads, which other processes of a
            shared machine hardly touch. A GPU is timed by ``wall``.
        device: ``cpu`` or ``cuda``, of the benchmarks that train.
        threads: CPU threads of every library.
    """

    repeats: int | None = None
    clock: Clock = "wall"
    device: str = "cpu"
    threads: int = 1

    def compare(self, *functions: Callable[[], object], repeats: int = 5, warm_up: bool = True) -> list[Times]:
        """Time the functions in turns, A B C, then C B A, and so on, so that drift meets all of them alike.

        Args:
            functions: take no argument.
            repeats: of each, unless ``Meter.repeats`` says otherwise.
            warm_up: call each once beforehand, untimed.

        Returns:
            The times of each function, in the order given.
        """
        if warm_up:
            for function in functions:
                function()
        return self.in_turns(*(partial(self._seconds, function) for function in functions), repeats=repeats)

    def in_turns(self, *measures: Callable[[], float], repeats: int = 5) -> list[Times]:
        """Return the times of measures that each return their own seconds, called in turns as by ``compare``."""
        seconds: list[list[float]] = [[] for _ in measures]
        for repetition in range(self.repeats or repeats):
            turn = list(enumerate(measures))
            for number, measure in turn if repetition % 2 == 0 else reversed(turn):
                seconds[number].append(measure())
        return [Times(tuple(values)) for values in seconds]

    def _seconds(self, function: Callable[[], object]) -> float:
        start = self.now()
        function()
        return self.now() - start

    def now(self) -> float:
        """Seconds on the clock, after all work on the device is done."""
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.synchronize()
            return time.perf_counter()
        return time.perf_counter() if self.clock == "wall" else time.process_time()


@dataclass(frozen=True)
class Times:
    """Seconds of each repetition."""

    seconds: tuple[float, ...]

    @property
    def best(self) -> float:
        """The minimum: what else the machine does can only add to a time."""
        return min(self.seconds)

    @property
    def count(self) -> int:
        """Repetitions."""
        return len(self.seconds)


@dataclass(frozen=True)
class Target:
    """``limit`` that a figure of the result must not exceed (``at most``) or fall below (``at least``)."""

    figure: Figure
    relation: Literal["at most", "at least"]
    limit: float

    def met(self, value: float) -> bool:
        """Whether ``value`` keeps the limit."""
        return value <= self.limit if self.relation == "at most" else value >= self.limit


@dataclass(frozen=True)
class Result:
    """One line of a benchmark's table.

    Attributes:
        what: what was measured, with its size.
        ours: the figure of this project.
        unit: of ``ours`` and ``other``.
        n: repetitions behind the figures.
        other: the same figure of the alternative.
        alternative: what the alternative is.
        target: what is wanted.
        ratio: which way round the ratio is shown, where there is an alternative and no target on it.
        spread: quartiles of the ratios of single repetitions.
    """

    what: str
    ours: float
    unit: str
    n: int
    other: float | None = None
    alternative: str = ""
    target: Target | None = None
    ratio: Figure = "ours / other"
    spread: tuple[float, float] | None = None

    @property
    def figure(self) -> Figure:
        """What the target is about; else ``ratio``."""
        return self.target.figure if self.target and self.target.figure != "ours" else self.ratio

    def value(self, figure: Figure) -> float | None:
        """``ours`` or a ratio; None for a ratio without an alternative."""
        if figure == "ours":
            return self.ours
        if self.other is None:
            return None
        return self.ours / self.other if figure == "ours / other" else self.other / self.ours

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        value = self.value(self.target.figure)
        if value is None:
            raise ValueError(f"{self.what}: the target is a ratio, but there is no alternative")
        return self.target.met(value)


def timed(what: str, ours: Times, other: Times | None = None, **more: Any) -> Result:
    """Return a result in seconds out of interleaved times: minima, and the quartiles of the ratio over repetitions.

    Args:
        what: see ``Result``.
        ours: times of this project.
        other: times of the alternative, interleaved with ``ours``.
        more: other fields of ``Result``.
    """
    result = Result(what, ours.best, "s", ours.count, other=other.best if other else None, **more)
    if other is None or other.count < 2:
        return result
    turned = result.figure == "other / ours"
    ratios = [b / a if turned else a / b for a, b in zip(ours.seconds, other.seconds, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return replace(result, spread=(low, high))


def peak_memory(function: Callable[..., object], **arguments: Any) -> float:
    """Peak resident memory in GB (10^9 bytes) of a fresh process that calls ``function``, see ``alone``."""
    return alone(function, **arguments)[1]


def alone(function: Callable[..., Any], **arguments: Any) -> tuple[Any, float]:
    """Call a function in a fresh process that imports what it needs.

    Args:
        function: at the top level of its module.
        arguments: numbers, strings, and lists and mappings of them.

    Returns:
        What it returned, if that is a number, a string, or a list or mapping of them; and the process's peak resident
        memory in GB (10^9 bytes).

    Raises:
        RuntimeError: the process failed; with the end of its error output.
    """
    code = (
        "import sys, json, importlib\n"
        "module, function, arguments = sys.argv[1:]\n"
        "returned = getattr(importlib.import_module(module), function)(**json.loads(arguments))\n"
        "from benchmarks._common import own_peak\n"
        "print(json.dumps([returned, own_peak()], default=str))"
    )
    command = [sys.executable, "-c", code, function.__module__, function.__name__, json.dumps(arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"{function.__name__} failed in its own process: {done.stderr[-2000:]}")
    returned, peak = json.loads(done.stdout.splitlines()[-1])
    return returned, peak / 1e9


def own_peak() -> int:
    """Peak resident memory of this process in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not ru_maxrss: a child inherits its parent's peak there.
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def describe_run(meter: Meter, load: Sequence[float]) -> str:
    """Hardware, threads, clock, date, versions and the machine's load, for below a table.

    Args:
        meter: how it was measured.
        load: processes that were running or waiting over the last minute, before and after.
    """
    import torch

    from bench.provenance import device_name, git_state, versions

    found = versions()
    revision, changed = git_state()
    clock = "wall-clock seconds" if meter.clock == "wall" or meter.device != "cpu" else "processor seconds"
    hardware = f"{device_name('cpu')}, {os.cpu_count()} cores"
    if meter.device.startswith("cuda") or torch.cuda.is_available():
        hardware += f"; {device_name('cuda')}"
    return (
        f"{hardware}; device {meter.device}, {meter.threads} thread{'s' * (meter.threads > 1)}; {clock}; load "
        f"{load[0]:.1f} before, {load[-1]:.1f} after; {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC; "
        f"torch {found['torch']}, faiss-cpu {found.get('faiss-cpu', '-')}, numpy {found['numpy']}; "
        f"revision {revision[:10] or 'unknown'}{' with changes' if changed else ''}"
    )


def table(results: Sequence[Result]) -> str:
    """Results as a Markdown table, columns aligned so that it reads on a terminal too."""
    header = ["measured", "ours", "alternative", "ratio (middle half)", "target", "met", "n"]
    lines = [header, *([_shown(result) for result in results])]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    rule = ["-" * width for width in widths]
    padded = [[text.ljust(width) for text, width in zip(line, widths, strict=True)] for line in [header, rule]]
    padded += [[text.ljust(width) for text, width in zip(line, widths, strict=True)] for line in lines[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def _shown(result: Result) -> list[str]:
    ratio, target = "", ""
    value = result.value(result.figure)
    if value is not None:
        ratio = f"{result.figure} = {value:.3g}"
        if result.spread:
            ratio += f" ({result.spread[0]:.3g} to {result.spread[1]:.3g})"
    if result.target:
        unit = f" {result.unit}" if result.target.figure == "ours" else ""
        target = f"{result.target.figure} {result.target.relation} {result.target.limit:g}{unit}"
    other = "" if result.other is None else f"{_number(result.other)} {result.unit}: {result.alternative}"
    met = {None: "", True: "yes", False: "**no**"}[result.met]
    return [result.what, f"{_number(result.ours)} {result.unit}", other, ratio, target, met, str(result.n)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def section(name: str, title: str, results: Sequence[Result], run: str) -> str:
    """One benchmark's results as Markdown between marks that ``write_section`` finds again."""
    return (
        f"<!-- begin {name} -->\n### `{name}`\n\n{title}\n\n{table(results)}\n\n<sub>{run}</sub>\n<!-- end {name} -->"
    )


def write_section(text: str, name: str, readme: str) -> str:
    """``readme`` with the benchmark's section replaced, or appended where it has none.

    Args:
        text: from ``section``.
        name: of the benchmark.
        readme: the whole page.
    """
    pattern = re.compile(rf"<!-- begin {re.escape(name)} -->.*?<!-- end {re.escape(name)} -->", re.DOTALL)
    if pattern.search(readme):
        return pattern.sub(lambda _: text, readme)
    return f"{readme.rstrip()}\n\n{text}\n"


def slope(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Exponent b of seconds ~ size^b, by least squares of logarithms."""
    import math

    return statistics.linear_regression([math.log(x) for x in sizes], [math.log(y) for y in seconds]).slope
