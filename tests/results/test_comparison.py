from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats as oracle

from bench.errors import DataError, SpecError, UnknownName
from bench.results.comparison import between_encoders, contests, find_baseline, method_agreements
from bench.results.comparison_tables import contest_table, encoder_tables, overlap_tables
from bench.results.facts import chosen_facts
from bench.results.published import indices_path, scores_path
from bench.results.rows import Row
from bench.results.tables import blocks
from tests.results.coresets import MEANS, RATES, put

Grid = Callable[..., list[Row]]
AT_90 = {name: column[1:] for name, column in MEANS.items()}


def accuracies(rows: list[Row], method: str, rate: float) -> list[float]:
    return [row.accuracy for row in rows if (row.method, row.rate) == (method, rate)]


def coreset(folder: Path, row: Row) -> set[int]:
    return set(np.load(indices_path(folder, row.cell_id)).tolist())


def at(found: pd.DataFrame, rate: float | None) -> Any:
    """The methods at one rate, None for all, by their name."""
    return found[found["rate"].isna() if rate is None else found["rate"] == rate].set_index("label")


def ranks_at(found: pd.DataFrame, rate: float | None) -> Any:
    return at(found, rate)["rank"].dropna().to_dict()


def test_contests_agree_with_scipy_at_each_rate_and_over_all(grid: Grid) -> None:
    rows = grid(MEANS, RATES, 4)
    rows = [
        row.model_copy(update={"accuracy": row.accuracy + 0.3 * ((row.seed * 7 + i) % 5)}) for i, row in enumerate(rows)
    ]
    [block] = blocks(rows)
    found = contests(block, find_baseline([block], "random")[0])
    assert found["rate"].dropna().unique().tolist() == RATES
    groups: Any = found.groupby("rate", dropna=False)
    for rate, group in groups:
        values = {
            name: np.mean(
                [
                    [r.accuracy for r in rows if (r.method, r.rate) == (name, each)]
                    for each in (RATES if np.isnan(rate) else [rate])
                ],
                axis=0,
            )
            for name in MEANS
        }
        for contest in group.itertuples():
            if contest.method == "random":
                assert contest.pairs == 0
                assert np.isnan([contest.difference, contest.p, contest.p_holm]).all()
                continue
            expected = oracle.ttest_rel(values[contest.method], values["random"])
            assert contest.p == pytest.approx(expected.pvalue, rel=1e-9)
            assert contest.difference == pytest.approx(values[contest.method].mean() - values["random"].mean())
            assert contest.p_holm >= contest.p
    assert ranks_at(found, 0.9) == {"elfs": 1, "random": 2, "aum": 3}
    assert ranks_at(found, None) == {"elfs": 1.5, "random": 2.5, "aum": 2.0}


def test_a_method_with_a_hole_is_tested_on_common_seeds_and_not_ranked(grid: Grid) -> None:
    rows = [row for row in grid(MEANS, RATES) if (row.method, row.seed, row.rate) != ("aum", 2, 0.9)]
    [block] = blocks(rows)
    found = contests(block, find_baseline([block], "random")[0])
    assert at(found, 0.9)["pairs"]["aum"] == 2
    assert set(ranks_at(found, 0.9)) == {"random", "elfs"}
    assert set(ranks_at(found, 0.5)) == set(MEANS)


def test_full_is_a_baseline_at_every_rate(grid: Grid) -> None:
    [block] = blocks(grid({"full": [97.0], **MEANS}, RATES))
    found = contests(block, find_baseline([block], "full")[0])
    assert at(found, 0.9)["difference"].to_dict() == pytest.approx({"random": -17, "elfs": -11, "aum": -37})


def test_baseline_names_one_line_or_is_refused(grid: Grid) -> None:
    made = blocks(grid({"ccs(beta=0.1)": [1.0], "ccs(beta=0.2)": [2.0], "random": [3.0]}, [0.5]))
    for spelled in ("ccs(beta=0.2)", "ccs( beta = 0.20 )"):
        assert [line and line.variant for line in find_baseline(made, spelled)] == ["ccs(beta=0.2)"]
    with pytest.raises(SpecError, match=r"ambiguous .* 'ccs\(beta=0.1\)' or 'ccs\(beta=0.2\)'"):
        find_baseline(made, "ccs")
    with pytest.raises(UnknownName, match="Did you mean random"):
        find_baseline(made, "randm")


