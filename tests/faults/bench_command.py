"""The command line in a process of its own, for tests that interrupt or kill it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO


class Command:
    """``bench run`` in a process of its own, whose lines are read as they come.

    Args:
        folder: holds the rows and the cache.
        arguments: of the command.
        background: ignore SIGINT from the start, as what a script starts with ``&`` does.
    """

    def __init__(self, folder: Path, *arguments: str, background: bool = False) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench", "run", "--out", str(folder / "out"), "--device", "cpu", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=(lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) if background else None,
            env={**os.environ, "BENCH_CACHE_DIR": str(folder / "cache")},
        )
        self.lines: list[str] = []
        self._printed: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(stream, kept))
            for stream, kept in (
                (self.process.stdout, [self._printed, self.lines]),
                (self.process.stderr, [self.lines]),
            )
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream: IO[str], kept: list[list[str]]) -> None:
        with stream:
            for line in stream:
                for lines in kept:
                    lines.append(line)

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Wait at most eight minutes, on a busy machine too."""
        end = time.monotonic() + 480
        while not condition():
            assert time.monotonic() < end, f"no {what} in {self.lines}"
            assert self.process.poll() is None, f"ended before {what}: {self.lines}"
            time.sleep(0.05)

    def interrupt(self) -> None:
        """Press Ctrl-C, which every process of the terminal's group sees, and wait for the end."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.close()

    def terminate(self) -> None:
        """Send SIGTERM to the driver alone, as a batch system does before it kills, and wait for the end."""
        self.process.terminate()
        self.close()

    def kill(self) -> None:
        """As ``kill -9`` of the driver alone."""
        self.process.kill()
        self.close()

    def descendants(self) -> dict[int, str]:
        """Process number -> name of everything that the command started and that still runs."""
        children: dict[int, list[int]] = {}
        names: dict[int, str] = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                head, _, tail = path.read_text().rpartition(")")
                number, name = head.split(" (", 1)
                state, parent = tail.split()[:2]
                if state != "Z":
                    children.setdefault(int(parent), []).append(int(number))
                    names[int(number)] = name
        found: dict[int, str] = {}
        left = [self.process.pid]
        while left:
            for child in children.get(left.pop(), []):
                found[child] = names[child]
                left.append(child)
        return found

    def close(self) -> None:
        self.process.wait(timeout=500)
        for reader in self._readers:
            reader.join()

    @staticmethod
    def wait_for_end(processes: dict[int, str]) -> None:
        """Wait until they are gone, eight minutes at most."""
        end = time.monotonic() + 480
        while alive(processes):
            assert time.monotonic() < end, alive(processes)
            time.sleep(0.1)

    @property
    def output(self) -> str:
        """What it wrote to standard output alone."""
        return "".join(self._printed)

    @property
    def text(self) -> str:
        """What it wrote to standard output and standard error."""
        return "".join(self.lines)


def finish(folder: Path, *arguments: str) -> str:
    command = Command(folder, *arguments)
    command.close()
    assert command.process.returncode == 0, command.text
    return command.text


def alive(processes: dict[int, str]) -> dict[int, str]:
    """Those that still run under the same name; a zombie does not."""
    found = {}
    for number, name in processes.items():
        with suppress(OSError):
            head, _, tail = Path(f"/proc/{number}/stat").read_text().rpartition(")")
            if tail.split()[0] != "Z" and head.split(" (", 1)[1] == name:
                found[number] = name
    return found


def tasks_under_way(folder: Path) -> list[Path]:
    """Return the reports of what runs into ``folder / "out"`` compute; their folder is deleted whenever it is empty."""
    with suppress(FileNotFoundError):
        return list((folder / "out" / ".underway").glob("*/*.json"))
    return []
