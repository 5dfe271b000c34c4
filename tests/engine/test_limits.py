"""Time limits of a process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.engine.limits import mark_of, read_mark, time_limit
from bench.errors import TimeLimit

pytestmark = pytest.mark.integration


def test_time_limit_interrupts_python_and_leaves_no_trace(tmp_path: Path) -> None:
    mark = mark_of("cell", tmp_path)

    def work() -> None:
        with time_limit(0.2, mark):
            assert mark.exists()
            while True:  # the limit of pytest itself ends what the limit does not
                time.sleep(60)

    with pytest.raises(TimeLimit, match=r"not done after 0\.2 s, the time limit"):
        work()
    assert not mark.exists()
    with time_limit(60, mark):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    with time_limit(None, mark):
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0), "the limit of the block before no longer counts"
    assert read_mark(mark) is None


def test_the_process_of_code_that_catches_the_time_limit_is_ended(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = (
        "import sys, time; from pathlib import Path; from bench.engine import limits\n"
        "def deaf():\n"
        "  while True:\n"
        "    try: time.sleep(0.05)\n"
        "    except BaseException: pass\n"
        "limits.GRACE = 0.2\n"
        "with limits.time_limit(0.2, Path(sys.argv[1])): deaf()"
    )
    done = subprocess.run([sys.executable, "-c", code, mark], timeout=500, check=False)
    assert done.returncode == 1
    assert "in deaf" in str(read_mark(mark))
