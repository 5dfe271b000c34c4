"""Rows that are not of one protocol, precision or version make no table."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.errors import RowError
from bench.recipe import Precision, Recipe
from bench.results.rows import Row
from bench.results.tables import blocks

Make = Callable[..., Row]
Grid = Callable[..., list[Row]]


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
    # The user may have given two folders already.
    assert str(caught.value).endswith("or move the rows apart if they are in one folder.")


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


def test_one_variant_with_two_sets_of_defaults_is_refused(row: Make) -> None:
    old = row("ccs", seed=1, params={"beta": 0.1, "strata": 50, "score": "aum"})
    with pytest.raises(RowError, match=r"parameter beta: 0\.0 and 0\.1"):
        blocks([row("ccs"), old])


def test_rows_of_before_a_method_got_a_parameter_stay_on_their_line(row: Make) -> None:
    old = row("aum", seed=0, params={"margin": "softmax"})
    new = row("aum", seed=1, params={"margin": "softmax", "beta": 0.0})
    [block] = blocks([old, new])
    assert block.means["seeds"].tolist() == [[0, 1]]
