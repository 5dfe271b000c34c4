from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest

from bench.errors import RowError
from bench.recipe import Precision, Recipe
from bench.results.accuracy_table import accuracy_table, table_records
from bench.results.facts import common
from bench.results.frame import to_frame
from bench.results.pseudo_quality import PseudoLabelQuality
from bench.results.rendering import MISSING, latex, markdown, to_csv
from bench.results.rows import Row
from bench.results.tables import blocks

Grid = Callable[..., list[Row]]
RATES = [0.5, 0.9]
MEANS = {"full": [97.0], "random": [90.0, 80.0], "elfs(beta=0.4)": [91.0, 82.0], "aum": [92.0, 60.0]}
PAPER = {"dataset": "cifar10", "pool_size": 50_000, "model": "resnet18", "recipe": Recipe()}


def test_layout(grid: Grid) -> None:
    [block] = blocks(grid(MEANS, RATES))
    made = accuracy_table(block)
    assert made.columns == ("method", "50 %", "90 %", "Avg")
    assert made.lead == "full data (0 % removed): 97.0 ± 0.5"
    assert [section.heading for section in made.sections] == ["no labels", "pseudo-labels", "labels"]
    assert [field.text for field in made.sections[1].lines[0]] == ["elfs", "91.0 ± 0.5", "82.0 ± 0.5", "86.5"]
    assert "elfs: beta=0.4" in made.notes


def test_labels_of_the_coreset_only_have_a_section_between(grid: Grid) -> None:
    [block] = blocks(grid({**MEANS, "badge": [91.5, 83.0]}, RATES))
    headings = [section.heading for section in accuracy_table(block).sections]
    assert headings == ["no labels", "pseudo-labels", "labels of the coreset only", "labels"]


def test_holes_and_unequal_seeds_are_shown(grid: Grid) -> None:
    rows = [row for row in grid(MEANS, RATES) if (row.method, row.rate) != ("aum", 0.9)]
    rows = [row for row in rows if (row.method, row.rate, row.seed) != ("random", 0.5, 2)]
    [block] = blocks(rows)
    sections = accuracy_table(block).sections
    texts = {line[0].text: [field.text for field in line[1:]] for part in sections for line in part.lines}
    assert texts["aum"] == ["92.0 ± 0.5", MISSING, MISSING]
    assert texts["random"] == ["89.8 ± 0.4 (n=2)", "80.0 ± 0.5", MISSING]
    assert texts["elfs"][-1] == "86.5"
    assert "n = 3 where no n is shown" in accuracy_table(block).notes[0]
    assert f"{MISSING}: missing, no row" in accuracy_table(block).notes


def test_no_average_where_every_method_has_a_hole_or_one_rate(grid: Grid) -> None:
    [hole] = blocks([row for row in grid({"random": [90.0, 80.0]}, RATES) if (row.rate, row.seed) != (0.9, 0)])
    [single] = blocks(grid({"random": [90.0]}, [0.5]))
    assert "Avg" not in accuracy_table(hole).columns
    assert "Avg" not in accuracy_table(single).columns


def test_one_seed_shows_no_std(grid: Grid) -> None:
    [block] = blocks(grid({"random": [90.0, 80.0]}, RATES, seeds=1))
    assert [field.text for field in accuracy_table(block).sections[0].lines[0]] == ["random", "90.0", "80.0", "85.0"]
    assert "one seed per cell (0), so no std" in accuracy_table(block).notes[0]


def test_caption_says_what_the_rows_say(grid: Grid) -> None:
    rows = grid(MEANS, RATES, encoder="vit", encoder_supervision="self-supervised")
    rows = [row.model_copy(update={"device": "NVIDIA H200"}) if row.seed else row for row in rows]
    text = " ".join(accuracy_table(blocks(rows)[0]).notes)
    for part in (
        "Accuracy: last-iteration test accuracy in percent, mean ± std over n = 3 seeds (0, 1, 2)",
        "N = 1,437 images of digits",
        "Encoder: vit (self-supervised), which random, aum do not use",
        "Model: small_cnn, 400 iterations, batch 256 Proxy: small_cnn, 20 epochs",
        "Trained on: NVIDIA H200, cpu Protocol: version 1",
        "Rows made: 2025-11-20 to 2025-11-22 (UTC)",
    ):
        assert part in text
    assert "Warning" not in text
    assert "Scaled" not in text


def test_caption_says_what_a_long_tailed_and_noisy_version_is(grid: Grid) -> None:
    [block] = blocks(grid({"random": [90.0]}, [0.5], dataset="digits(pool_size=1437)@imbalance=10@noise=0.2"))
    assert (
        "digits(pool_size=1437)@imbalance=10@noise=0.2: training split long-tailed (the largest class 10 times the "
        "smallest), with 20 % of the labels replaced by another class; the test split is unchanged, so accuracy is "
        "over its own class balance and true labels"
    ) in accuracy_table(block).notes
    assert not any("test split" in note for note in accuracy_table(blocks(grid({"random": [90.0]}, [0.5]))[0]).notes)


