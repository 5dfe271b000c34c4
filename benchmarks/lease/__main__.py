"""A lease of a few minutes: `python -m benchmarks.lease --minutes 9 --out DIR`.

In the order of what is worth most, each with its own time limit: the tests that need a GPU; its matrix rate and
ResNet-18 in the loop; `speedrun` on the full data; clustering and neighbours of 50,000 embeddings; what compiling
gains; then cells of `fast-cifar10` until time is up. What has come out is written as it goes, in eight files of at
most 16 MB, and the next lease goes on from `--resume`. Only the standard library is imported here: the machine may lack
the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.lease.brought import FINDER, Brought, write_rows

ROOT = Path(__file__).parents[2]
_FLUSH = 20.0
"""Seconds between two writings of what has come out."""
_LAST = 20.0
"""Seconds of the lease that are kept for the last of them."""
_GRACE = 5.0
GPU_TESTS = (
    "tests/training",
    "tests/engine/test_devices.py",
    "tests/engine/test_probe.py",
    "tests/embedding/test_frozen.py",
    "tests/test_knn.py",
    "tests/test_to_device.py",
    "tests/test_resource_usage.py",
)
"""All that hold tests marked ``gpu``, but for the benchmarks, which have steps of their own."""
_MOST_LOG = 8_000_000
"""Bytes of a step's output that are kept: its end."""


@dataclass(frozen=True)
class Step:
    """One command of a lease and its longest time in seconds; ``inf`` is whatever is left."""

    name: str
    command: tuple[str, ...]
    limit: float


@dataclass(frozen=True)
class Ended:
    """How a step ended: ``done``, ``failed (CODE)``, ``time limit`` or ``no time left``."""

    name: str
    seconds: float
    end: str


