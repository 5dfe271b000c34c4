"""Names of other libraries."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path

import pytest

from bench import BenchError, SpecError
from bench.errors import UnknownName
from bench.zoo.names import known, library


def test_a_library_is_imported() -> None:
    assert library("json", owner="these tests", extra="vit") is sys.modules["json"]


def test_a_library_that_is_missing_names_its_extra() -> None:
    with pytest.raises(BenchError, match=r"encoder 'x' needs no_such_library, which is not installed; run .*\[vit\]"):
        library("no_such_library", owner="encoder 'x'", extra="vit")


def test_a_folder_of_the_same_name_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed/a_zoo.py").write_text("models = ['a']\n")
    (tmp_path / "here/a_zoo").mkdir(parents=True)
    (tmp_path / "here/a_zoo/__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "installed"))
    monkeypatch.syspath_prepend(str(tmp_path / "here"))
    before = sys.path[:]
    try:
        assert library("a_zoo", owner="these tests", extra="vit", having="models").models == ["a"]
    finally:
        sys.modules.pop("a_zoo", None)
    assert sys.path == before


def test_a_name_is_needed_and_must_be_known() -> None:
    assert known("resnet18", {"resnet18"}, owner="encoder 'x'", example="resnet18") == "resnet18"
    with pytest.raises(SpecError, match=r"encoder 'x' needs a name, such as name=resnet18; bench list encoders"):
        known("", {"resnet18"}, owner="encoder 'x'", example="resnet18")
    with pytest.raises(UnknownName, match=r"Did you mean resnet18\? .* bench list models --search TEXT"):
        known("resnet81", {"resnet18"}, owner="model 'x'", example="resnet18", kind="models")


@pytest.mark.parametrize("hiding", ["package", "file"])
def test_a_library_is_found_behind_a_users_modules_of_its_name(
    hiding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, mine = tmp_path / "theirs" / "hidden_library", tmp_path / "mine"
    theirs.mkdir(parents=True)
    (theirs / "__init__.py").write_text("from hidden_library.utils import tqdm\n")
    (theirs / "utils.py").write_text("tqdm = 1\n")
    if hiding == "package":
        (mine / "hidden_library").mkdir(parents=True)
        (mine / "hidden_library" / "__init__.py").touch()
        (mine / "hidden_library" / "utils.py").write_text("mine = 1\n")
    else:
        mine.mkdir()
        (mine / "hidden_library.py").touch()
    for folder in (theirs.parent, mine):
        monkeypatch.syspath_prepend(folder)
    before = sys.path[:]
    modules = ("hidden_library", "hidden_library.utils")
    try:
        users = [importlib.import_module(name) for name in modules[: 2 if hiding == "package" else 1]]
        assert library("hidden_library", owner="this test", extra="hf", having="tqdm").tqdm == 1
        assert sys.path == before
        shutil.rmtree(theirs)
        for name, module in zip(modules, users, strict=False):
            sys.modules[name] = module
        # Where the library is not there at all, the user's modules stay.
        with pytest.raises(BenchError, match="needs hidden_library, which is not installed"):
            library("hidden_library", owner="this test", extra="hf", having="tqdm")
        assert [sys.modules[name] for name, _ in zip(modules, users, strict=False)] == users
    finally:
        for name in modules:
            sys.modules.pop(name, None)