def test_caption_warns_of_an_encoder_trained_with_labels_and_of_a_scaled_recipe(grid: Grid) -> None:
    rows = grid(MEANS, RATES, encoder_supervision="labels", recipe=Recipe().scaled(0.1))
    text = " ".join(accuracy_table(blocks(rows)[0]).notes)
    assert "Warning: the encoder pixels was trained with labels" in text
    assert "not strictly free of labels: elfs" in text
    assert "Scaled: iterations and proxy epochs times 0.1, not the full protocol" in text


def test_caption_names_the_precision_where_not_all_is_in_fp32(grid: Grid) -> None:
    def notes(**precisions: Precision) -> str:
        rows = [
            row
            for dataset, precision in precisions.items()
            for row in grid({"random": [90.0]}, [0.5], dataset=dataset, recipe=Recipe(precision=precision))
        ]
        return " ".join(map(str, common(to_frame(rows))))

    assert "Precision" not in notes(digits="fp32") + notes(digits="auto", mnist5k="fp32")
    assert "Protocol: version 1 Precision: bf16" in notes(digits="bf16", mnist5k="bf16")
    mixed = "Precision: bf16 (small_cnn on digits), fp32 (small_cnn on cifar10, small_cnn on mnist5k)"
    assert mixed in notes(digits="bf16", mnist5k="fp32", cifar10="auto")


def test_rows_of_two_precisions_make_no_block(grid: Grid) -> None:
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    rows = [
        row
        for seed, precision in enumerate(precisions)
        for row in grid({"random": [90.0]}, [0.5], seeds=2, recipe=Recipe(precision=precision))
        if row.seed == seed
    ]
    with pytest.raises(RowError, match=r"recipe\.precision: 'fp32' and 'bf16'"):
        blocks(rows)


def test_metric_best_is_named(grid: Grid) -> None:
    [block] = blocks(grid(MEANS, RATES), metric="best")
    assert accuracy_table(block).notes[0].startswith("Accuracy: best test accuracy seen during training")
    assert accuracy_table(block).sections[0].lines[0][1].text == "90.8 ± 0.5"


def test_reported_numbers_stand_below_ours(grid: Grid) -> None:
    [block] = blocks(grid(MEANS, RATES, **PAPER), compare=True)
    made = accuracy_table(block)
    assert [field.text for field in made.sections[1].lines[1]] == ["reported (ELFS)", "94.9 (-3.9)", "86.9 (-4.9)", ""]
    # The 90 % point of AUM lies below the figure: extrapolated, so marked.
    assert made.sections[2].lines[1][2].text.startswith("28.0* (+32.0)")
    assert made.lead.endswith("reported (ELFS): 95.5 (+1.5)")
    text = " ".join(made.notes)
    assert "The papers report the best test accuracy seen during training; ours is last-iteration" in text
    assert "ELFS (arXiv 2406.04273, ICLR 2025): full, random, elfs (figure-digitised)" in text
    assert "worse where marked *" in text
    assert "README commands use DINO ViT-B/16); ours: pixels" in text


def test_a_difference_that_rounds_to_zero_has_no_minus(grid: Grid) -> None:
    [block] = blocks(grid({"elfs": [94.84, 86.9]}, RATES, **PAPER), compare=True)
    texts = [field.text for field in accuracy_table(block).sections[0].lines[1]]
    assert texts[1:3] == ["94.9 (+0.0)", "86.9 (+0.0)"]


def test_a_smaller_pool_gets_no_reported_numbers_and_says_why(grid: Grid) -> None:
    [block] = blocks(grid(MEANS, RATES, dataset="cifar10(pool_size=5000)", pool_size=5000), compare=True)
    assert accuracy_table(block).notes[-1] == (
        "Reported numbers: none, since the papers' pool has 50,000 images, this one 5,000"
    )


def test_another_model_than_the_papers_is_said(grid: Grid) -> None:
    [block] = blocks(grid(MEANS, RATES, **(PAPER | {"model": "small_cnn"})), compare=True)
    text = " ".join(accuracy_table(block).notes)
    assert "ELFS and CCS trained resnet18 for 40,000 iterations; these rows: small_cnn, 40,000" in text


