"""What a table says below itself about the rows that it was made of."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.recipe import Precision, Recipe
from bench.results.accuracy_table import accuracy_table
from bench.results.facts import chosen_facts, common, table_facts
from bench.results.frame import to_frame
from bench.results.pseudo_quality import PseudoLabelQuality
from bench.results.rows import Row
from bench.results.tables import blocks

Make = Callable[..., Row]
Grid = Callable[..., list[Row]]
RATES = [0.5, 0.9]
MEANS = {"full": [97.0], "random": [90.0, 80.0], "elfs(beta=0.4)": [91.0, 82.0], "aum": [92.0, 60.0]}
PAPER = {"dataset": "cifar10", "pool_size": 50_000, "model": "resnet18", "recipe": Recipe()}


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


def test_a_smaller_pool_gets_no_reported_numbers_and_says_why(grid: Grid) -> None:
    [block] = blocks(grid(MEANS, RATES, dataset="cifar10(pool_size=5000)", pool_size=5000), compare=True)
    assert accuracy_table(block).notes[-1] == (
        "Reported numbers: none, since the papers' pool has 50,000 images, this one 5,000"
    )


def test_another_model_gets_no_reported_numbers_and_says_why(grid: Grid) -> None:
    [block] = blocks(grid(MEANS, RATES, **(PAPER | {"model": "speedrun"})), compare=True)
    made = accuracy_table(block)
    assert made.notes[-1] == "Reported numbers: none, since ELFS and CCS trained resnet18, these rows speedrun"
    assert not any("reported" in field.text for section in made.sections for line in section.lines for field in line)


def test_other_seeds_are_told_below_the_table(grid: Grid) -> None:
    rows = grid({"random": [90.0, 80.0], "aum": [92.0, 60.0]}, RATES, seeds=2)
    rows += [row.model_copy(update={"seed": row.seed + 5}) for row in grid({"elfs": [99.0, 99.0]}, RATES, seeds=2)]
    notes = accuracy_table(blocks(rows)[0]).notes
    assert (
        "Other seeds: elfs was run at the seeds 5, 6 at 50 %, 90 %, not at the seeds 0, 1 of the others: it is not "
        "ranked, averaged or marked best there" in notes
    )
    assert not any("was run at the seed" in note for note in accuracy_table(blocks(grid(MEANS, RATES)[1:])[0]).notes)


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


def test_a_guards_random_coreset_is_said(grid: Grid) -> None:
    taken = {0: "beta=0.1", 1: "random 2", 2: "kcenter"}
    rows = [
        r.model_copy(update={"taken": taken[r.seed]}) if (r.method, r.rate) == ("elfs", 0.9) else r
        for r in grid(MEANS, RATES)
    ]
    rows = [r.model_copy(update={"chosen": {"beta": 0.1}}) if r.taken == "beta=0.1" else r for r in rows]
    [block] = blocks(rows)
    notes = [str(fact) for fact in chosen_facts(block)]
    assert notes == ["elfs took, by seed: beta=0.1, a random coreset, kcenter at 90 %"]


def test_methods_that_were_trained_with_weights_are_named(grid: Grid) -> None:
    plain, weighted = grid({"random": [90.0, 80.0]}, RATES), grid({"aum": [91.0, 82.0]}, RATES, weighted=True)
    notes = [accuracy_table(block).notes for block in (*blocks([*plain, *weighted]), *blocks(plain))]
    said = "Weighted: aum: training multiplies each image's loss by the weight that the method gave it"
    assert [said in each for each in notes] == [True, False]
