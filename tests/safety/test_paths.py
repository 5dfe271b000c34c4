"""Names that come from outside stay names: they cannot leave a folder, and cannot become markup or commands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.errors import DataError, RowError
from bench.identity import cell_name
from bench.images.folders import class_folders, scan_classes
from bench.recipe import Recipe
from bench.results.published import indices_path, scores_path, write_indices
from bench.results.rows import Row, read_row, write_row
from bench.tracking.with_wandb import _plain
from tests.row_fixtures import problems_of

HOSTILE = "<script>alert(1)</script> | `x` [a](http://b) $x^2$ \\input{/etc/passwd} % & # ~"
COMMITTED = Path(__file__).parents[2] / "results" / "digits-demo"


@pytest.fixture
def row_with(tmp_path: Path) -> Callable[..., Path]:
    """Write a committed row with other fields into a folder of its own; return its file."""
    content = json.loads(next((COMMITTED / "rows").glob("*random*.json")).read_bytes())

    def write(**changes: Any) -> Path:
        path = tmp_path / "run" / "rows" / "row.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content | changes))
        return path

    return write


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (field, name)
        for field in ("cell_id", "indices_sha256", "scores_sha256")
        for name in ("../../evil", "/etc/passwd", "..", ".hidden", "a/b", "a\\b", "", "a\n", "a\x00b", "~x")
        if (field, name) != ("scores_sha256", "")  # a method without scores
    ],
)
def test_a_row_cannot_name_a_file_elsewhere(row_with: Callable[..., Path], name: str, field: str) -> None:
    path = row_with(**{field: name})
    with pytest.raises(RowError, match=f"{field}: string should"):
        read_row(path)
    [problem] = problems_of(path)
    assert field in problem
    done = CliRunner().invoke(app, ["train", "--row", str(path), "--out", str(path.parents[2] / "out")])
    assert isinstance(done.exception, RowError)


def test_what_a_row_may_name_stays_below_its_folder(tmp_path: Path) -> None:
    row = read_row(next((COMMITTED / "rows").glob("*random*.json")))
    for name in ("a", "a..b", "a-b.c", "ü" * 50):
        changed = Row.model_validate(row.model_dump() | {"cell_id": name})
        assert write_row(changed, tmp_path).resolve().parent == (tmp_path / "rows").resolve()
        assert indices_path(tmp_path, changed.cell_id).resolve().parent == (tmp_path / "indices").resolve()
    assert scores_path(tmp_path, "0" * 64).parent == tmp_path / "scores"


@pytest.mark.parametrize("name", ["../x", "a/b", "a b", "a\nb", "<b>"])
def test_the_identity_of_a_cell_is_a_plain_file_name(name: str) -> None:
    made = cell_name(name, name, name, 0.5, 0, name)
    assert re.fullmatch(r"[\w.-]+", made)
    assert Path(made).name == made


def test_a_coreset_that_is_a_link_to_elsewhere_is_told(tmp_path: Path) -> None:
    source = next((COMMITTED / "rows").glob("*random*.json"))
    row = read_row(source)
    path = write_row(row, tmp_path / "run")
    elsewhere = tmp_path / "elsewhere.npy"
    elsewhere.write_bytes(indices_path(COMMITTED, row.cell_id).read_bytes())
    indices_path(tmp_path / "run", row.cell_id).parent.mkdir()
    indices_path(tmp_path / "run", row.cell_id).symlink_to(elsewhere)
    [problem] = problems_of(path)
    assert "leads outside" in problem


def test_writing_replaces_a_link_instead_of_following_it(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    target = indices_path(tmp_path / "out", "cell")
    target.parent.mkdir(parents=True)
    target.symlink_to(victim)
    write_indices(np.arange(3), tmp_path / "out", "cell")
    assert victim.read_text() == "untouched"
    assert not target.is_symlink()


@pytest.mark.parametrize("where", ["file", "class folder", "split"])
def test_images_outside_their_root_are_refused(tmp_path: Path, where: str) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    for folder in (outside / "a", root / "train" / "a", root / "train" / "b"):
        folder.mkdir(parents=True)
        (folder / "image.png").write_bytes(b"x")
    if where == "file":
        (root / "train" / "a" / "other.png").symlink_to(outside / "a" / "image.png")
    elif where == "class folder":
        (root / "train" / "c").symlink_to(outside / "a")
    else:
        (root / "train").rename(root / "kept")
        (root / "train").symlink_to(outside)
    with pytest.raises(DataError, match="leads outside"):
        scan_classes(root, "train", class_folders(root / "train"))


@pytest.mark.parametrize("field", ["dataset", "variant", "model", "device"])
def test_labels_are_text_in_every_table(row_with: Callable[..., Path], tmp_path: Path, field: str) -> None:
    path = row_with(**{field: HOSTILE})
    done = CliRunner().invoke(app, ["table", str(path.parents[1])])
    if done.exit_code:
        assert type(done.exception).__module__ == "bench.errors", done.exception
        return
    markdown = (path.parents[1] / "tables" / "accuracy.md").read_text()
    assert "<script>" not in markdown.replace("\\<", "")
    assert not re.search(r"(?<!\\)\[a(?<!\\)\]\(", markdown)
    columns = [len(re.findall(r"(?<!\\)\|", line)) for line in markdown.splitlines() if line.startswith("|")]
    assert len(set(columns)) == 1, "a label cannot add a column"
    latex = (path.parents[1] / "tables" / "accuracy.tex").read_text()
    assert "\\input" not in latex


@pytest.mark.parametrize("text", ["a\x1b[2Jb", "a\nb", "a\rb", "a\x07"])
@pytest.mark.parametrize("field", ["dataset", "variant", "method", "encoder", "device", "created"])
def test_labels_with_control_characters_are_refused(row_with: Callable[..., Path], field: str, text: str) -> None:
    path = row_with(**{field: text})
    with pytest.raises(RowError, match=f"{field}: string should match") as caught:
        read_row(path)
    assert "\x1b" not in str(caught.value)


@pytest.mark.integration
@pytest.mark.parametrize("field", ["dataset", "variant", "encoder", "device"])
def test_labels_are_text_in_the_report(row_with: Callable[..., Path], field: str) -> None:
    path = row_with(**{field: "<img src=x onerror=alert(1)>", "created": '"><script>alert(2)</script>'})
    done = CliRunner().invoke(app, ["report", str(path.parents[1])])
    if done.exit_code:
        assert type(done.exception).__module__ == "bench.errors", done.exception
        return
    html = (path.parents[1] / "report.html").read_text()
    assert "<img src=x" not in html
    assert "<script>alert" not in html


def test_names_in_wandb_are_plain() -> None:
    assert _plain("../a b-c.d/e\n") == "___a_b_c_d_e_"


def test_a_recipe_from_outside_has_no_unknown_fields() -> None:
    with pytest.raises(ValueError, match="extra"):
        Recipe.model_validate({"surprise": 1})
