from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from bench.errors import SpecError, UnknownName
from bench.grammar import Call
from bench.grid.cells import at_rate, check_names, reads_embeddings
from bench.grid.spec import GridSpec, load_spec
from bench.identity import DatasetRef, ModelRef
from bench.recipe import Recipe
from bench.stages.base import in_order
from bench.stages.training import Cell
from tests.grid_fixtures import expanded

Expand = Callable[..., list[Cell]]


def ids(cells: list[Cell]) -> list[str]:
    return [cell.cell_id for cell in cells]


def test_the_grid_is_the_cross_product(cells_of: Expand) -> None:
    cells = cells_of(
        methods="random,elfs",
        models="small_cnn,resnet18",
        encoders="pixels,pixels(components=8)",
        rates="0.5,0.9",
        seeds=3,
    )
    # random reads no embeddings: the two encoders are one.
    assert len(cells) == 2 * 2 * 3 * (1 + 2)
    assert len(set(ids(cells))) == len(cells)
    assert {cell.encoder for cell in cells if cell.method == "random"} == {None}
    assert {cell.encoder.label for cell in cells if cell.encoder} == {"pixels", "pixels(components=8)"}


def test_full_runs_once_per_seed_at_rate_0(cells_of: Expand) -> None:
    cells = cells_of(methods="full,random", rates="0.5,0.7,0.9", seeds=2)
    assert [(cell.rate, cell.seed, cell.budget) for cell in cells if cell.method == "full"] == [
        (0, 0, 1438),
        (0, 1, 1438),
    ]
    assert sum(cell.method == "random" for cell in cells) == 6


@pytest.mark.parametrize(("rate", "budget"), [("0", 50_000), ("0.3", 35_000), ("0.9", 5_000), ("0.99999", None)])
def test_the_budget_is_the_rounded_share_that_stays(cells_of: Expand, rate: str, budget: int | None) -> None:
    if budget is None:
        with pytest.raises(SpecError, match=r"rate 0\.99999 keeps 0 of the 50000 images of cifar10"):
            cells_of(methods="random", datasets="cifar10", rates=rate)
        return
    [cell] = cells_of(methods="random", datasets="cifar10", rates=rate)
    assert cell.budget == budget


def test_a_spelled_out_default_is_the_same_cell(cells_of: Expand) -> None:
    plain = cells_of(methods="ccs", encoders="pixels", models="resnet18", rates="0.9")
    spelled = cells_of(
        methods="ccs(strata=50,score=aum,beta=0)",
        encoders="pixels(components=64)",
        models="resnet18(stem=auto)",
        rates="0.90",
        recipe={"momentum": 0.9},
    )
    by_rate = cells_of(methods="ccs(beta={0.9: 0, 0.5: 0.0})", models="resnet18", rates="0.9")
    assert ids(plain) == ids(spelled) == ids(by_rate)
    assert plain[0].variant == "ccs"
    assert len(cells_of(methods="ccs,ccs(strata=50)", rates="0.9")) == 1


def test_a_mapping_from_rate_is_one_variant_however_it_is_written(cells_of: Expand) -> None:
    one = cells_of(methods="ccs(beta={0.5: 0, 0.9: 0.3})", rates="0.5,0.9")
    other = cells_of(methods=[{"ccs": {"beta": {"0.9": "0.3", 0.5: 0.0}}}], rates="0.5,0.9")
    assert ids(one) == ids(other)
    assert {cell.variant for cell in one} == {"ccs(beta={0.5: 0.0, 0.9: 0.3})"}
    assert [cell.params for cell in one] == [{}, {"beta": 0.3}]


def test_a_mapping_from_rate_shares_the_selection_with_the_plain_value(cells_of: Expand) -> None:
    [mapped] = cells_of(methods="ccs(beta={0.9: 0.3})", rates="0.9")
    [plain] = cells_of(methods="ccs(beta=0.3)", rates="0.9")
    assert mapped.selection().key == plain.selection().key


BASE: dict[str, Any] = {"methods": "elfs", "encoders": "pixels", "rates": "0.9", "seeds": [0]}


@pytest.mark.parametrize(
    "change",
    [
        {"methods": "elfs(beta=0.2)"},
        {"methods": "elfs(cluster_epochs=20)"},
        {"methods": "d2"},
        {"datasets": "cifar10"},
        {"datasets": "digits@noise=0.2"},
        {"datasets": "digits@imbalance=10"},
        {"encoders": "pixels(size=16)"},
        {"models": "resnet18"},
        {"rates": "0.8"},
        {"seeds": [1]},
        {"pool_size": 500},
        {"proxy_model": "resnet18"},
        {"recipe": {"iterations": 30}},
        {"recipe": {"proxy_epochs": 3}},
        {"recipe": {"lr": 0.01}},
        {"scale": 0.5},
    ],
)
def test_whatever_changes_the_result_changes_the_identity(cells_of: Expand, change: dict[str, Any]) -> None:
    assert set(ids(cells_of(**BASE))).isdisjoint(ids(cells_of(**(BASE | change))))


