"""Rows that are there already: which count, which are set aside, and which cannot be joined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torchvision.models import resnet18

from bench.engine.work import perform
from bench.errors import RowError, SpecError
from bench.results.facts import table_facts
from bench.results.rows import read_rows
from bench.results.tables import blocks
from bench.stages.session import Session
from tests.engine.plans import WITH_BF16, WITHOUT, plan


def test_an_incomplete_row_is_set_aside_and_its_cell_runs_again(tmp_path: Path) -> None:
    cell, other = plan(tmp_path).cells
    path = tmp_path / "rows" / f"{cell.cell_id}.json"
    path.parent.mkdir()
    (path.parent / "of-another-grid.json").write_text("{")
    for content in (b"", b"{", b"\0" * 4096):
        path.write_bytes(content)
        assert plan(tmp_path, tolerant=True).missing == [cell, other]
        assert path.exists(), "a dry run changes nothing"
        made = plan(tmp_path)
        assert made.missing == [cell, other]
        assert made.damaged == [tmp_path / "damaged" / path.name]
        assert made.damaged[0].read_bytes() == content
        assert not path.exists()
    assert (path.parent / "of-another-grid.json").exists()


def test_a_whole_row_that_is_not_valid_is_named_with_a_way_out(tmp_path: Path) -> None:
    cell = plan(tmp_path).cells[0]
    path = tmp_path / "rows" / f"{cell.cell_id}.json"
    path.parent.mkdir()
    path.write_text('{"schema_version": 99}')
    with pytest.raises(RowError) as caught:
        plan(tmp_path)
    assert str(path) in str(caught.value)
    assert "Delete it, and the cell is run again." in str(caught.value)
    assert path.exists()


def test_a_row_is_not_cut_where_it_cannot_be_read_at_all(tmp_path: Path) -> None:
    [cell] = plan(tmp_path, methods="random").cells
    path = tmp_path / "rows" / f"{cell.cell_id}.json"
    path.parent.mkdir()
    path.write_text("[" * 200_000)
    with pytest.raises(RowError, match="is not a valid row"):
        plan(tmp_path, methods="random")
    path.unlink()
    path.mkdir()
    with pytest.raises(RowError, match="cannot read the row"):
        plan(tmp_path, methods="random")


def test_rows_that_other_code_selected_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Session(out=tmp_path / "out", cache=tmp_path / "cache")
    given: dict[str, Any] = {"methods": "random", "recipe": {"iterations": 2, "evaluations": 1}}
    [cell] = plan(workspace.out, **given).cells
    assert perform(cell, workspace).fault is None
    assert plan(workspace.out, **given).outdated == []
    monkeypatch.setattr("bench.stages.selection.code_digest", lambda function, version: "edited")
    made = plan(workspace.out, **given, seeds=2)
    assert made.outdated == [cell.cell_id]
    [second] = made.missing
    assert perform(second, workspace).fault is None
    [block] = blocks(list(read_rows(workspace.out)))
    assert any("random were selected by different code: seed 0 at " in note.text for note in table_facts(block))


def test_a_folder_with_rows_of_another_recipe_is_refused_before_anything_runs(tmp_path: Path) -> None:
    out = tmp_path / "out"
    small: dict[str, Any] = {"methods": "random", "rates": "0.9", "pool_size": 300}
    [cell] = plan(out, **small, recipe={"iterations": 2, "evaluations": 1}).cells
    assert perform(cell, Session(out=out, cache=tmp_path / "cache")).accuracy is not None
    longer: dict[str, Any] = {**small, "recipe": {"iterations": 3, "evaluations": 1}}
    said = rf"beside these cells, {cell.cell_id} \(recipe.iterations: 2 and 3\); give another --out"
    with pytest.raises(SpecError, match=said):
        plan(out, **longer)
    assert len(plan(out, **longer, tolerant=True).problems) == 1
    assert plan(out, **{**longer, "datasets": "digits@noise=0.2"}).missing, "another data set has a table of its own"
    assert plan(out, **small, seeds=2, recipe={"iterations": 2, "evaluations": 1}).missing, "the same recipe goes on"


def test_a_row_of_another_precision_is_joined_by_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    small: dict[str, Any] = {"methods": "random", "rates": "0.9", "pool_size": 300}
    monkeypatch.setattr("bench.engine.plan.processor", lambda: WITHOUT)
    [cell] = plan(out, **small, recipe={"iterations": 2, "evaluations": 1}).cells
    assert perform(cell, Session(out=out, cache=tmp_path / "cache")).accuracy
    monkeypatch.setattr("bench.engine.plan.processor", lambda: WITH_BF16)
    said = rf"{cell.cell_id} \(recipe.precision: 'fp32' and 'bf16'\); give another --out, or --recipe precision=fp32\."
    with pytest.raises(SpecError, match=said):
        plan(out, **small, seeds=2, recipe={"iterations": 2, "evaluations": 1})
    with pytest.raises(SpecError, match=r"precision: .*give another --out\.$"):
        plan(out, **small, seeds=2, recipe={"iterations": 3, "evaluations": 1})
    made = plan(out, **small, seeds=2, recipe={"iterations": 2, "evaluations": 1, "precision": "fp32"})
    assert made.finished == {cell.cell_id}


def test_a_folder_with_rows_of_other_data_or_another_proxy_is_refused_before_anything_runs(tmp_path: Path) -> None:
    out, data = tmp_path / "out", tmp_path / "photos"
    for name in ("cat", "dog"):
        (data / name).mkdir(parents=True)
        for number in range(10):
            Image.new("RGB", (8, 8), (number, 20, 30 if name == "cat" else 90)).save(data / name / f"{number}.png")
    recipe = {"iterations": 2, "batch_size": 4, "evaluations": 1, "crop_padding": 2}
    grid: dict[str, Any] = {"datasets": "folder(size=8)", "rates": "0.5", "models": "small_cnn", "recipe": recipe}
    grid |= {"pool_size": None, "data_root": data}
    [cell] = plan(out, **grid, methods="random").cells
    assert perform(cell, Session(out=out, cache=tmp_path / "cache", data_root=data)).accuracy is not None
    Image.new("RGB", (8, 8), (200, 20, 30)).save(data / "cat" / "new.png")
    with pytest.raises(SpecError, match=rf"{cell.cell_id} \(pool_size: .* fingerprint: .*give another --out"):
        plan(out, **grid, methods="aum")
    [row] = (out / "rows").glob("*.json")
    row.unlink()
    [cell] = plan(out, **grid, methods="random").cells
    assert perform(cell, Session(out=out, cache=tmp_path / "cache", data_root=data)).accuracy is not None
    [row] = (out / "rows").glob("*.json")
    row.write_text(row.read_text().replace('"proxy_model": "-"', '"proxy_model": "resnet18"'))
    with pytest.raises(SpecError, match="proxy_model: 'resnet18' and 'small_cnn'"):
        plan(out, **grid, methods="aum")


@pytest.mark.usefixtures("no_weights")
def test_a_dry_run_without_the_data_or_the_weights_finds_no_fault_with_rows_made_with_them(tmp_path: Path) -> None:

    data = tmp_path / "data" / "photos"
    for name, blue in (("cat", 30), ("dog", 90)):
        (data / name).mkdir(parents=True)
        for number in range(10):
            Image.new("RGB", (8, 8), (number, 20, blue)).save(data / name / f"{number}.png")
    weights = tmp_path / "resnet18.pth"
    torch.save(resnet18().state_dict(), weights)
    recipe = {"iterations": 2, "batch_size": 4, "evaluations": 1, "crop_padding": 2}
    grid: dict[str, Any] = {"methods": "prototypicality", "rates": "0.5", "models": "small_cnn", "recipe": recipe}
    grid |= {"datasets": "folder(size=8)", "pool_size": None, "data_root": data}
    out, encoder = tmp_path / "out", "resnet18_imagenet(size=32{})"
    made = plan(out, **grid, encoders=encoder.format(f",weights={weights}"))
    workspace = Session(out=out, cache=tmp_path / "cache", data_root=data, weights=made.weights)
    assert perform(made.cells[0], workspace).accuracy is not None
    grid["encoders"] = encoder.format("")
    without = plan(out, **grid, tolerant=True)
    assert [problem.split()[0] for problem in without.problems] == ["encoder"]
    without = plan(out, **{**grid, "data_root": tmp_path / "nowhere"}, tolerant=True)
    assert [problem.split()[0] for problem in without.problems] == ["dataset", "encoder"]
    longer: dict[str, Any] = {**grid, "data_root": tmp_path / "nowhere", "recipe": {**recipe, "iterations": 3}}
    assert "recipe.iterations: 2 and 3)" in plan(out, **longer, tolerant=True).problems[-1], "what is known counts"