def steps(brought: Brought, scratch: Path, *, device: str, tiny: bool, threads: int) -> list[Step]:
    """Return what a lease does, first things first."""
    python, small = (sys.executable, "-m"), ("--tiny",) if tiny else ()
    measure = (*python, "benchmarks")
    on = ("--device", device, "--threads", str(threads), *small)
    cells = (*python, "benchmarks.lease.table", "--out", str(scratch / "rows"), "--cache", str(scratch / "cache"))
    cells += ("--device", device, "--threads", str(threads), *small, *brought.options())
    found = ("tests/training/test_fit.py",) if tiny else GPU_TESTS
    # Warnings are errors in our own environment; here the libraries have other versions, which may deprecate anything.
    pytest = (*python, "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "-W", "default")
    # Fewer repetitions and steps than by default: a step that its limit stops has measured nothing. By arithmetic, from
    # 10,000 images a second in ResNet-18 and a minute of compiling.
    short = () if tiny else ("--repeats", "2", "--set", "steps=2")
    return [
        Step("gpu tests", (*pytest, *found), 100),
        Step("resnet18", (*measure, "gpu_resnet18", *on, "--repeats", "3"), 80),
        Step("full data", (*cells, "--only", "full"), 80),
        Step("clustering", (*measure, "temi_heads", "neighbours", *on), 70),
        Step("compiled", (*measure, "compiled", *on, *short), 90),
        Step("table", cells, float("inf")),
    ]


def lease(
    todo: Sequence[Step],
    out: Path,
    seconds: float,
    *,
    environment: dict[str, str],
    flush: Callable[[], object],
    clock: Callable[[], float] = time.monotonic,
) -> list[Ended]:
    """Run the steps one after the other; stop each at its limit, and all when time is up.

    Args:
        todo: in order.
        out: receives ``steps.json`` and a log of each step.
        seconds: of all together.
        environment: of the steps.
        flush: writes what has come out; called every now and then, and after each step.
        clock: seconds.
    """
    end, ended = clock() + seconds, list[Ended]()
    for number, step in enumerate(todo, 1):
        left = end - clock()
        if left <= 0:
            ended.append(Ended(step.name, 0.0, "no time left"))
        else:
            log = out / f"{number}-{step.name.replace(' ', '-')}.txt"
            try:
                ended.append(_run(step, min(left, step.limit), log, environment, flush, clock))
            finally:  # also when the lease itself is stopped
                flush()
        print(f"{ended[-1].name}: {ended[-1].end}, {ended[-1].seconds:.0f} s", flush=True)
        (out / "steps.json").write_text(json.dumps([asdict(item) for item in ended], indent=1))
    return ended


def _run(
    step: Step,
    limit: float,
    log: Path,
    environment: dict[str, str],
    flush: Callable[[], object],
    clock: Callable[[], float],
) -> Ended:
    begin = flushed = clock()
    with log.open("wb") as file:
        # A session of its own, so that what it starts can be stopped with it.
        process = subprocess.Popen(
            step.command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            while process.poll() is None and clock() - begin < limit:
                time.sleep(0.2)
                if clock() - flushed >= _FLUSH:
                    flush()
                    flushed = clock()
        finally:
            running = process.poll() is None
            _stop(process)
    _cut(log)
    end = "time limit" if running else "done" if process.returncode == 0 else f"failed ({process.returncode})"
    return Ended(step.name, round(clock() - begin, 1), end)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, then end it, and what it started, which may hold the GPU after its own end."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _cut(log: Path) -> None:
    if log.stat().st_size > _MOST_LOG:
        with log.open("rb") as file:
            file.seek(-_MOST_LOG, os.SEEK_END)
            end = file.read()
        log.write_bytes(b"(the beginning is left out)\n" + end)


def _environment(scratch: Path, wheels: Path | None, threads: int, revision: str) -> dict[str, str]:
    """Where the steps find the harness, which nobody has installed here, and the wheels; and the harness's revision."""
    site = scratch / "site"
    site.mkdir(parents=True)
    if wheels is not None:
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
        files = sorted(map(str, wheels.glob("*.whl")))
        subprocess.run([*install, "--target", str(site), *files], check=True)
    (site / "sitecustomize.py").write_text(FINDER.format(root=str(ROOT)))
    path = [str(site), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    own = {"PYTHONPATH": os.pathsep.join(path), "PYTHONUNBUFFERED": "1", "BENCH_REVISION": revision}
    return {**os.environ, **own, "OMP_NUM_THREADS": str(threads)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a lease; return 1 where a step failed."""
    begin = time.monotonic()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lease", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=9.0, help="All together; stay below what is lent. Default: 9.")
    parser.add_argument("--out", type=Path, required=True, help="At most 8 files of at most 16 MB.")
    parser.add_argument("--pieces", type=Path, nargs="*", default=[], help="Of benchmarks.lease.pieces.")
    parser.add_argument("--data-root", type=Path, help="Holds CIFAR-10, or pieces that were unpacked before.")
    parser.add_argument("--weights", type=Path, help="Of efficientnet_lite0; without, encoders are pixels.")
    parser.add_argument("--wheels", type=Path, help="Folder of benchmarks.lease.wheels.")
    parser.add_argument(
        "--resume", type=Path, nargs="*", default=[], help="Other leases' rows.tar.gz; --out's is read too."
    )
    parser.add_argument(
        "--revision",
        default=os.environ.get("BENCH_REVISION", ""),
        help="Of this tree, for the rows, where .git did not travel with it. Default: BENCH_REVISION.",
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda", help="Default: cuda.")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="Default: one for each CPU.")
    parser.add_argument("--tiny", action="store_true", help="Shows that all of it runs; measures nothing.")
    parser.add_argument("--dry-run", action="store_true", help="Print the steps and their longest times, and end.")
    given = parser.parse_args(arguments)
    # Before any time of the lease is spent.
    for path in (*given.pieces, *given.resume, *filter(None, (given.data_root, given.weights, given.wheels))):
        if not path.exists():
            parser.error(f"{path} does not exist")
    if given.out.is_file():
        parser.error(f"--out {given.out} is a file; it takes a folder")
    if 60 * given.minutes <= _LAST or given.threads < 1:
        parser.error(f"--minutes is more than {_LAST / 60:.1f}, and --threads at least 1")
    if given.dry_run:
        brought = Brought(given.data_root, given.weights)
        for step in steps(brought, Path("scratch"), device=given.device, tiny=given.tiny, threads=given.threads):
            limit = "whatever is left" if step.limit == float("inf") else f"at most {step.limit:.0f} s"
            print(f"{step.name}: {limit}")
        return 0
    given.out.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="lease-"))
    try:
        environment = _environment(scratch, given.wheels, given.threads, given.revision)
        resume = [*given.resume, *given.out.glob("rows.tar.gz")]
        brought = Brought.unpack(
            given.pieces, given.data_root, given.weights, resume, scratch, environment, tiny=given.tiny
        )
        todo = steps(brought, scratch, device=given.device, tiny=given.tiny, threads=given.threads)
        left = 60 * given.minutes - _LAST - (time.monotonic() - begin)
        ended = lease(todo, given.out, left, environment=environment, flush=lambda: write_rows(scratch, given.out))
        if left_out := write_rows(scratch, given.out):
            print(f"left out, as the channel is narrow: {', '.join(left_out)}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return int(any(item.end.startswith("failed") for item in ended))


if __name__ == "__main__":
    # So that a scheduler's SIGTERM ends the running step too, and what has come out is written.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
