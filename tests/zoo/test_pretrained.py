"""Weights that a network is fine-tuned from: their content is part of the cell, and a wrong file is one clear error."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.engine.plan import make_plan
from bench.errors import BenchError, SpecError, WeightsError
from bench.grid.spec import load_spec
from bench.stages.session import Session
from tests.models.library_weights import GRID, published


def test_the_files_content_is_part_of_the_cell(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    cells = {}
    for classes in (10, 11):
        published("timm", "test_resnet", path, classes)
        grid = {**GRID, "models": f"timm(name=test_resnet, pretrained={path})"}
        [cells[classes]] = make_plan(load_spec(given=grid), out=tmp_path / "out").cells
    assert cells[10].cell_id != cells[11].cell_id
    session = Session(out=tmp_path / "out", cache=tmp_path / "cache")
    row = cells[11].row(session)
    sha256 = cells[11].model.params["sha256"]
    assert len(sha256) == 16
    assert row.model == f"timm(name=test_resnet, pretrained={path}, sha256={_text(sha256)})"
    # A worker does not train on another file than the plan saw, and a row's own name is read back as the same network.
    with pytest.raises(WeightsError, match="is not the file with sha256="):
        cells[10].row(session)
    grid = {**GRID, "models": row.model}
    [again] = make_plan(load_spec(given=grid), out=tmp_path / "other").cells
    assert again.cell_id == cells[11].cell_id


def _text(digest: str) -> str:
    """In quotes where the digits could be read as a number."""
    from bench.grammar import Call

    return str(Call("x", {"a": digest}))[4:-1]


@pytest.fixture(scope="module")
def wrong_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that are read only: weights of three networks, and a text."""
    folder = tmp_path_factory.mktemp("weights")
    published("timm", "test_resnet", folder / "w.pth")
    published("timm", "test_vit", folder / "vit.pth")
    published("torchvision", "resnet18", folder / "r18.pth")
    (folder / "text.pth").write_text("no weights")
    return folder


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("timm(name=test_resnet, pretrained=none.pth)", "pretrained=none.pth is missing; give a file of plain tensors"),
        ("timm(name=test_resnet, pretrained=.)", "pretrained=. is a folder; give a file"),
        ("timm(name=test_resnet, body_lr=0.5)", "body_lr=0.5 goes with pretrained=FILE, which was not given."),
        ("torchvision(name=resnet18, sha256=ab)", "sha256=ab goes with pretrained=FILE, which was not given."),
        ("timm(name=test_resnet, pretrained=w.pth, body_lr=2)", "body_lr=2 is not valid: a number from 0 to 1."),
        ("timm(name=test_resnet, pretrained=w.pth, sha256=abc)", "w.pth is not the file with sha256=abc... that was"),
        (
            "timm(name=test_resnett, pretrained=w.pth)",
            "unknown name of model 'timm': 'test_resnett'. Did you mean",
        ),
        ("timm(name=test_vit, pretrained=w.pth)", "does not fit model 'timm': "),
        ("torchvision(name=resnet34, pretrained=r18.pth)", "It was to fill resnet34. It fits resnet18."),
        ("timm(name=test_vit2, pretrained=vit.pth, size=160)", "It was to fill test_vit2. It fits test_vit."),
        (
            "torchvision(name=resnet18, pretrained=text.pth)",
            "cannot read the weights file text.pth: it is damaged, or holds other than tensors (only",
        ),
        ("torchvision(name=resnet18, pretrained=~nobody-here/w.pth)", "pretrained=~nobody-here/w.pth is missing; give"),
        (f"timm(name=test_resnet, pretrained={'w' * 300})", ": cannot look for it: File name too long."),
    ],
)
def test_wrong_weights_are_one_clear_error_before_the_work(
    model: str, says: str, wrong_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(wrong_files)
    with pytest.raises(BenchError, match=r"^[^\n]+$") as caught:
        make_plan(load_spec(given={**GRID, "models": model}), out=tmp_path / "out")
    assert says in str(caught.value)
    assert not (tmp_path / "out" / "rows").exists()


@pytest.mark.integration
def test_a_dry_run_names_every_file_that_is_missing_or_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    published("timm", "test_resnet", Path("w.pth"))
    Path("text.pth").write_text("no weights")
    networks = {
        "timm(name=test_resnet, pretrained=none.pth)": "pretrained=none.pth is missing",
        "torchvision(name=resnet18, pretrained=text.pth)": "cannot read the weights file text.pth",
        "timm(name=test_vit, pretrained=w.pth)": "does not fit model 'timm'",
        "timm(name=test_resnet, pretrained=w.pth)": "",
    }
    given = {**GRID, "datasets": "digits,cifar10", "methods": "random,aum", "models": ", ".join(networks)}
    given["proxy_model"] = "torchvision(name=resnet18, pretrained=proxy.pth)"
    plan = make_plan(load_spec(given=given), out=tmp_path / "out", tolerant=True)
    assert {cell.model.params["name"] for cell in plan.cells} == {"test_resnet", "resnet18", "test_vit"}
    wanted = ["cifar10", "none.pth is missing", "proxy.pth is missing", *list(networks.values())[1:3]]
    assert len(plan.problems) == len(wanted)
    for said in wanted:
        assert [said in problem for problem in plan.problems].count(True) == 1, said
    with pytest.raises(SpecError, match=r"body_lr=0\.5 goes with pretrained=FILE"):
        make_plan(load_spec(given={**GRID, "models": "timm(name=test_resnet, body_lr=0.5)"}), out=None, tolerant=True)
