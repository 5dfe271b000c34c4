from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.errors import RowError
from bench.recipe import Recipe
from bench.results.block import Block, Line
from bench.results.facts import table_facts
from bench.results.rows import Row, write_row
from bench.results.tables import blocks, collect, variant_parameters

Make = Callable[..., Row]
Grid = Callable[..., list[Row]]
RATES = [0.5, 0.9]


def line_of(block: Block, label: str) -> Line:
    return next(line for line in block.lines if line.label == label)


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


def test_lines_are_grouped_by_supervision_with_full_apart(grid: Grid) -> None:
    names = ("aum", "badge", "elfs", "prototypicality", "random")
    [block] = blocks(grid({**{name: [1.0, 1.0] for name in names}, "full": [97.0]}, RATES))
    assert [line.label for line in block.lines] == ["random", "prototypicality", "elfs", "badge", "aum"]
    assert block.rates == (0.5, 0.9)
    assert block.full is not None
    assert block.means_of(block.full)[0].mean == pytest.approx(97.0)


def test_a_missing_cell_stays_missing_and_ends_the_average(grid: Grid) -> None:
    rows = grid({"random": [90.0, 80.0], "aum": [91.0, 60.0]}, RATES)
    rows = [row for row in rows if (row.method, row.rate) != ("aum", 0.9)]
    [block] = blocks(rows)
    assert block.averages["mean"].to_dict() == pytest.approx({"random": 85.0})
    assert block.means_of(line_of(block, "aum"))[1].n == 0


def test_fewer_seeds_are_incomplete_and_cannot_be_best(grid: Grid) -> None:
    rows = grid({"random": [90.0, 80.0], "prototypicality": [99.0, 79.0], "elfs": [91.0, 78.0]}, RATES)
    rows = [row for row in rows if (row.method, row.rate, row.seed) != ("prototypicality", 0.5, 2)]
    [block] = blocks(rows)
    cell = block.means_of(line_of(block, "prototypicality"))[0]
    assert (cell.seeds, cell.complete, cell.best) == ([0, 1], False, False)
    assert "prototypicality" not in block.averages.index
    assert [block.means_of(line)[0].best for line in block.lines] == [False, False, True]


def test_extra_seeds_of_full_do_not_make_the_others_incomplete(grid: Grid) -> None:
    [block] = blocks([*grid({"full": [97.0]}, [], seeds=5), *grid({"random": [90.0, 80.0]}, RATES, seeds=2)])
    assert block.seeds == (0, 1)
    assert all(cell.complete for cell in block.means_of(block.lines[0]))


def test_other_seeds_are_incomplete_though_they_are_as_many(grid: Grid) -> None:
    rows = grid({"random": [90.0, 80.0], "elfs": [91.0, 82.0]}, RATES, seeds=2)
    late = [row.model_copy(update={"seed": row.seed + 5}) for row in grid({"prototypicality": [99.0, 99.0]}, RATES, 2)]
    [block] = blocks([*late, *rows])
    assert block.seeds == (0, 1)
    means = block.means_of(line_of(block, "prototypicality"))
    assert [(one.seeds, one.complete, one.best) for one in means] == [([5, 6], False, False)] * 2
    assert "prototypicality" not in block.averages.index
    assert [one.best for one in block.means_of(line_of(block, "elfs"))] == [True, True]


def test_seeds_are_those_of_most_cells_that_have_most_and_holes_do_not_count(grid: Grid) -> None:
    rows = grid({"random": [90.0, 80.0], "elfs": [91.0, 82.0], "aum": [1.0, 1.0]}, RATES)
    rows = [row for row in rows if (row.method, row.seed) not in (("random", 0), ("aum", 1))]
    rows += [row.model_copy(update={"seed": row.seed + 4}) for row in grid({"ccs": [9.0]}, [0.5])]
    [block] = blocks(rows)
    assert block.seeds == (0, 1, 2)
    assert [line.label for line in block.lines if all(one.complete for one in block.means_of(line))] == ["elfs"]


