"""What the documentation shows must work."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

import bench as bench_package
from bench import Score, plugins
from bench import __version__ as bench_version
from bench.embedding.encoder import make_encoder
from bench.identity import EncoderRef

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EXAMPLE = ROOT / "examples" / "outside-method"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example package installed in it, as pip installs it."""
    folder = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "outside-method"
    source.mkdir()
    for file in EXAMPLE.iterdir():
        if file.is_file():
            (source / file.name).write_bytes(file.read_bytes())
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
        pytest.skip("needs pip in this environment")
    done = subprocess.run([*command, "--target", str(folder), str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def bench(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "250", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, cwd=site, check=False)


@pytest.mark.integration
def test_the_outside_package_is_found_and_conforms(site: Path) -> None:
    listed = bench(site, "list", "methods")
    assert re.search(r"middle.*at=0\.5", listed.stdout), listed.stderr
    checked = bench(site, "check", "middle")
    assert checked.returncode == 0, checked.stdout
    assert " 0 failed" in checked.stdout


def test_the_outside_package_is_short_and_shown_whole() -> None:
    files = [EXAMPLE / "pyproject.toml", EXAMPLE / "bench_middle.py"]
    assert sum(len(file.read_text().splitlines()) for file in files) < 40
    page = (DOCS / "add-a-method.md").read_text()
    assert all(file.read_text() in page for file in files)


@pytest.mark.integration
def test_the_data_set_encoder_and_model_of_the_page_work(tmp_path: Path) -> None:
    import numpy as np
    import torch

    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / "add-data-and-encoders.md").read_text(), re.M | re.S)
    names: dict[str, object] = {"__name__": "docs_page"}
    try:
        for block in blocks:
            exec(compile(block, "add-data-and-encoders.md", "exec"), names)
        dataset = plugins.datasets.get("stripes").function(None)
        assert dataset.train.images.shape == (600, 1, 8, 8)
        encoder = make_encoder(EncoderRef(name="columns"), None)
        assert encoder.embed(dataset.train.images, device="cpu", batch_size=64).shape == (600, 8)
        grid: dict[str, Any] = {
            "methods": "random,kcenter",
            "datasets": "stripes",
            "models": "one_layer",
            "encoders": "columns",
        }
        places: dict[str, Any] = {"out": tmp_path / "out", "cache_dir": tmp_path / "cache"}
        done = bench_package.run(**grid, rates=[0.5, 0.9], seeds=2, quiet=True, **places)
        assert done.failed == {}
        assert done.rows().accuracy.min() > 95, "chance is 50 %; together they learn what the page draws"
        network = plugins.models.get("one_layer").function((1, 8, 8), 2)
        assert network(torch.zeros(3, 1, 8, 8)).shape == (3, 2)
        assert set(np.unique(dataset.test.labels)) == {0, 1}
    finally:
        plugins.datasets.remove("stripes")
        plugins.encoders.remove("columns")
        plugins.models.remove("one_layer")


def test_every_link_leads_somewhere() -> None:
    folders = ("bench", "benchmarks", "datasets", "docs", "examples", "methods", "results", "tests")
    pages = [*ROOT.glob("*.md"), *(page for folder in folders for page in (ROOT / folder).rglob("*.md"))]
    for page in pages:
        # A path in code that starts at the page's own folder is a link too.
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)|`(\.\./[^`:]+)", page.read_text()):
            path = "".join(target)
            assert "://" in path or (page.parent / path).exists(), f"{page.relative_to(ROOT)}: {path}"


def test_every_command_of_the_pages_exists() -> None:
    from typer.main import get_command

    from bench.cli import app

    root = get_command(app)
    commands = root.commands  # type: ignore[attr-defined]
    general = {name for option in root.params for name in option.opts}
    for page in [*DOCS.glob("*.md"), ROOT / "README.md"]:
        for block in re.findall(r"^```(?:bash)?\n(.*?)^```", page.read_text(), re.M | re.S):
            for line in block.replace("\\\n", " ").splitlines():
                words = line.partition(" #")[0].split()
                if words[:1] != ["bench"] or words[1] in general:
                    continue
                assert words[1] in commands, f"{page.name}: {line}"
                command = commands[words[1]]
                if hasattr(command, "commands"):  # a group, such as cache
                    assert words[2] in command.commands, f"{page.name}: {line}"
                    command = command.commands[words[2]]
                known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
                given = {word for word in words if word.startswith("--")}
                assert given <= known, f"{page.name}: {line}: {sorted(given - known)}"


def grids() -> list[list[str]]:
    """The arguments of every ``bench run`` of the pages that needs no outside package and no shell variable."""
    found = []
    for page in [*sorted(DOCS.glob("*.md")), ROOT / "README.md"]:
        for block in re.findall(r"^```(?:bash)?\n(.*?)^```", page.read_text(), re.M | re.S):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("bench run ") and "$" not in line and "middle" not in line:
                    words = shlex.split(line, comments=True)[1:]
                    found.append([word for word in words if word != "--dry-run"])
    return [list(words) for words in dict.fromkeys(map(tuple, found))]


@pytest.mark.integration
@pytest.mark.parametrize("arguments", grids(), ids=" ".join)
def test_every_grid_of_the_pages_can_be_planned(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from bench.cli import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("bench.engine.probe.SECONDS", -1.0)  # how long it takes is not what is asked here
    done = CliRunner().invoke(app, [*arguments, "--dry-run"])
    missing = "A run would stop here: dataset" in done.output or "A run would stop here: encoder" in done.output
    assert done.exit_code == (2 if missing else 0), done.output
    assert "shared stages to compute" in done.output


def test_the_page_on_the_api_names_every_public_name() -> None:
    import bench as package

    named = re.findall(r"^::: bench\.(\w+)$", (DOCS / "api.md").read_text(), re.MULTILINE)
    assert sorted(named) == sorted(set(vars(package)["__all__"]) - {"__version__"})


def test_the_site_has_every_page() -> None:
    """Pages of the site are named once in mkdocs.yml; a page that nobody can find is none."""
    config = (ROOT / "mkdocs.yml").read_text()
    pages = {f"docs/{page.name}" for page in DOCS.glob("*.md")} - {"docs/README.md"}
    assert pages <= set(re.findall(r"docs/[\w-]+\.md", config))


def test_the_citation_names_this_version_and_licence() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == bench_version
    assert f'license = "{cited["license"]}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_page_on_elfs_names_every_score() -> None:
    page = (DOCS / "elfs.md").read_text()
    assert [score for score in get_args(Score) if f"`{score}`" not in page] == []
