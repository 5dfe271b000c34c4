"""The Dockerfile, which no test builds: every name in it is one that the tree has."""

from __future__ import annotations

import fnmatch
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from bench.cli.run import run
from bench.grid.spec import preset_names

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def project() -> Any:
    tomllib = pytest.importorskip("tomllib")  # from Python 3.11 on
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def said(instruction: str) -> list[str]:
    return re.findall(rf"^{instruction} (.*)", TEXT, re.MULTILINE)


def test_its_extras_and_its_python_are_the_projects(project: Any) -> None:
    [extras] = [line.partition("=")[2].strip('"').split(",") for line in said("ARG") if line.startswith("EXTRAS=")]
    assert set(extras) <= set(project["project"]["optional-dependencies"])
    assert 'pip install --no-cache-dir ".[$EXTRAS]"' in TEXT
    [base] = said("FROM")
    [python] = re.fullmatch(r"python:(3\.\d+)-slim", base).groups()  # type: ignore[union-attr]
    assert f"Programming Language :: Python :: {python}" in project["project"]["classifiers"]


def test_what_the_package_is_built_from_is_copied(project: Any) -> None:
    setuptools = project["tool"]["setuptools"]
    assert said("COPY") == [". ."]
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    built_from = ["pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]]
    for package in setuptools["packages"]:
        root = max((name for name in setuptools["package-dir"] if f"{package}.".startswith(f"{name}.")), key=len)
        folder = setuptools["package-dir"][root] + package.removeprefix(root).replace(".", "/")
        built_from.append(f"{folder}/__init__.py")
        built_from += [f"{folder}/{file}" for file in setuptools["package-data"].get(package, ())]
    for pattern in built_from:
        found = [path.relative_to(ROOT) for path in ROOT.glob(pattern)]
        assert found, pattern
        for path in found:
            places = [str(place) for place in (path, *path.parents)]
            assert not [word for word in ignored for place in places if fnmatch.fnmatch(place, word)], path


def test_its_command_is_installed_and_the_one_that_it_shows_is_valid(project: Any) -> None:
    [entry] = said("ENTRYPOINT")
    assert entry.strip('[]"') in project["project"]["scripts"]
    [command] = re.findall(r"docker run .*? coreset-bench (run .*)", TEXT)
    name, *words = shlex.split(command)
    options = dict(zip(words[::2], words[1::2], strict=True))
    assert name == run.__name__
    assert options["--preset"] in preset_names()
    [folder] = said("WORKDIR")[-1:]
    [(outside, inside)] = re.findall(r'-v "\$PWD/([\w/]+):([\w/]+)"', TEXT)
    assert inside == f"{folder}/{Path(options['--out']).parts[0]}", "what the command writes stays after the container"
    assert f"mkdir -p {outside} && docker run" in TEXT, "Docker would make the folder for root alone"
