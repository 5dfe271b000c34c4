"""Many processes at one store, killed at the worst moment, on disks that are full."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.store.cache import Store

pytestmark = [pytest.mark.faults, pytest.mark.integration]

PREAMBLE = """
import os, resource, signal, sys, time
from pathlib import Path
import numpy as np
from bench.store.cache import Busy, Store

class Named:
    kind, key = "numbers", "shared"
    def describe(self):
        return {}

root = Path(sys.argv[1])
store, stage = Store(root / "store"), Named()

def fork(work):
    pid = os.fork()
    if pid == 0:
        os._exit(work() or 0)
    return pid

def wait_for(condition):
    while not condition():  # the limit of the whole script ends it otherwise
        time.sleep(0.01)

def produce(name="producer", seconds=0.3):
    (root / f"produced-{name}-{os.getpid()}").touch()
    time.sleep(seconds)
    return {"x": np.arange(100_000)}

def results(pids):
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
"""


class Shared:
    """The stage of the scripts, seen from this process."""

    kind, key = "numbers", "shared"

    def describe(self) -> dict[str, str]:
        return {}


def script(folder: Path, body: str) -> str:
    """Run a script in a process of its own, which forks those that compete."""
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + body, str(folder)], capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_of_ten_processes_one_produces_and_a_later_one_reuses(tmp_path: Path) -> None:
    script(
        tmp_path,
        """
def want():
    wait_for((root / "go").exists)
    return int(store.get(stage, produce).arrays["x"].sum() != 4_999_950_000)

pids = [fork(want) for _ in range(10)]
(root / "go").touch()
assert results(pids) == [0] * 10
""",
    )
    assert len(list(tmp_path.glob("produced-*"))) == 1
    assert Store(tmp_path / "store").load(Shared()) is not None


def test_a_producer_that_is_killed_holds_nobody_up(tmp_path: Path) -> None:
    script(
        tmp_path,
        """
first = fork(lambda: store.get(stage, lambda: produce("first", seconds=3600)) and 0)
wait_for(lambda: list(root.glob("produced-first-*")))
assert stage not in store
waiting = [fork(lambda: int(store.get(stage, produce).reused)) for _ in range(3)]
time.sleep(0.3)
assert not list(root.glob("produced-producer-*")), "produced while another was producing"
os.kill(first, signal.SIGKILL)
assert results([first]) == [-signal.SIGKILL]
assert sorted(results(waiting)) == [0, 1, 1], "one computes, two reuse"
""",
    )
    assert len(list(tmp_path.glob("produced-producer-*"))) == 1


def test_who_need_not_wait_is_told_at_once(tmp_path: Path) -> None:
    script(
        tmp_path,
        """
def produce_until_told():
    made = produce(seconds=0)
    wait_for((root / "go on").exists)
    return made

first = fork(lambda: store.get(stage, produce_until_told) and 0)
wait_for(lambda: list(root.glob("produced-*")))
try:
    store.get(stage, produce, wait=False)
    raise AssertionError("did not notice the other producer")
except Busy as busy:
    assert "another process is computing numbers" in str(busy)
(root / "go on").touch()  # who waited above would wait for ever
assert results([first]) == [0]
assert store.get(stage, produce, wait=False).reused
""",
    )
    assert len(list(tmp_path.glob("produced-*"))) == 1


@pytest.mark.parametrize("number", ["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def test_a_file_system_without_locks_warns_and_works(tmp_path: Path, number: str) -> None:
    """A file that another process left at the lock's place, whatever it holds, means nothing."""
    script(
        tmp_path,
        f"""
import errno, fcntl, logging
from bench.store.inventory import remove, stored
def refuse(*_):
    raise OSError(errno.{number}, "No locks available")
fcntl.flock = refuse
logging.basicConfig(filename=root / "log")
assert not store.get(stage, produce).reused
[item] = stored(store.root)
item.record.with_suffix(".lock").write_text("1234\\nanother-host\\n")
assert store.get(stage, produce).reused
item.record.unlink()
assert not store.get(stage, produce, wait=False).reused
item.record.with_suffix(".lock").write_text("")
item.record.unlink()
assert not store.get(stage, produce, wait=False).reused
assert remove(item) and not stored(store.root)
""",
    )
    assert "has no file locks" in (tmp_path / "log").read_text()


def test_a_writer_killed_at_any_moment_leaves_all_or_nothing(tmp_path: Path) -> None:
    """Killed while it writes one new artifact after the other; what is there must be whole."""
    script(
        tmp_path,
        """
class Numbered(Named):
    def __init__(self, number):
        self.key = f"{number:06d}"

def forever():
    number = int(time.time() * 1000) % 10**6
    while True:
        number += 1
        store.get(Numbered(number), lambda: {"x": np.full(200_000, number)})

seen = 0
for attempt in range(12):
    pid = fork(forever)
    wait_for(lambda: len(list(store.root.glob("*/*.json"))) > seen)
    time.sleep(0.003 * attempt)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    keys = [path.stem for path in store.root.glob("*/*.json")]
    seen = len(keys)
    for key in keys:
        found = store.load(Numbered(int(key)))
        assert found is not None and (found.arrays["x"] == int(key)).all(), key
""",
    )


def no_space(work: str) -> str:
    return f"""
try:
    {work}
    raise AssertionError("nothing was refused")
except OSError as error:
    print(error.errno, flush=True)
"""


FULL = (
    no_space('store.get(stage, lambda: {"x": np.zeros(4 * 2**20, dtype=np.uint8)})')
    + """
assert stage not in store
assert not list((store.root / "numbers").glob("*.npz")) + list((store.root / "numbers").glob(".tmp-*"))
assert not store.get(stage, lambda: {"x": np.zeros(5)}).reused
assert store.get(stage, produce).reused
"""
)


def test_a_file_over_the_limit_leaves_nothing_behind(tmp_path: Path) -> None:
    setup = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2 * 2**20, 2 * 2**20))
"""
    assert script(tmp_path, setup + FULL).strip() == "27"  # EFBIG


def test_a_full_disk_leaves_nothing_behind(small_disk: Path) -> None:
    assert script(small_disk, FULL).strip() == "28"  # ENOSPC
    assert os.statvfs(small_disk).f_bavail > 0


def test_reading_holds_the_arrays_once(tmp_path: Path) -> None:
    script(tmp_path, 'store.get(stage, lambda: {"x": np.ones(100 * 2**20, dtype=np.uint8)})')
    ratio = script(
        tmp_path,
        """
def peak():
    # Not getrusage, whose peak begins with that of the process that started this one.
    [line] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024
before = peak()
size = store.load(stage).arrays["x"].nbytes
print((peak() - before) / size)
""",
    )
    assert 0.8 < float(ratio) < 1.2