def test_best_is_marked_with_and_without_labels_apart_ties_at_the_shown_decimals_included(grid: Grid) -> None:
    means = {"random": [90.0, 80.0], "elfs": [90.04, 82.0], "aum": [95.0, 60.0], "ccs": [94.0, 70.0]}
    [block] = blocks(grid(means, RATES))
    best = {line.label: tuple(cell.best for cell in block.means_of(line)) for line in block.lines}
    assert best == {"random": (True, False), "elfs": (True, True), "aum": (True, False), "ccs": (False, True)}
    assert set(block.averages.query("best").index) == {"elfs", "ccs"}


def test_labels_of_the_coreset_are_labels_when_the_best_are_marked(grid: Grid) -> None:
    means = {"random": [90.0, 80.0], "elfs": [91.0, 79.0], "badge": [93.0, 85.0], "aum": [92.0, 86.0]}
    [block] = blocks(grid(means, RATES))
    best = {line.label: tuple(cell.best for cell in block.means_of(line)) for line in block.lines}
    assert best == {"random": (False, True), "elfs": (True, False), "badge": (True, False), "aum": (False, True)}


def test_a_lone_method_with_or_without_labels_is_not_marked_best(grid: Grid) -> None:
    [block] = blocks(grid({"random": [90.0, 80.0], "aum": [91.0, 60.0]}, RATES))
    assert not any(cell.best for line in block.lines for cell in block.means_of(line))


def test_labels_name_the_variant_only_where_a_method_has_several(grid: Grid) -> None:
    means = {"ccs(beta=0.1)": [90.0, 80.0], "ccs(beta=0.3)": [89.0, 81.0], "elfs(heads=10)": [88.0, 79.0]}
    [block] = blocks(grid(means, RATES))
    assert [line.label for line in block.lines] == ["elfs", "ccs(beta=0.1)", "ccs(beta=0.3)"]


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


def test_metric_best_shows_the_best_accuracy(row: Make) -> None:
    rows = [row("random", 0.5, 0, 80.0, best_accuracy=83.0)]
    made = [block for metric in ("last", "best") for block in blocks(rows, metric=metric)]
    assert [block.means["mean"].tolist() for block in made] == [[80.0], [83.0]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"protocol": 2}, "protocol: 1 and 2"),
        ({"recipe": Recipe(iterations=800, proxy_epochs=20)}, "recipe.iterations: 400 and 800"),
        ({"fingerprint": "0" * 64}, "fingerprint"),
        ({"pool_size": 1000}, "pool_size: 1437 and 1000"),
    ],
)
def test_rows_that_are_not_comparable_are_refused(row: Make, change: dict[str, object], said: str) -> None:
    one, other = row("aum", 0.5, 0), row("random", 0.5, 1, **change)
    with pytest.raises(RowError, match=said) as caught:
        blocks([one, other])
    assert one.cell_id in str(caught.value)
    assert other.cell_id in str(caught.value)


def test_another_protocol_is_refused_even_in_another_block(row: Make) -> None:
    with pytest.raises(RowError, match="one table cannot mix"):
        blocks([row("random"), row("random", dataset="mnist5k", protocol=2)])


@pytest.mark.parametrize("change", [{"encoder_weights": "b" * 64}, {"encoder_supervision": "labels"}])
def test_one_encoder_with_two_weights_is_refused(row: Make, change: dict[str, str]) -> None:
    with pytest.raises(RowError, match=next(iter(change))):
        blocks([row("elfs"), row("prototypicality", **change), row("random")])


def test_two_proxies_in_one_block_are_refused(row: Make) -> None:
    with pytest.raises(RowError, match="proxy_model: 'small_cnn' and 'resnet18'"):
        blocks([row("aum"), row("elfs", proxy_model="resnet18"), row("random")])