def test_content_of_data_and_weights_is_part_of_the_identity(cells_of: Expand) -> None:
    [cell] = cells_of(**BASE)
    assert cell.encoder is not None
    other_pixels = cell.model_copy(update={"dataset": cell.dataset.model_copy(update={"fingerprint": "0" * 64})})
    other_weights = cell.model_copy(update={"encoder": cell.encoder.model_copy(update={"weights_sha256": "1" * 64})})
    assert len({cell.cell_id, other_pixels.cell_id, other_weights.cell_id}) == 3
    assert len({cell.selection().key, other_pixels.selection().key, other_weights.selection().key}) == 3


def pinned(**changes: Any) -> Cell:
    fields: dict[str, Any] = {
        "dataset": DatasetRef(name="digits", fingerprint="f" * 64, num_classes=10, size=1438),
        "method": "ccs",
        "variant": "ccs(beta=0.3)",
        "params": {"beta": 0.3},
        "encoder": None,
        "rate": 0.9,
        "budget": 144,
        "seed": 3,
        "model": ModelRef(name="small_cnn"),
        "recipe": Recipe(),
        "proxy": None,
        "protocol": 1,
    }
    return Cell(**(fields | changes))


def test_the_identity_is_stable_across_releases() -> None:
    # A change here makes every row on everybody's disk unknown to the next run: raise PROTOCOL if results differ.
    assert pinned().cell_id == "digits-ccs-none-r90-s3-small_cnn-9c0d93d3f7b7"


def test_modifiers_stand_in_the_label_and_the_file_name_and_survive_json() -> None:
    ref = DatasetRef(name="folder", params={"size": 8}, modifiers={"noise": 0.2, "imbalance": 10.0}, pool_size=50)
    assert ref.label == "folder(pool_size=50, size=8)@imbalance=10@noise=0.2"
    cell = pinned(dataset=ref)
    assert cell.cell_id.startswith("folder_imbalance_10_noise_0.2-ccs-none-")
    assert Cell.model_validate_json(cell.model_dump_json()) == cell


def test_the_seed_of_a_pool_is_part_of_its_data_set_where_it_is_another() -> None:
    pool_seeds: list[dict[str, Any]] = [{}, {"pool_seed": 0}, {"pool_seed": 2}]
    [usual], [same], [other] = (
        expanded(methods="random", rates="0.5", seeds=1, pool_size=500, **given) for given in pool_seeds
    )
    assert usual.cell_id == same.cell_id != other.cell_id
    assert (usual.dataset.label, other.dataset.label) == ("digits(pool_size=500)", "digits(pool_seed=2, pool_size=500)")
    assert "pool_seed" not in usual.dataset.model_dump()
    with pytest.raises(SpecError, match="pool_seed=2 draws nothing without --pool-size"):
        expanded(methods="random", pool_seed=2)
    with pytest.raises(SpecError, match=r"dataset digits: the seed of the pool's draw is the grid's; use --pool-seed"):
        expanded(methods="random", datasets="digits(pool_seed=2)")
    assert "modifiers" not in pinned().model_dump_json()


def test_a_new_protocol_is_a_new_cell() -> None:
    assert pinned(protocol=2).cell_id != pinned().cell_id


def test_the_identity_is_a_safe_file_name(cells_of: Expand) -> None:
    cells = [*cells_of("demo"), *cells_of("paper-cifar10"), pinned(dataset=DatasetRef(name="a/b c:é*"), rate=1 / 3)]
    for name in ids(cells):
        assert re.fullmatch(r"[\w.-]{1,120}", name)
        assert not name.startswith(".")


def test_models_share_a_selection_and_its_proxy(cells_of: Expand) -> None:
    cells = cells_of(methods="elfs", models="small_cnn,resnet18", proxy_model="small_cnn", rates="0.9")
    assert len(cells) == 2
    assert len({cell.selection().key for cell in cells}) == 1
    own_proxies = cells_of(methods="elfs", models="small_cnn,resnet18", rates="0.9")
    assert len({cell.selection().key for cell in own_proxies}) == 2


