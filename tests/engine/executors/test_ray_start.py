"""Starting Ray: what is refused before it starts, and how its errors are told; ``tests/faults`` interrupts it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from bench.engine.executors import ray_start
from bench.errors import BenchError, RunError, SpecError


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc")  # noqa: PTH110
def test_too_small_an_address_space_is_refused() -> None:
    with pytest.raises(RunError, match=r"Ray needs 1\.5 GB of address space .*--executor local, which needs no Ray"):
        ray_start._check_address_space(1 << 30)
    ray_start._check_address_space(1 << 50)


@pytest.mark.parametrize(
    ("error", "address", "limit", "kind", "message"),
    [
        (
            ConnectionError("nobody\nthere."),
            "head:6379",
            None,
            SpecError,
            "no Ray cluster answers at 'head:6379': nobody there.",
        ),
        (
            RuntimeError(),
            None,
            None,
            RunError,
            "Ray could not start (RuntimeError). Is the machine overloaded, its disk full?",
        ),
        (
            OSError("no memory."),
            None,
            4 << 30,
            RunError,
            "its disk full, its address space too small (ulimit -v 4194304)?",
        ),
    ],
)
def test_an_error_of_the_start_is_one_line(
    error: Exception, address: str | None, limit: int | None, kind: type[BenchError], message: str
) -> None:
    refusal = ray_start._refusal(error, address, limit)
    assert type(refusal) is kind
    assert message in str(refusal)
    assert "\n" not in str(refusal)


@pytest.fixture
def default_handlers() -> Iterator[None]:
    """Ray and Tune, which another test of this process may have started, leave handlers of their own."""
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    terminate = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, terminate)


@pytest.mark.usefixtures("default_handlers")
def test_sigterm_interrupts_the_block_and_the_handlers_are_restored() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def terminate() -> None:
        with ray_start._sigterm_interrupts() as keep:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as Ray's C++ code replaces it
            keep()
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        terminate()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
