"""Editing what a method rests on changes its digest; editing anything else does not."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bench
from bench import code_digest as code_digest_module
from bench.code_digest import code_digest
from tests.narrowing import present

PACKAGE = {
    "lab/__init__.py": "",
    "lab/constants.py": "SHARE = 0.5",
    "lab/util.py": "from lab.constants import SHARE",
    "lab/other.py": "",
    "lab/sub/__init__.py": "",
    "lab/sub/inner.py": "def order(scores):\n    from . import late\n    return scores",
    "lab/sub/late.py": "",
    "lab/sub/method.py": "import json\nfrom lab.util import SHARE\nfrom .inner import order",
}
MODULES = {
    "plain_method.py": "import json\nimport plain_helper\nfrom plain_constants import SHARE",
    "plain_helper.py": "",
    "plain_constants.py": "SHARE = 0.5",
    "plain_other.py": "",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, source in {**PACKAGE, **MODULES}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield tmp_path
    code_digest_module._digest_of_files.cache_clear()
    for name in [name for name in sys.modules if name.startswith(("lab", "plain_"))]:
        del sys.modules[name]


def digest(module: str, version: int = 1) -> str:
    def method() -> None: ...

    code_digest_module._digest_of_files.cache_clear()
    method.__module__ = module
    return code_digest(method, version)


@pytest.mark.parametrize(
    ("module", "used"),
    [
        (
            "lab.sub.method",
            {"lab/constants.py", "lab/util.py", "lab/sub/inner.py", "lab/sub/late.py", "lab/sub/method.py"},
        ),
        ("plain_method", {"plain_method.py", "plain_helper.py", "plain_constants.py"}),
    ],
)
def test_every_source_of_its_distribution_that_a_method_imports_counts(
    folder: Path, module: str, used: set[str]
) -> None:
    before = digest(module)
    changed = set()
    for name, source in {**PACKAGE, **MODULES}.items():
        (folder / name).write_text(f"{source}\nEDITED = 1")
        if digest(module) != before:
            changed.add(name)
        (folder / name).write_text(source)
    assert changed == used
    assert digest(module) == before


@pytest.mark.parametrize(
    ("edited", "same"),
    [
        ('"""Other words."""\nSHARE = 0.5  # why a half\n\n\n# The end.\n', True),
        ('SHARE = 0.5\n"""Share.\n\nOf what is kept.\n"""\n', True),
        ('SHARE = 0.5\n\n\ndef half():\n    # Nothing.\n    """Return nothing."""\n', False),
        ('SHARE = 0.5\nNAME = "# kept"\n', False),
        ('SHARE = 0.5\nNAME = """kept"""\n', False),
        ("SHARE = 0.50\n", False),
    ],
)
def test_words_do_not_count(folder: Path, edited: str, same: bool) -> None:
    before = digest("lab.sub.method")
    (folder / "lab/constants.py").write_text(edited)
    assert (digest("lab.sub.method") == before) is same


def test_a_function_that_gets_a_docstring_is_what_it_was(folder: Path) -> None:
    source = "def order(scores):\n    from . import late\n    return scores"
    assert PACKAGE["lab/sub/inner.py"] == source
    before = digest("lab.sub.method")
    head, *body = source.split("\n")
    (folder / "lab/sub/inner.py").write_text("\n".join([head, '    """Order {é}."""  # é', *body]))
    assert digest("lab.sub.method") == before


def test_the_declared_version_counts(folder: Path) -> None:
    assert digest("lab.sub.method", 2) != digest("lab.sub.method", 1)


def test_a_method_that_was_typed_in_has_its_version_alone() -> None:
    assert digest("__main__", 2) != digest("__main__", 1)


NOTEBOOK = """
SHARE = 0.5
WIDTHS = (1, 2)
class Part:
    def size(self):
        return SHARE
def spread(budget, part=Part):
    return [number for number in range(budget)] if budget else again(budget)
def again(budget):
    return spread(budget) + unused[:0] + list(WIDTHS)
unused = []
def method(pool, budget, rng, *, start: int = 0):
    def inner():
        return spread(budget)
    return inner() + [start]
"""


def typed_in(source: str) -> str:
    names: dict[str, Any] = {"__name__": "a notebook"}
    exec(source, names)
    names["unused"].append(len(source))
    return code_digest(names["method"], 1)


@pytest.mark.parametrize(
    ("cell", "edited"),
    [
        ("start: int = 0", "start: int = 100"),
        ("range(budget)", "range(1, 1 + budget)"),
        ("WIDTHS = (1, 2)", "WIDTHS = (1, 3)"),
        ("SHARE = 0.5", "SHARE = 0.25"),
        ("return SHARE", "return SHARE / 2"),
        ("[:0]", "[:1]"),
    ],
)
def test_an_edit_of_anything_that_a_method_of_a_notebook_uses_counts(cell: str, edited: str) -> None:
    assert typed_in(NOTEBOOK.replace(cell, edited)) != typed_in(NOTEBOOK)


def test_what_a_method_of_a_notebook_does_not_use_does_not_count() -> None:
    assert typed_in(f"{NOTEBOOK}\nOTHER = 1\ndef other(): ...") == typed_in(NOTEBOOK)


def test_a_helper_that_is_edited_alone_changes_the_digest_of_the_method_that_calls_it() -> None:
    names: dict[str, Any] = {"__name__": "a notebook"}
    exec(NOTEBOOK, names)
    before = code_digest(names["method"], 1)
    exec("def again(budget):\n    return []", names)
    assert code_digest(names["method"], 1) != before


def test_a_number_that_a_method_counts_in_leaves_its_digest() -> None:
    names: dict[str, Any] = {"__name__": "a notebook"}
    exec("calls = 0\ndef method():\n    global calls\n    calls += 1", names)
    before = code_digest(names["method"], 1)
    names["method"]()
    assert code_digest(names["method"], 1) == before


def test_built_in_methods_rest_on_what_they_share_and_not_on_each_other() -> None:
    from bench import methods

    root = Path(methods.__file__).parent
    assert {path.stem for path in root.glob("*.py")} >= {"elfs", "aum", "_scores"}
    assert digest("bench.methods.elfs") != digest("bench.methods.aum")


def test_built_in_methods_rest_on_what_the_harness_computes_for_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    helpers = {
        present(inspect.getmodule(getattr(bench, name))).__name__
        for name in ("hardest", "unit_rows", "fit_kmeans", "Dynamics")
    }
    assert helpers <= set(code_digest_module._SHARED)
    before = digest("bench.methods.random_uniform")
    monkeypatch.setattr(code_digest_module, "_SHARED", ("bench.knn",))
    assert digest("bench.methods.random_uniform") != before
    code_digest_module._digest_of_files.cache_clear()