def test_csv_holds_numbers_with_holes_as_holes(grid: Grid) -> None:
    rows = [row for row in grid(MEANS, RATES, **PAPER) if (row.method, row.rate) != ("aum", 0.9)]
    records = list(csv.DictReader(io.StringIO(to_csv(table_records(blocks(rows, compare=True))))))
    assert len(records) == 1 + 3 * 2
    found = {(record["method"], record["rate"]): record for record in records}
    elfs, hole = found["elfs", "0.9"], found["aum", "0.9"]
    assert (float(elfs["mean"]), float(elfs["std"]), elfs["n"], elfs["seeds"]) == (82.0, 0.5, "3", "0 1 2")
    assert float(elfs["difference"]) == pytest.approx(82.0 - float(elfs["reported"]))
    assert float(elfs["ci_low"]) < 82.0 < float(elfs["ci_high"])
    assert elfs["reported_kind"] == "figure-digitised"
    assert (hole["n"], hole["mean"], hole["complete"], hole["difference"]) == ("0", "", "0", "")


def test_other_seeds_are_told_below_the_table(grid: Grid) -> None:
    rows = grid({"random": [90.0, 80.0], "aum": [92.0, 60.0]}, RATES, seeds=2)
    rows += [row.model_copy(update={"seed": row.seed + 5}) for row in grid({"elfs": [99.0, 99.0]}, RATES, seeds=2)]
    notes = accuracy_table(blocks(rows)[0]).notes
    assert (
        "Other seeds: elfs was run at the seeds 5, 6 at 50 %, 90 %, not at the seeds 0, 1 of the others: it is not "
        "ranked, averaged or marked best there" in notes
    )
    assert not any("was run at the seed" in note for note in accuracy_table(blocks(grid(MEANS, RATES)[1:])[0]).notes)


def test_renderings_do_not_depend_on_the_order_of_the_rows(grid: Grid) -> None:
    rows = grid(MEANS, RATES, **PAPER)

    def render(given: list[Row]) -> tuple[str, str, str]:
        made = blocks(given, compare=True)
        tables = [accuracy_table(block) for block in made]
        return markdown(tables), latex(tables), to_csv(table_records(made))

    assert render(rows) == render(rows[::-1])


def test_caption_says_how_good_the_pseudo_labels_were(grid: Grid) -> None:
    def rows(variant: str, accuracies: list[float]) -> list[Row]:
        return [
            row.model_copy(
                update={
                    "pseudo_labels": PseudoLabelQuality(accuracy=accuracies[row.seed], nmi=0.5, ari=0.4, clusters=10)
                }
            )
            for row in grid({variant: [91.0, 82.0]}, RATES)
        ]

    plain = grid({"random": [90.0, 80.0]}, RATES)
    [block] = blocks([*plain, *rows("elfs", [70, 71, 72]), *rows("elfs(beta=0.4)", [70, 71, 72])])
    notes = accuracy_table(block).notes
    quality = "71.0 ± 1.0 % accurate, NMI 0.50 ± 0.00, ARI 0.40 ± 0.00 (10 clusters, n = 3)"
    assert f"Pseudo-labels of elfs: {quality}" in notes
    assert "nothing is chosen by it" in notes[-1]
    [block] = blocks([*plain, *rows("elfs", [70, 71, 72]), *rows("elfs(num_clusters=12)", [60, 60, 60])])
    labels = [fact.label for fact in accuracy_table(block).facts if "accurate" in fact.text]
    assert labels == ["Pseudo-labels of elfs", "Pseudo-labels of elfs(num_clusters=12)"]
    [block] = blocks(plain)
    assert "seudo-labels" not in " ".join(accuracy_table(block).notes)


def test_methods_that_were_trained_with_weights_are_named(grid: Grid) -> None:
    plain, weighted = grid({"random": [90.0, 80.0]}, RATES), grid({"aum": [91.0, 82.0]}, RATES, weighted=True)
    notes = [accuracy_table(block).notes for block in (*blocks([*plain, *weighted]), *blocks(plain))]
    said = "Weighted: aum: training multiplies each image's loss by the weight that the method gave it"
    assert [said in each for each in notes] == [True, False]


@pytest.mark.parametrize(
    ("variant", "said"), [("ccs", True), ("ccs(beta={0.5: 0.0, 0.9: 0.3})", False), ("aum", False)]
)
def test_a_method_at_a_beta_that_its_paper_tuned_away_from_is_named(
    row: Callable[..., Row], variant: str, said: bool
) -> None:
    of_call = {"beta": {0.5: 0.0, 0.9: 0.3} if "{" in variant else {0.5: 0.0, 0.9: 0.0}}
    common = {"score": "aum", "strata": 50} if "ccs" in variant else {"margin": "softmax"}
    rows = [row(variant, rate, params={**common, "beta": of_call["beta"][rate]}, **PAPER) for rate in (0.5, 0.9)]
    [block] = blocks(rows, compare=True)
    notes = accuracy_table(block).notes
    assert any("(CCS" in note or "CCS (" in note for note in notes)
    assert ("Beta: ccs ran at beta = 0, which drops nothing; the papers tuned beta" in notes) is said
