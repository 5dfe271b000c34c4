from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.errors import RowError
from bench.results.rows import Row, write_row
from bench.results.tables import blocks, collect, variant_parameters

Make = Callable[..., Row]
Grid = Callable[..., list[Row]]
RATES = [0.5, 0.9]


def test_blocks_are_split_by_data_set_encoder_and_model(grid: Grid) -> None:
    means = {"random": [90.0, 80.0], "elfs": [91.0, 82.0]}
    rows = [
        *grid(means, RATES),
        *grid({"elfs": [92.0, 83.0]}, RATES, encoder="vit"),
        *grid(means, RATES, model="probe"),
    ]
    made = blocks(rows)
    assert [(b.model, b.encoder) for b in made] == [("probe", "pixels"), ("small_cnn", "pixels"), ("small_cnn", "vit")]
    # random uses no encoder: its line stands in the blocks of both encoders.
    assert [[line.label for line in block.lines] for block in made] == [["random", "elfs"]] * 3


def test_only_methods_without_encoder_make_one_block(grid: Grid) -> None:
    [block] = blocks(grid({"random": [90.0, 80.0], "aum": [91.0, 60.0]}, RATES))
    assert block.encoder == "-"
    assert block.name == "digits, no encoder, model small_cnn"


def test_a_parameter_given_per_rate_makes_one_line(row: Make) -> None:
    variant = "ccs(beta={0.5: 0.0, 0.9: 0.3})"
    base = {"strata": 50, "score": "aum"}
    rows = [row(variant, 0.5, params={"beta": 0.0, **base}), row(variant, 0.9, params={"beta": 0.3, **base})]
    [block] = blocks(rows)
    assert [(line.label, [cell.complete for cell in block.means_of(line)]) for line in block.lines] == [
        ("ccs", [True, True])
    ]
    with pytest.raises(RowError, match="parameter strata: 50 and 20"):
        blocks([rows[0], row(variant, 0.9, params={"beta": 0.3, **base, "strata": 20})])
    with pytest.raises(RowError, match=r"parameter beta: 0\.0 and 0\.1"):
        blocks([rows[0], row(variant, 0.5, 1, params={"beta": 0.1, **base})])


def test_an_enlarged_grid_is_one_line_with_the_rows_of_all_its_rates(row: Make) -> None:
    base = {"strata": 50, "score": "aum"}
    first, later = "ccs(beta={0.5: 0.0, 0.9: 0.3})", "ccs(beta={0.5: 0.0, 0.7: 0.1, 0.9: 0.3})"
    rows = [row(first, rate, 0, params={"beta": beta, **base}) for rate, beta in ((0.5, 0.0), (0.9, 0.3))]
    rows += [row(later, rate, 1, params={"beta": beta, **base}) for rate, beta in ((0.5, 0.0), (0.7, 0.1))]
    [block] = blocks(rows)
    [line] = block.lines
    assert line.variant == later
    assert [block.cells_of(line, rate)["seed"].tolist() for rate in block.rates] == [[0, 1], [1], [0]]
    assert [one.seeds for one in block.means_of(line)] == [[0, 1], [1], [0]]


def test_two_rows_of_one_seed_are_refused(row: Make) -> None:
    with pytest.raises(RowError, match=r"two rows for random, rate 0\.5, seed 0"):
        blocks([row("random"), row("random", cell_id="random-other")])


def test_collect_reads_several_folders_and_counts_a_shared_row_once(tmp_path: Path, row: Make) -> None:
    write_row(row(seed=0), tmp_path / "a")
    write_row(row(seed=0, train_seconds=9.0), tmp_path / "b")
    write_row(row(seed=1), tmp_path / "b")
    found = collect([tmp_path / "a", tmp_path / "b"])
    assert [item.seed for item in found] == [0, 1]


def test_collect_counts_a_cell_once_whose_grid_was_given_another_rate(tmp_path: Path, row: Make) -> None:
    former, later = (
        row(variant, 0.7, cell_id="one") for variant in ("ccs(beta={0.7: 0.1})", "ccs(beta={0.7: 0.1, 0.9: 0.3})")
    )
    write_row(former, tmp_path / "a")
    write_row(later.model_copy(update={"indices_sha256": former.indices_sha256}), tmp_path / "b")
    assert len(collect([tmp_path / "a", tmp_path / "b"])) == 1


def test_collect_refuses_a_cell_with_two_results(tmp_path: Path, row: Make) -> None:
    write_row(row(accuracy=80.0), tmp_path / "a")
    write_row(row(accuracy=81.0), tmp_path / "b")
    with pytest.raises(RowError, match="with different results"):
        collect([tmp_path / "a", tmp_path / "b"])


def test_collect_says_what_is_wrong_with_a_folder(tmp_path: Path, row: Make) -> None:
    write_row(row(), tmp_path / "digits-run")
    with pytest.raises(RowError, match=r"is not a folder\. Did you mean digits-run"):
        collect([tmp_path / "digit-run"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(RowError, match=r"holds no rows: .*Run `bench run` first"):
        collect([tmp_path / "empty"])


def test_a_folder_near_the_one_with_rows_is_told_apart(tmp_path: Path, row: Make) -> None:
    write_row(row(), tmp_path / "a")
    with pytest.raises(RowError, match=r"a/rows is a folder inside a run; give the run itself: .*/a\.$"):
        collect([tmp_path / "a" / "rows"])
    write_row(row(), tmp_path / "b")
    with pytest.raises(RowError, match=r" holds no rows itself; give the runs in it: .*/a .*/b$"):
        collect([tmp_path])
    (tmp_path / "c" / "failed").mkdir(parents=True)
    (tmp_path / "c" / "failed" / "random-0.json").touch()
    with pytest.raises(RowError, match=r"c holds no rows: all its cells failed; .*/c/failed says why\.$"):
        collect([tmp_path / "c"])


def test_reported_numbers_are_attached_at_whole_percent_only(row: Make) -> None:
    paper = {"dataset": "cifar10", "pool_size": 50_000, "model": "resnet18"}
    rows = [row("elfs", rate, 0, 86.0, **paper) for rate in (0.9, 0.895)]
    [block] = blocks(rows, compare=True)
    other, cell = block.means_of(block.lines[0])
    assert other.paper is None
    assert cell.reported == cell.paper.accuracy
    assert cell.difference == pytest.approx(86.0 - cell.reported)
    assert blocks(rows)[0].means["reported"].isna().all()


def test_reported_numbers_are_looked_up_with_the_parameters_of_each_rate(row: Make) -> None:
    paper = {"dataset": "cifar10", "pool_size": 50_000, "model": "resnet18", "method": "aum"}
    rows = [
        row("aum(beta={0.5: 0.0, 0.9: 0.4})", rate, 0, 86.0, params={"margin": "softmax", "beta": beta}, **paper)
        for rate, beta in ((0.5, 0.0), (0.9, 0.4))
    ]
    [block] = blocks(rows, compare=True)
    as_reported, with_a_cut = block.means_of(block.lines[0])
    assert as_reported.paper is not None
    assert with_a_cut.paper is None, "the paper dropped nothing"


def test_parameters_are_those_the_user_set() -> None:
    assert variant_parameters("elfs(heads=10, cluster_epochs=50)") == "cluster_epochs=50, heads=10"
    assert variant_parameters("random") == ""
