"""What the README shows must work and be what the project says elsewhere."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import Dynamics, SpecError, plugins
from bench.array_source import ArraySource
from bench.conformance import check_method
from bench.grammar import parse_call, split_list
from bench.grid.spec import load_spec, preset_names
from bench.selection import method_pool, run_method
from tests.digits import load_digits

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    return [
        line.partition("  #")[0].strip()
        for block in blocks("")
        for line in block.splitlines()
        if line.startswith("bench ")
    ]


def test_the_method_of_the_readme_selects() -> None:
    [code] = [block for block in blocks("python") if "@register_method" in block]
    namespace: dict[str, object] = {"__name__": "readme_method"}
    exec(compile(code, "README.md", "exec"), namespace)
    try:
        entry = plugins.methods.get("least-confident")
        labels = load_digits().target[:200]
        confidence = np.linspace(0, 1, 200, dtype=np.float32)
        fields: dict[str, Any] = {field.name: np.zeros(200, dtype=np.float32) for field in dataclasses.fields(Dynamics)}
        dynamics = Dynamics(**{**fields, "confidence": confidence, "epochs": 3})
        source = ArraySource(label_array=labels, dynamics_labels=dynamics)
        for keep, expected in (("hard", range(20)), ("easy", range(180, 200))):
            pool = method_pool(entry, {"keep": keep}, source, size=200, num_classes=10, rate=0.9)
            np.testing.assert_array_equal(run_method(entry, pool, {"keep": keep}, 20, seed=0).indices, list(expected))
        with pytest.raises(SpecError, match="keep='hrd' is not valid"):
            entry.resolve({"keep": "hrd"})
        assert [found for found in check_method("least-confident") if found.outcome == "failed"] == []
    finally:
        plugins.methods.remove("least-confident")


@pytest.mark.parametrize(
    "command",
    # The README's own method has a test of its own.
    [line for line in commands() if line.startswith("bench run") and "least-confident" not in line],
)
def test_every_grid_of_the_readme_is_valid(command: str) -> None:
    words = shlex.split(command)
    options = dict(zip(words[2::2], words[3::2], strict=False))
    for kind in ("methods", "datasets", "encoders", "models"):
        for text in split_list(options.get(f"--{kind}", "")):
            call = parse_call(text)
            getattr(plugins, kind).get(call.name).resolve(call.params)
    if "--preset" in options:
        assert options["--preset"] in preset_names()


def test_the_yaml_of_the_readme_is_valid(tmp_path: Path) -> None:
    [text] = blocks("yaml")
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    spec = load_spec(config=path, given={})
    assert [call.name for call in spec.methods] == ["random", "ccs"]
    assert spec.seeds == (0, 1, 2)


def test_presets_of_the_readme_exist() -> None:
    named = set(re.findall(r"`(paper-[a-z0-9]+)`", README))
    assert named == {name for name in preset_names() if name.startswith("paper-")}


def test_the_demo_table_is_the_one_that_the_committed_rows_give() -> None:
    table = (ROOT / "results/digits-demo/tables/accuracy.md").read_text(encoding="utf-8")
    body = table.split("\n", 1)[1].strip()
    assert body in README
