from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.results.rows import read_rows
from bench.units import counted
from tests.faults.bench_command import Command, alive, finish, tasks_under_way

pytestmark = [pytest.mark.faults, pytest.mark.integration, pytest.mark.slow]


def test_ctrl_c_while_cells_train(tmp_path: Path) -> None:
    # Long enough that not all six are done when the first is.
    arguments = ("--methods", "random", "--rates", "0.5", "--seeds", "6", "--recipe", "iterations=600,evaluations=1")
    command = Command(tmp_path, *arguments)
    rows = tmp_path / "out" / "rows"
    command.wait_for(lambda: rows.exists() and any(rows.glob("*.json")), "row")
    command.interrupt()
    there = list(read_rows(tmp_path / "out"))  # raises if any is not whole
    assert 1 <= len(there) < 6
    assert command.process.returncode == 130
    computed = int(re.findall(r"Shared stages: (\d) computed, 0 reused\.", command.text)[0])
    assert len(there) <= computed
    assert f"Interrupted; {counted(6 - len(there), 'cell')} left. The same command resumes." in command.text
    assert "Traceback" not in command.text
    text = finish(tmp_path, *arguments)
    assert int(re.findall(r"(\d) shared stages? to compute", text)[0]) <= 6 - computed
    assert f"{counted(6 - len(there), 'cell')} to train, {len(there)} with a row already" in text
    assert len(list(read_rows(tmp_path / "out"))) == 6


def test_sigterm_in_the_background_while_stages_are_computed(tmp_path: Path) -> None:
    recipe = "iterations=20,evaluations=1,proxy_epochs="
    arguments = ("--methods", "aum,random", "--rates", "0.5", "--seeds", "2", "--pool-size", "300", "--recipe")
    command = Command(tmp_path, *arguments, f"{recipe}100000", background=True)
    command.wait_for(lambda: any((tmp_path / "cache").glob("dynamics/*.lock")), "proxy under way")
    command.terminate()  # at once, since the proxy would take hours
    assert command.process.returncode == 130
    assert "Interrupted; 4 cells left. The same command resumes." in command.text
    assert "Traceback" not in command.text
    assert not list((tmp_path / "cache").glob("dynamics/*.npz"))
    for record in (tmp_path / "cache").glob("*/*.json"):
        json.loads(record.read_text())
    # The same grid with proxies that end: locks left behind by the killed processes hold nobody up.
    finish(tmp_path, *arguments, f"{recipe}3")
    assert len(list(read_rows(tmp_path / "out"))) == 4


SHORT = ("--methods", "random", "--rates", "0.9", "--pool-size", "300", "--recipe", "iterations=8,evaluations=1")
ENDLESS = (*SHORT[:-1], "iterations=1000000,evaluations=1")


def catches(process: int, number: signal.Signals) -> bool:
    """Whether a process has a handler of its own for the signal."""
    [mask] = re.findall(r"SigCgt:\s*(\w+)", Path(f"/proc/{process}/status").read_text())
    return bool(int(mask, 16) >> (number - 1) & 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_first_second_ends_a_command_as_ctrl_c_does(tmp_path: Path, number: signal.Signals) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("this Python ignores the signal, as under nohup, and so does what it starts")
    command = Command(tmp_path, *SHORT)
    command.wait_for(lambda: catches(command.process.pid, number), "handler")
    command.process.send_signal(number)
    command.close()
    assert command.process.returncode == 130
    assert command.text == "Interrupted.\n"


def test_a_signal_that_the_caller_ignores_stays_ignored(tmp_path: Path) -> None:
    code = "import signal; from bench.interruption import count_as_ctrl_c; count_as_ctrl_c(); signal.raise_signal(1)"
    done = subprocess.run(["nohup", sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("server", ["gcs_server", "raylet"])
def test_sigterm_while_ray_starts(tmp_path: Path, server: str) -> None:
    command = Command(tmp_path, *SHORT)
    command.wait_for(lambda: server in command.descendants().values(), "server of Ray")
    servers = command.descendants()
    command.terminate()
    assert command.process.returncode == 130
    assert "Interrupted; 1 cell left. The same command resumes." in command.text
    assert "Traceback" not in command.text
    Command.wait_for_end(servers)


def test_what_rays_own_handler_of_sigterm_does_is_undone() -> None:
    """It sets an alarm, to abort. It has SIGTERM for a second of the start, in which Python code does not run."""
    code = (
        "import signal; from bench.engine.executors.ray_start import _sigterm_interrupts\n"
        "try:\n"
        "  with _sigterm_interrupts() as keep:\n"
        "    keep(); signal.alarm(60); signal.raise_signal(signal.SIGTERM)\n"
        "except KeyboardInterrupt:\n"
        "  assert signal.alarm(0) == 0, 'called off'\n"
        "  assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, 'put back'\n"
        "  print('interrupted')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


def test_a_signal_to_the_whole_group_lets_the_driver_end_ray_in_order(tmp_path: Path) -> None:
    command = Command(tmp_path, *ENDLESS)
    command.wait_for(lambda: bool(tasks_under_way(tmp_path)), "cell under way")
    servers = command.descendants()
    assert {"gcs_server", "raylet"} <= set(servers.values())
    group = os.getpgid(command.process.pid)
    assert group not in {os.getpgid(server) for server in alive(servers)}
    os.killpg(group, signal.SIGTERM)
    command.close()
    assert command.process.returncode == 130
    assert "Interrupted; 1 cell left. The same command resumes." in command.text
    assert "Traceback" not in command.text
    Command.wait_for_end(servers)


def test_ray_that_cannot_start_ends_a_run_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/proc/nowhere")
    command = Command(tmp_path, *SHORT)
    command.close()
    assert command.process.returncode == 2
    assert re.search(r"Error: Ray could not start \(.*/proc/nowhere.*--executor local needs no Ray\.", command.text)


def start_ray_within(more: int) -> subprocess.CompletedProcess[str]:
    """Start Ray in a process that may have so many bytes more of address space than it has; print its object store."""
    code = (
        "import resource; from pathlib import Path; from bench.engine.executors.ray_start import ray_started\n"
        f"limit = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize() + {more}\n"
        "resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "with ray_started(None):\n"
        "  import ray; print(int(ray.cluster_resources()['object_store_memory']))"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)


def test_too_little_address_space_for_ray_is_refused() -> None:
    """Ray would hang, or crash, in its C++ code."""
    said = r"RunError: Ray needs 1\.5 GB of address space besides .* \(ulimit -v \d+\)\. Raise the limit, or"
    assert re.search(said, start_ray_within(2**30).stderr)


def test_ray_takes_less_of_an_address_space_that_is_limited() -> None:
    """Its own choice is a third of the machine's memory, in every process."""
    done = start_ray_within(4 * 2**30)
    assert done.stdout == "200000000\n", done.stderr