@pytest.mark.parametrize("what", ["dataset", "model", "encoder", "proxy"])
def test_two_versions_of_what_a_block_rests_on_are_refused(row: Make, what: str) -> None:
    name = f"{what}_version"
    first, second = row("elfs", **{name: 1}), row("elfs", seed=1, **{name: 2})
    with pytest.raises(RowError, match=f"differ in {name}: 1 and 2"):
        blocks([first, second])
    earlier = row("elfs", seed=2)  # of a schema that did not record it
    assert blocks([first, earlier, row("elfs", seed=1, **{name: 1})])
    assert blocks([earlier, first])


@pytest.mark.parametrize("what", ["encoder", "proxy"])
def test_rows_without_encoder_or_proxy_agree_with_every_version(row: Make, what: str) -> None:
    assert blocks([row("random", **{f"{what}_version": None}), row("elfs", **{f"{what}_version": 2})])


def test_a_mean_over_coresets_of_different_code_is_marked(row: Make) -> None:
    same = [row("elfs", seed=seed, selection_code="a" * 16) for seed in (0, 1)]
    other = row("elfs", seed=2, selection_code="b" * 16)
    beside = [row("aum", seed=seed, selection_code=("c" if seed < 2 else "d") * 16) for seed in range(3)]
    elsewhere = [row("ccs", seed=seed, selection_code=("c" if seed < 1 else "d") * 16) for seed in range(2)]
    [block] = blocks([*same, other, *beside, *elsewhere])
    # One warning for the methods of which it says the same.
    assert [str(note) for note in table_facts(block) if "different code" in note.text] == [
        "Warning: the coresets of aum, elfs were selected by different code: seeds 0, 1 at 50 %; seed 2 at 50 %",
        "Warning: the coresets of ccs were selected by different code: seed 0 at 50 %; seed 1 at 50 %",
    ]
    [block] = blocks([*same, row("elfs", seed=2), row("aum", seed=0, selection_code="c" * 16)])
    assert not [note for note in table_facts(block) if "different code" in note.text], (
        "what is not recorded is not doubted"
    )


def test_one_variant_with_two_sets_of_defaults_is_refused(row: Make) -> None:
    old = row("ccs", seed=1, params={"beta": 0.1, "strata": 50, "score": "aum"})
    with pytest.raises(RowError, match=r"parameter beta: 0\.0 and 0\.1"):
        blocks([row("ccs"), old])


def test_rows_of_before_a_method_got_a_parameter_stay_on_their_line(row: Make) -> None:
    old = row("aum", seed=0, params={"margin": "softmax"})
    new = row("aum", seed=1, params={"margin": "softmax", "beta": 0.0})
    [block] = blocks([old, new])
    assert block.means["seeds"].tolist() == [[0, 1]]


def test_two_rows_of_one_seed_are_refused(row: Make) -> None:
    with pytest.raises(RowError, match=r"two rows for random, rate 0\.5, seed 0"):
        blocks([row("random"), row("random", cell_id="random-other")])


def test_collect_reads_several_folders_and_counts_a_shared_row_once(tmp_path: Path, row: Make) -> None:
    write_row(row(seed=0), tmp_path / "a")
    write_row(row(seed=0, train_seconds=9.0), tmp_path / "b")
    write_row(row(seed=1), tmp_path / "b")
    found = collect([tmp_path / "a", tmp_path / "b"])
    assert [item.seed for item in found] == [0, 1]


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
    with pytest.raises(RowError, match="holds no rows"):
        collect([tmp_path / "empty"])


def test_reported_numbers_are_attached_at_whole_percent_only(row: Make) -> None:
    paper = {"dataset": "cifar10", "pool_size": 50_000}
    rows = [row("elfs", rate, 0, 86.0, **paper) for rate in (0.9, 0.895)]
    [block] = blocks(rows, compare=True)
    other, cell = block.means_of(block.lines[0])
    assert other.paper is None
    assert cell.reported == cell.paper.accuracy
    assert cell.difference == pytest.approx(86.0 - cell.reported)
    assert blocks(rows)[0].means["reported"].isna().all()


def test_reported_numbers_are_looked_up_with_the_parameters_of_each_rate(row: Make) -> None:
    paper = {"dataset": "cifar10", "pool_size": 50_000, "method": "aum"}
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
