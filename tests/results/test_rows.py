from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import RowError
from bench.recipe import Recipe
from bench.results.rows import Row, StageUse, read_row, read_rows, write_row

BIDIRECTIONAL = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
LETTERS = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters=BIDIRECTIONAL)


def make(**changes: Any) -> Row:
    fields: dict[str, Any] = {
        "cell_id": "digits-ccs-none-r90-s0-small_cnn-0123456789ab",
        "dataset": "digits",
        "method": "ccs",
        "variant": "ccs(beta={0.9: 0.3})",
        "params": {"beta": 0.3, "strata": 50, "score": "aum"},
        "supervision": "labels",
        "encoder": "-",
        "encoder_supervision": "-",
        "encoder_weights": "",
        "rate": 0.9,
        "budget": 144,
        "pool_size": 1438,
        "seed": 0,
        "model": "small_cnn",
        "proxy_model": "small_cnn",
        "recipe": Recipe(iterations=600, batch_size=64),
        "accuracy": 93.31476323119777,
        "best_accuracy": 94.0,
        "per_class_accuracy": [93.0, None, 0.0],
        "curve": [(300, 90.5), (600, 93.31476323119777)],
        "class_counts": [14, 0, 130],
        "indices_sha256": "a" * 64,
        "fingerprint": "f" * 64,
        "stages": [StageUse(kind="dynamics", key="k", seconds=1.5, reused=False)],
        "train_seconds": 3.5,
        "select_seconds": 0.01,
        "device": "cpu (prüfstand)",
        "threads": 1,
        "versions": {"torch": "2.8"},
        "git_revision": "",
        "git_dirty": False,
        "created": "2025-11-24T10:00:00+00:00",
    }
    return Row(**(fields | changes))


@given(
    rate=st.floats(0, 1, exclude_max=True),
    accuracy=st.floats(0, 100),
    seed=st.integers(0, 2**70),
    # A leading = + @ or - would be a formula to a spreadsheet; "-" alone stands for none.
    text=st.text(LETTERS).filter(lambda text: text in ("", "-") or text[0] not in "=+@-"),
)
def test_a_row_survives_json(rate: float, accuracy: float, seed: int, text: str) -> None:
    row = make(rate=rate, accuracy=accuracy, seed=seed, device=text)
    assert Row.model_validate_json(row.model_dump_json()) == row


def test_a_row_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    row = make()
    path = write_row(row, tmp_path)
    assert path == tmp_path / "rows" / f"{row.cell_id}.json"
    assert read_row(path) == row
    write_row(make(accuracy=50.0), tmp_path)
    assert [found.accuracy for found in read_rows(tmp_path)] == [50.0]
    assert [item.name for item in (tmp_path / "rows").iterdir()] == [path.name]


def test_rows_come_in_the_order_of_their_names_and_unfinished_files_do_not_count(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        write_row(make(cell_id=name), tmp_path)
    (tmp_path / "rows" / ".tmp-x1y2").write_bytes(b"{")
    assert [row.cell_id for row in read_rows(tmp_path)] == ["a", "b", "c"]
    assert list(read_rows(tmp_path / "nowhere")) == []


def test_a_row_cut_anywhere_is_refused_by_name(tmp_path: Path) -> None:
    content = write_row(make(), tmp_path).read_bytes()
    cut = tmp_path / "cut.json"
    for length in range(0, len(content) - 1, 10):
        cut.write_bytes(content[:length])
        with pytest.raises(RowError, match="is not a valid row: the file: ") as caught:
            read_row(cut)
        assert str(cut) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema_version": 6}, "schema_version: input should be 1, 2, 3, 4 or 5"),
        ({"cell_id": "../elsewhere"}, "cell_id: string should match"),
        ({"cell_id": ".hidden"}, "cell_id: string should match"),
        ({"scores_sha256": "../../scores"}, "scores_sha256: string should match"),
        ({"variant": "ccs\x1b[2J"}, "variant: string should match"),
        ({"variant": "ccs\u202e)3.0=ateb("}, "variant: string should match"),
        ({"device": "a\u2028b"}, "device: string should match"),
        ({"created": "2066\u20662025-11-24"}, "created: string should match"),
        ({"train_seconds": -1}, "train_seconds: input should be greater than or equal to 0"),
        ({"curve": [[600, 101.0]]}, "curve.0.1: input should be less than or equal to 100"),
        ({"accuracy": 101}, "accuracy: input should be less than or equal to 100"),
        ({"accuracy": None}, "accuracy: input should be a valid number"),
        ({"rate": 1.0}, "rate: input should be less than 1"),
        ({"indices_sha256": "abc"}, "indices_sha256: string should match"),
        ({"supervision": "some"}, "supervision: input should be 'none', 'pseudo', 'coreset' or 'labels'"),
        ({"recipe": {"iterations": 0}}, "recipe.iterations: "),
        ({"pseudo_labels": {"accuracy": 101, "nmi": 0, "ari": 0, "clusters": 1}}, "pseudo_labels.accuracy: input"),
        ({"surprise": 1}, "surprise: extra inputs are not permitted"),
    ],
)
def test_a_row_that_does_not_fit_the_schema_names_the_field(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    path = tmp_path / "row.json"
    path.write_text(json.dumps(make().model_dump(mode="json") | change), encoding="utf-8")
    with pytest.raises(RowError) as caught:
        read_row(path)
    assert f"{path} is not a valid row: {says}" in str(caught.value)


def test_bytes_that_are_no_text_and_files_that_cannot_be_read_are_row_errors(tmp_path: Path) -> None:
    (tmp_path / "binary.json").write_bytes(b"\xff\x00\xfe")
    with pytest.raises(RowError, match=r"binary\.json is not a valid row"):
        read_row(tmp_path / "binary.json")
    with pytest.raises(RowError, match=r"missing\.json: No such file"):
        read_row(tmp_path / "missing.json")
    with pytest.raises(RowError, match="it is a folder, not a file"):
        read_row(tmp_path)


def test_a_row_written_before_pseudo_labels_were_compared_is_read(tmp_path: Path) -> None:
    path = tmp_path / "row.json"
    fields = make().model_dump(mode="json")
    del fields["pseudo_labels"]
    path.write_text(json.dumps(fields), encoding="utf-8")
    assert read_row(path).pseudo_labels is None


def test_rows_of_the_first_version_are_read(grid: Callable[..., list[Row]]) -> None:
    [row] = grid({"random": [90.0]}, [0.5], 1)
    old = row.model_dump_json(exclude={"chosen", "scores_sha256"})
    assert "chosen" not in old
    assert Row.model_validate_json(old) == row
