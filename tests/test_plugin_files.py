"""A plugin that is a single file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import SpecError, load_plugin
from bench.plugins import methods

FIRST = '''"""Mine."""
import numpy as np
from bench import register_method

@register_method("first-of-a-file", supervision="none")
def first(pool, budget, rng):
    """Keep the first."""
    return np.arange(budget)
'''


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    yield
    for name in [name for name in sys.modules if name.startswith("bench_plugin_")]:
        del sys.modules[name]
    if "first-of-a-file" in {entry.name for entry in methods.by_hand()}:
        methods.remove("first-of-a-file")


def test_what_a_file_registers_is_found(tmp_path: Path) -> None:
    file = tmp_path / "random.py"  # a name that a file of Python's has too
    file.write_text(FIRST)
    load_plugin(str(file))  # a text, as docs/python.md writes it
    assert methods.get("first-of-a-file").function.__doc__ == "Keep the first."
    assert sys.modules["random"].__file__ != str(file)


def test_a_file_is_loaded_again_after_an_edit(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    for keeps in ("Keep the first.", "Keep all."):
        file.write_text(FIRST.replace("Keep the first.", keeps))
        load_plugin(file)
        assert methods.get("first-of-a-file").function.__doc__ == keeps


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("mine.txt", FIRST, r"--plugin .*mine\.txt is not valid: give a Python file"),
        ("absent.py", None, "does not exist; give a Python file"),
        ("wrong.py", "1 / 0", "cannot be loaded: .*division by zero"),
        ("typing_error.py", "def broken(", "cannot be loaded: .*"),
        ("leaves.py", "import sys; sys.exit(3)", "cannot be loaded: "),
        ("empty.py", "x = 1", "registers nothing; see docs/add-a-method.md"),
    ],
)
def test_what_is_no_plugin_is_one_line(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(SpecError, match=message) as caught:
        load_plugin(tmp_path / name)
    assert "\n" not in str(caught.value)
