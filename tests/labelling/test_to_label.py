"""The list of items to label, the table of all items, and which files are never replaced."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from bench.errors import SpecError
from bench.labelling.formats import Format
from bench.labelling.to_label import nearest_chosen, without_formula, write_table
from tests.digits import load_digits
from tests.labelling.photos_to_label import lines, select


@pytest.mark.parametrize("form", [form for form in Format if form != Format.csv])
def test_a_file_that_is_there_is_not_replaced(tmp_path: Path, form: Format) -> None:
    from bench.labelling.handover import handover_path
    from bench.labelling.to_label import beside, check_free

    out = tmp_path / "to_label.csv"
    paths = [out, *beside(out), handover_path(out, form)]
    assert len({path.name for path in paths}) == len(paths)
    paths[-1].write_text("mine")
    with pytest.raises(SpecError, match=f"already in .*{paths[-1].name}"):
        check_free(paths, overwrite=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--scores", "to_label.csv"), "to_label.csv would be written twice; give --out or --scores another name"),
        (("--scores", "to_label.fiftyone.csv", "--format", "coco,fiftyone"), "to_label.fiftyone.csv would be written"),
        (("--scores", "sub/../to_label.skipped.csv"), "would be written twice"),
        (("--labelled", "to_label.csv"), "to_label.csv would be written in the place of --labelled"),
        (("--exclude", "to_label.skipped.csv"), "would be written in the place of --exclude"),
        (("--groups", "to_label.txt", "--format", "txt"), "would be written in the place of --groups"),
    ],
)
def test_no_file_is_written_twice_or_over_one_that_is_read(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    """Labels were lost: ``--labelled to_label.csv --overwrite`` wrote the next list over them."""
    monkeypatch.chdir(tmp_path)
    given = ("--images", "photos", "--encoder", "pixels(size=8)", "--budget", "3", "--overwrite")
    Path("to_label.csv").write_text("file,label\na/1.png,one\n")
    done = select(tmp_path, *given, "--out", "to_label.csv", *arguments)
    assert isinstance(done.exception, SpecError)
    assert message in str(done.exception)
    assert Path("to_label.csv").read_text() == "file,label\na/1.png,one\n"
    assert not (tmp_path / "cache").exists()


def test_no_picture_is_replaced_by_a_contact_sheet(tmp_path: Path, photos: Path) -> None:
    given = ("--images", str(photos), "--encoder", "pixels(size=8)", "--budget", "3", "--overwrite")
    (photos / "holiday.jpg").write_bytes((photos / "b/two words.jpg").read_bytes())
    done = select(tmp_path, *given, "--out", str(photos / "holiday.csv"))
    assert "holiday.jpg would replace one of the images" in str(done.exception)
    assert (photos / "holiday.jpg").read_bytes() == (photos / "b/two words.jpg").read_bytes()
    for _ in range(2):  # an earlier sheet is none of the images, and may be replaced
        assert select(tmp_path, *given, "--out", str(photos / "other.csv")).exit_code == 0


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_all_scores(tmp_path: Path, suffix: str) -> None:
    rows = load_digits().data[:100]
    np.save(tmp_path / "x.npy", np.concatenate([rows, rows[:5]]))
    (tmp_path / "labelled.txt").write_text("7\n8\n")
    (tmp_path / "excluded.txt").write_text("9\n")
    known = ("--labelled", str(tmp_path / "labelled.txt"), "--exclude", str(tmp_path / "excluded.txt"))
    path = tmp_path / f"all.{suffix}"
    given = ("--embeddings", str(tmp_path / "x.npy"), "--budget", "20", "--skip-duplicates", "--similarity", "0.99999")
    done = select(tmp_path, *given, *known, "--method", "prototypicality", "--scores", str(path))
    assert done.exit_code == 0, done.output or done.exception
    table = lines(path) if suffix == "csv" else pq.read_table(path).to_pylist()
    assert [row["item"] for row in table] == [str(number) for number in range(105)]
    states = {row["item"]: row["state"] for row in table}
    assert (states["7"], states["8"], states["9"]) == ("labelled", "labelled", "excluded")
    assert {states[str(number)] for number in range(100, 105)} == {"near-duplicate"}
    chosen = {row["item"]: int(row["rank"]) for row in table if row["state"] == "chosen"}
    assert chosen == {row["item"]: int(row["order"]) for row in lines(tmp_path / "to_label.csv")}
    assert {row["nearest"] for row in table} <= set(chosen)
    assert all(row["nearest"] == row["item"] for row in table if row["item"] in chosen)
    assert all(float(row["similarity"]) >= 0.999 for row in table if row["item"] in chosen)
    candidates = [row for row in table if row["state"] in ("", "chosen", "labelled")]
    assert all(row["score"] not in (None, "") and row["cluster"] not in (None, "") for row in candidates)


@pytest.mark.parametrize("name", ["=SUM(A1).png", "+1.png", "-1.png", "@a.png", "\tx.png", "\rx.png"])
def test_a_file_whose_name_looks_like_a_formula_is_named_from_its_folder(name: str) -> None:
    assert without_formula(name, "file") == f"./{name}"
    assert without_formula(name, "item") == name, "a name that is no path stays as it is"
    assert without_formula(f"a{name}", "file") == f"a{name}"


def test_the_nearest_chosen_item_by_the_definition() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    rows[30] = rows[3]  # both are chosen, and each is nearest to itself
    chosen = np.array([30, 3, 17])
    nearest, similarity = nearest_chosen(rows, chosen)
    for position, row in enumerate(rows.astype(np.float64)):
        cosines = {
            item: row @ rows[item] / np.linalg.norm(row) / np.linalg.norm(rows[item].astype(np.float64))
            for item in chosen.tolist()
        }
        assert similarity[position] == pytest.approx(max(cosines.values()), abs=1e-6)
        assert cosines[nearest[position]] == pytest.approx(max(cosines.values()), abs=1e-6)
    assert nearest[chosen].tolist() == chosen.tolist()


def test_a_name_that_is_not_utf8_keeps_its_bytes_in_csv_and_is_readable_in_parquet(tmp_path: Path) -> None:
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    for suffix in ("csv", "parquet"):
        write_table(tmp_path / f"x.{suffix}", {"file": [name], "rank": [1]})
    assert b"caf\xe9.png" in (tmp_path / "x.csv").read_bytes()
    assert pq.read_table(tmp_path / "x.parquet").to_pylist() == [{"file": "caf\ufffd.png", "rank": 1}]