def test_overlap_is_the_mean_over_seeds_by_hand(grid: Grid, tmp_path: Path) -> None:
    rows = put(grid(MEANS, RATES), tmp_path)
    [block] = blocks(rows)
    found = method_agreements(block, [tmp_path], [0.9]).set_index(["measure", "method", "other_method"])
    by = {(row.method, row.seed): coreset(tmp_path, row) for row in rows if row.rate == 0.9}

    def mean(pairs: list[tuple[set[int], set[int]]]) -> float:
        return float(np.mean([len(one & other) / len(one | other) for one, other in pairs]))

    between = found["mean"]["jaccard", "elfs", "aum"]
    assert between == pytest.approx(mean([(by["elfs", s], by["aum", s]) for s in range(3)]))
    pairs = [(by["aum", a], by["aum", b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    own = found.loc[("jaccard", "aum", "aum")]
    assert own["mean"] == pytest.approx(mean(pairs))
    assert (own["n"], own["between"]) == (3, "seeds")
    assert not found["missing"].any()
    files = {(r.method, r.seed): np.load(scores_path(tmp_path, r.scores_sha256)) for r in rows if r.scores_sha256}
    taus = [oracle.kendalltau(files["elfs", seed], files["aum", seed]).statistic for seed in range(3)]
    assert found["mean"]["kendall", "elfs", "aum"] == pytest.approx(np.mean(taus))
    assert "random" not in found.loc["kendall"].index.get_level_values("method")
    # Random coresets overlap as often as chance says.
    other = found.loc[("jaccard", "random", "random")]
    assert other["mean"] == pytest.approx(other["chance"], abs=0.04)


def test_missing_files_are_named_and_damaged_ones_refused(grid: Grid, tmp_path: Path) -> None:
    rows = put(grid(AT_90, [0.9]), tmp_path)
    [block] = blocks(rows)
    indices_path(tmp_path, rows[0].cell_id).unlink()
    found = method_agreements(block, [tmp_path])
    assert set(found["missing"]) == {1}
    notes = overlap_tables(block, found)[0].notes
    assert "Warning: left out, since there is no indices file: 1 of 9 rows" in notes
    np.save(indices_path(tmp_path, rows[0].cell_id), np.arange(rows[0].budget))
    with pytest.raises(DataError, match="not the coreset that was published"):
        method_agreements(block, [tmp_path])


def test_encoders_are_compared_at_the_same_seed(grid: Grid, tmp_path: Path) -> None:
    rows = put(grid(AT_90, [0.9]), tmp_path)
    rows += put(grid({"elfs": [85.0]}, [0.9], encoder="dino_vits16", encoder_supervision="self-supervised"), tmp_path)
    found = between_encoders(blocks(rows), [tmp_path])
    pairs = [[coreset(tmp_path, row) for row in rows if (row.method, row.seed) == ("elfs", seed)] for seed in range(3)]
    assert found[["method", "measure", "n"]].to_numpy().tolist() == [["elfs", "jaccard", 3], ["elfs", "kendall", 3]]
    assert found["mean"][0] == pytest.approx(np.mean([len(a & b) / len(a | b) for a, b in pairs]))
    [table] = encoder_tables(found)
    assert "encoder dino_vits16 against pixels" in table.title


def enlarged(row: Callable[..., Row]) -> list[Row]:
    """Two seeds of ccs at each rate, the second of a grid that had got one more rate, and random beside it."""
    base = {"strata": 50, "score": "aum"}
    betas = {0.5: 0.0, 0.7: 0.1, 0.9: 0.3}
    first, later = "ccs(beta={0.5: 0.0, 0.9: 0.3})", "ccs(beta={0.5: 0.0, 0.7: 0.1, 0.9: 0.3})"
    rows = []
    for rate, beta in betas.items():
        for seed in range(2):
            variant = later if seed or rate == 0.7 else first
            rows += [row(variant, rate, seed, 90.0 + seed, params={"beta": beta, **base}, chosen={"gamma": beta})]
            rows += [row("random", rate, seed, 88.0 + 3 * seed)]
    return rows


def test_an_enlarged_grid_is_compared_with_all_its_rows(row: Callable[..., Row], tmp_path: Path) -> None:
    [block] = blocks(put(enlarged(row), tmp_path))
    [baseline] = find_baseline([block], "random")
    ccs = contests(block, baseline).query("method == 'ccs'")
    assert ccs[["n", "pairs", "rank"]].to_numpy().tolist() == [[2, 2, 1.0]] * 4
    pairs = method_agreements(block, [tmp_path], [0.5]).query("measure == 'jaccard'")
    assert pairs[["method", "other_method", "n"]].to_numpy().tolist() == [
        ["random", "random", 1],
        ["random", "ccs", 2],
        ["ccs", "ccs", 1],
    ]
    [fact] = chosen_facts(block)
    assert str(fact) == "ccs chose gamma, by seed: 0, 0 at 50 %; 0.1, 0.1 at 70 %; 0.3, 0.3 at 90 %"


def test_encoders_are_compared_after_one_of_them_got_another_rate(row: Callable[..., Row], tmp_path: Path) -> None:
    short, long = "d2(k={0.5: 5})", "d2(k={0.5: 5, 0.9: 7})"
    rows = [row(short, 0.5, params={"k": 5}), row(long, 0.5, params={"k": 5}, encoder="vit")]
    found = between_encoders(blocks(put(rows, tmp_path)), [tmp_path])
    assert found.query("measure == 'jaccard'")["n"].tolist() == [1]


def test_a_method_at_other_seeds_leaves_the_ranks_of_the_others_and_is_told(grid: Grid) -> None:
    rows = grid({"random": [90.0, 80.0], "aum": [91.0, 60.0]}, RATES, seeds=2)
    rows += [row.model_copy(update={"seed": row.seed + 5}) for row in grid({"elfs": [99.0, 99.0]}, RATES, seeds=2)]
    [block] = blocks(rows)
    [line] = find_baseline([block], "random")
    made = contests(block, line)
    assert [ranks_at(made, rate) for rate in (0.5, 0.9, None)] == [
        {"random": 2.0, "aum": 1.0},
        {"random": 1.0, "aum": 2.0},
        {"random": 1.5, "aum": 1.5},
    ]
    said = "Other seeds: elfs was run at the seeds 5, 6 at 50 %, 90 %, not at the seeds 0, 1 of the others"
    assert any(note.startswith(said) for note in contest_table(block, line, made).notes)


def test_a_method_without_p_counts_in_holms_family_as_the_note_says(grid: Grid) -> None:
    rows = grid({"random": [80.0], "elfs": [81.0], "aum": [82.0]}, [0.5])
    rows = [
        row.model_copy(update={"accuracy": row.accuracy + (row.method == "aum") * [0.0, 1.5, 0.2][row.seed]})
        for row in rows
    ]
    [block] = blocks(rows)
    [line] = find_baseline([block], "random")
    made = contests(block, line)
    lines: Any = made.itertuples()
    _, elfs, aum = lines
    assert (elfs.pairs, elfs.difference) == (3, 1.0)
    assert np.isnan([elfs.p, elfs.p_holm]).all()
    assert aum.p_holm == pytest.approx(2 * aum.p)
    assert any("all methods with a difference" in note for note in contest_table(block, line, made).notes)


def test_ties_of_float32_quotients_are_ties_over_all_rates(row: Callable[..., Row]) -> None:
    # As many right answers over both rates, which float32 quotients do not add up to.
    counts = {"random": ([353, 340], [351, 333], [350, 331]), "elfs": ([350, 343], [347, 337], [345, 336])}
    rows = [
        row(method, rate, seed, float(np.float32(count / 359)) * 100)
        for method, seeds in counts.items()
        for seed, pair in enumerate(seeds)
        for rate, count in zip(RATES, pair, strict=True)
    ]
    [block] = blocks(rows)
    [line] = find_baseline([block], "random")
    found = at(contests(block, line), None)
    assert found.loc["elfs", ["wins", "ties"]].tolist() == [0, 3]
    assert np.isnan(found.loc["elfs", "p"])
    assert found[["rank", "rank_low", "rank_high"]].to_numpy().tolist() == [[1.5, 1.5, 1.5]] * 2