def test_the_length_of_the_final_training_does_not_part_selections(cells_of: Expand) -> None:
    short, long = (
        cells_of(methods="aum", rates="0.9", recipe={"iterations": n, "evaluations": n // 10})[0] for n in (30, 90)
    )
    assert short.cell_id != long.cell_id
    assert short.selection().key == long.selection().key


def test_a_linear_probe_reads_the_embeddings_of_both_splits(cells_of: Expand) -> None:
    first, second = cells_of(
        methods="random", models="linear_probe", encoders="pixels,pixels(components=8)", rates="0.9"
    )
    assert first.encoder != second.encoder
    assert first.recipe.augmentation == "none"
    assert first.selection().key == second.selection().key
    kinds = [(stage.kind, getattr(stage, "split", "")) for stage in first.stages()]
    assert kinds == [("selection", ""), ("embeddings", "train"), ("embeddings", "test")]


def test_a_probe_as_proxy_needs_the_pool_s_embeddings_first(cells_of: Expand) -> None:
    [cell] = cells_of(methods="aum", proxy_model="linear_probe", rates="0.9")
    assert cell.encoder is not None
    assert [stage.kind for stage in in_order(cell.stages())] == ["encoder", "embeddings", "dynamics", "selection"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"methods": "random,aum"}, False),
        ({"methods": "elfs"}, True),
        ({"methods": "random", "models": "linear_probe"}, True),
        ({"methods": "aum", "proxy_model": "linear_probe"}, True),
        ({"methods": "random", "proxy_model": "linear_probe"}, False),
        ({"methods": "d2-label-free"}, True),
    ],
)
def test_an_encoder_is_looked_for_only_where_it_is_read(given: dict[str, Any], expected: bool) -> None:
    assert reads_embeddings(load_spec(given=given)) is expected


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"methods": "elsf"}, "unknown method 'elsf'. Did you mean elfs"),
        ({"datasets": "digit"}, "unknown dataset 'digit'. Did you mean digits"),
        (
            {"datasets": "digits@imbalence=10"},
            "unknown modifier of dataset 'digits': 'imbalence'. Did you mean imbalance",
        ),
        ({"datasets": "digits@noise=2"}, "dataset digits: @noise=2 is not valid: a number from 0 to 1."),
        ({"encoders": "pixel"}, "unknown encoder 'pixel'. Did you mean pixels"),
        ({"models": "resnet81"}, "unknown model 'resnet81'. Did you mean resnet"),
        ({"proxy_model": "resnet81"}, "unknown model 'resnet81'"),
        ({"methods": "ccs(strat=3)"}, "parameter of method 'ccs': 'strat'. Did you mean strata"),
        ({"datasets": "folder(sise=3)"}, "parameter of dataset 'folder': 'sise'. Did you mean size"),
        ({"encoders": "pixels(component=3)"}, "parameter of encoder 'pixels': 'component'. Did you mean components"),
        ({"models": "resnet18(steam=auto)"}, "parameter of model 'resnet18': 'steam'. Did you mean stem"),
        ({"methods": "ccs(beta=0.95)"}, "method ccs: beta=0.95 is not valid at rate 0.9"),
        ({"methods": "ccs(beta={0.5: 0.1})"}, "method ccs: beta has no value for rate 0.9; given for: 0.5."),
        ({"methods": "ccs(beta={})"}, "given for: none."),
        ({"methods": "ccs(beta={'low': 0.1})"}, "a mapping goes from rate to value"),
        ({"methods": "ccs(beta={0.9: 2})"}, "method ccs: beta=2 is not valid"),
        ({"recipe": {"lr_min": 3}}, "the recipe for digits is not valid: lr_min=3.0 is above lr=0.05"),
        ({"recipe": {"iterations": 0}}, "the recipe for digits: iterations=0 is not valid: a whole number from 1 on."),
        ({"recipe": {"lr": float("inf")}}, "lr=inf is not valid: a finite number, above 0"),
        ({"recipe": {"momentum": 0}}, "nesterov needs momentum above 0"),
    ],
)
def test_names_and_values_are_checked_before_data_are_opened(given: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=r"^[^\n]+$") as caught:
        check_names(load_spec(given={"rates": "0.9"} | given))
    assert says in str(caught.value)
    assert isinstance(caught.value, UnknownName) == ("Did you mean" in says or "unknown" in says)


def test_a_value_by_rate_is_taken_at_the_rate() -> None:
    call = Call("ccs", {"beta": {0.5: 0.1, "0.9": 0.3}, "strata": 20})
    assert at_rate(call, 0.9) == {"beta": 0.3, "strata": 20}
    assert at_rate(call, 0.5) == {"beta": 0.1, "strata": 20}


def test_a_scaled_grid_is_marked(cells_of: Expand) -> None:
    [cell] = cells_of(methods="aum", rates="0.9", scale=0.1)
    whole = cells_of(methods="aum", rates="0.9")[0].recipe
    assert (cell.recipe.iterations, cell.recipe.scale) == (round(whole.iterations / 10), 0.1)
    assert cell.proxy is not None
    assert cell.proxy.recipe.proxy_epochs == round(whole.proxy_epochs / 10)


def test_the_default_grid_is_valid() -> None:
    check_names(GridSpec())


def test_tf32_is_refused_where_nothing_has_it(cells_of: Expand) -> None:
    with pytest.raises(SpecError, match=r"precision=tf32 needs a GPU of the Ampere generation or newer; valid here: "):
        cells_of(methods="random", recipe={"precision": "tf32"})
    assert Recipe(precision="tf32").at_precision(("bf16", "tf32", "fp32")).precision == "tf32"
