"""Whatever an installed package does when it is imported, commands name it, go on, and end as they say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

METHOD = '''
from bench import register_method


@register_method("{name}", supervision="none")
def keep(pool, budget, rng):
    """Keep the first images."""
    return range(budget)
'''

FAILING = {
    "exits": ("import sys; sys.exit()", "it calls sys.exit()"),
    "exits-0": ("import sys; sys.exit(0)", "it calls sys.exit(0)"),
    "exits-text": ("import sys; sys.exit('no GPU')", "it calls sys.exit(no GPU)"),
    "quits": ("quit()", "it calls sys.exit("),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "own-base": ("class Odd(BaseException): pass\nraise Odd('odd')", "Odd: odd"),
    "closes": ("raise GeneratorExit", "GeneratorExit"),
    "cancelled": ("import asyncio; raise asyncio.CancelledError", "CancelledError"),
    "divides": ("1 / 0", "ZeroDivisionError: division by zero"),
    "speechless": ("class Mute(Exception):\n def __str__(self): raise ValueError\nraise Mute", "Mute"),
    "multiline": ("raise ValueError('one\\ntwo')", "ValueError: one two"),
    "no-python": ("def", "SyntaxError: invalid syntax"),
    "lacks": ("import no_such_module", "No module named 'no_such_module'"),
    "endless": ("def f(): f()\nf()", "RecursionError"),
    "hungry": ("bytearray(1 << 62)", "MemoryError"),
    "takes-a-name": (METHOD.format(name="aum"), "method 'aum' is registered twice"),
    "bad-name": (METHOD.format(name="Not A Name"), "a name has lower-case letters"),
    "group": ("raise BaseExceptionGroup('many', [KeyboardInterrupt()])", "many"),
}
RUDE = {
    "prints": "print('hello')",
    "writes": "import os; os.write(1, b'hello')",
    "prints-from-c": "import ctypes; ctypes.CDLL(None).puts(b'hello'); ctypes.CDLL(None).fflush(None)",
    "shell": "import os; os.system('echo hello')",
    "original": "import sys; print('hello', file=sys.__stdout__)",
    "at-exit": "import atexit; atexit.register(print, 'hello')",
    "at-exit-exits": "import atexit, sys; atexit.register(sys.exit, 0)",
    "thread": "import threading, time\ndef say():\n for _ in range(100): print('hello'), time.sleep(0.01)\n"
    "threading.Thread(target=say).start()",
    "no-stdout": "import sys; sys.stdout = None",
    "other-stdout": "import io, sys; sys.stdout = sys.stderr = io.StringIO()",
    "argv": "import sys; del sys.argv[1:]",
    "warnings": "import warnings; warnings.simplefilter('error')",
    "moves": "import os; os.chdir('/')",
    "silences": "import logging; logging.disable(logging.CRITICAL)",
    "dict-config": "import logging.config; logging.config.dictConfig({'version': 1})",
    "basic-config": "import logging, sys; logging.basicConfig(stream=sys.stdout, level=logging.DEBUG)",
    "log-file": "import logging, os; logging.basicConfig(filename=os.devnull)",
    "ignores-ctrl-c": "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)",
    "numpy-errors": "import numpy; numpy.seterr(all='raise')",
    "few-digits": "import decimal; decimal.getcontext().prec = 1",
    "reads-stdin": "import sys; sys.stdin.read()",
}


def install(folder: Path, plugins: dict[str, str]) -> Path:
    """Outside packages, one module each, found by their entry points."""
    for name, body in plugins.items():
        module = f"outside_{name.replace('-', '_')}"
        (folder / f"{module}.py").write_text(body)
        metadata = folder / f"{module}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[bench.methods]\n{name} = {module}\n")
    return folder


def command(site: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "bench", *arguments]


def environment(site: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "400"}


def bench(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(site, *arguments),
        env=environment(site),
        capture_output=True,
        text=True,
        timeout=500,
        stdin=subprocess.DEVNULL,
        cwd=site,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rude ones first, so that each could silence what is said of those that fail."""
    rude = {f"a-{name}": body + METHOD.format(name=f"rude-{name}") for name, body in RUDE.items()}
    failing = {
        f"b-{name}": body for name, (body, _) in FAILING.items() if sys.version_info >= (3, 11) or name != "group"
    }
    return install(tmp_path_factory.mktemp("site"), rude | failing | {"c-sound": METHOD.format(name="sound")})


def test_each_package_that_fails_is_named_and_the_others_work(site: Path) -> None:
    done = bench(site, "list", "methods", "--json")
    assert done.returncode == 0, done.stderr
    names = {item["name"] for item in json.loads(done.stdout)["methods"]}
    assert names >= {"elfs", "aum", "random", "sound"} | {f"rude-{name}" for name in RUDE}
    for name, (_, said) in FAILING.items():
        if sys.version_info >= (3, 11) or name != "group":
            [line] = [line for line in done.stderr.splitlines() if f" of b-{name} (entry point" in line]
            assert "cannot be loaded: " in line
            assert said in line
    assert "outside_b_divides.py, line 1" in done.stderr


def test_what_a_package_prints_is_no_part_of_a_page(tmp_path: Path) -> None:
    loud = {name: RUDE[name] for name in ("prints", "no-stdout", "other-stdout", "argv", "basic-config")}
    plain = bench(tmp_path, "list", "encoders")
    folder = install(tmp_path, loud)
    for metadata in folder.glob("*.dist-info/entry_points.txt"):
        metadata.write_text(metadata.read_text().replace("bench.methods", "bench.encoders"))
    done = bench(folder, "list", "encoders")
    assert (done.returncode, done.stdout) == (0, plain.stdout)
    assert "hello" in done.stderr


@pytest.mark.parametrize(
    "arguments", [("check", "random"), ("run", "--methods", "random", "--datasets", "digits", "--dry-run")]
)
def test_a_command_that_asks_for_built_in_plugins_imports_no_other(site: Path, arguments: tuple[str, ...]) -> None:
    done = bench(site, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert "outside_" not in done.stderr
    assert "hello" not in done.stdout + done.stderr


def test_a_misspelt_name_says_which_packages_failed(site: Path) -> None:
    done = bench(site, "check", "exitss", "--json")
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert "unknown method 'exitss'" in error
    assert "the plugin 'outside_exits' of b-exits" in error.replace("outside_b_exits", "outside_exits")


SLEEPING = """
import time
from pathlib import Path
Path(__file__).with_suffix(".begun").touch()
{before}
    time.sleep(3600)
{after}
"""


@pytest.mark.parametrize("swallowed", [False, True], ids=["plain", "swallowed"])
def test_ctrl_c_during_an_import_ends_the_command(tmp_path: Path, swallowed: bool) -> None:
    lines = ("try:", "except BaseException: pass") if swallowed else ("if True:", "")
    install(tmp_path, {"slow": SLEEPING.format(before=lines[0], after=lines[1])})
    process = subprocess.Popen(
        command(tmp_path, "list", "methods", "--json"),
        env=environment(tmp_path),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 500
    while not (tmp_path / "outside_slow.begun").exists():
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=500)
    assert process.returncode == 130, errors
    assert output == ""
    assert "stopped while the plugin 'outside_slow' of slow (entry point group bench.methods) was imported" in errors
