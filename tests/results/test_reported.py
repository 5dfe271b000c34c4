from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.plugins import datasets, encoders, methods, models
from bench.results.reported import _NAMES, ENCODERS, PROTOCOLS, protocol_of, reported, same_encoder, tuned
from bench.results.rows import Row

CSV = Path(__file__).parents[2] / "bench" / "paper" / "reported_results.csv"

NO_CIFAR10 = {"zcore": "imagenet"}
"""Methods without numbers for CIFAR-10, and where they have some."""


def from_csv(paper: str, dataset: str, method: str, percent: int, kind: str) -> float:
    with CSV.open(encoding="utf-8") as file:
        [value] = [
            float(line["accuracy"])
            for line in csv.DictReader(file)
            if line["paper"].startswith(paper)
            and (line["dataset"], line["method"], line["source_kind"]) == (dataset, method, kind)
            and line["pruning_rate"]
            and float(line["pruning_rate"]) == percent
        ]
    return value


@pytest.mark.parametrize(
    ("dataset", "method", "percent", "source"),
    [
        ("cifar10", "elfs", 90, ("ELFS", "CIFAR10", "ELFS", "figure-digitised")),
        ("cifar100", "d2-label-free", 50, ("ELFS", "CIFAR100", "D2 (label-free variant)", "figure-digitised")),
        ("imagenet", "prototypicality", 80, ("ELFS", "ImageNet-1K", "Prototypicality", "figure-digitised")),
        ("cifar10", "random", 90, ("ELFS", "CIFAR10", "Random", "figure-digitised")),
        ("cifar100", "ccs", 90, ("CCS", "CIFAR100", "CCS (AUM)", "figure-digitised")),
        ("cifar10", "ccs", 90, ("CCS", "CIFAR10", "CCS (AUM)", "table")),
        ("cifar10", "forgetting", 30, ("CCS", "CIFAR10", "Forgetting", "text")),
        ("cifar10", "d2", 90, ("DUAL", "CIFAR10", "D2", "figure-digitised")),
    ],
)
def test_numbers_are_those_of_the_csv(dataset: str, method: str, percent: int, source: tuple[str, ...]) -> None:
    paper, name, known_as, kind = source
    number = reported(dataset, PROTOCOLS[dataset].pool_size, PROTOCOLS[dataset].model, method, {})[percent]
    assert number.accuracy == from_csv(paper, name, known_as, percent, kind)
    assert (number.paper, number.kind) == (paper, kind)


def test_full_data_is_at_rate_0_and_nothing_else_is() -> None:
    assert reported("cifar10", 50_000, "resnet18", "full", {}).keys() == {0}
    assert reported("cifar10", 50_000, "resnet18", "random", {}).keys() == {30, 50, 70, 80, 90}


def test_a_line_rests_on_one_paper() -> None:
    for dataset, protocol in PROTOCOLS.items():
        for entry in methods:
            numbers = reported(dataset, protocol.pool_size, protocol.model, entry.name, {})
            assert len({number.citation for number in numbers.values()}) <= 1


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("elfs", {"clustering": "kmeans"}),
        ("elfs", {"heads": 10}),
        ("elfs", {"num_clusters": 20}),
        ("elfs", {"sampling": "strata"}),
        ("prototypicality", {"keep": "easy"}),
        ("d2-label-free", {"prior": "prototypicality"}),
        ("ccs", {"score": "el2n"}),
        ("ccs", {"strata": 25}),
        ("ccs", {"per_class": True}),
        ("aum", {"margin": "logits"}),
        ("aum", {"beta": 0.4}),
        ("d2", {"score": "dual"}),
        ("moderate", {"centre": "median"}),
        ("zcore", {"subspace": 3}),
    ],
)
def test_a_variant_that_no_paper_ran_has_no_numbers(method: str, params: dict[str, Any]) -> None:
    usual, name = methods.get(method).resolve({}), NO_CIFAR10.get(method, "cifar10")
    assert reported(name, PROTOCOLS[name].pool_size, PROTOCOLS[name].model, method, usual)
    assert reported(name, PROTOCOLS[name].pool_size, PROTOCOLS[name].model, method, {**usual, **params}) == {}


def test_the_curve_of_dual_is_with_its_beta_sampling() -> None:
    usual = methods.get("dual").resolve({})
    assert reported("cifar10", 50_000, "resnet18", "dual", usual) == {}
    drawn = reported("cifar10", 50_000, "resnet18", "dual", {**usual, "sampling": "beta"})
    assert drawn[90].accuracy == from_csv("DUAL", "CIFAR10", "DUAL (ours)", 90, "figure-digitised")


def test_tdds_has_its_own_papers_numbers_where_there_are_some() -> None:
    assert {number.paper for number in reported("cifar100", 50_000, "resnet18", "tdds", {}).values()} == {"TDDS"}
    assert {number.paper for number in reported("cifar10", 50_000, "resnet18", "tdds", {}).values()} == {"DUAL"}


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("elfs", {"beta": 0.4}),
        ("d2", {"score": "aum", "k": 5, "gamma": 0.1, "per_class": True, "kernel": "paper"}),
        ("ccs", {"score": "forgetting", "beta": 0.3}),
        ("forgetting", {"never_learned": "zero"}),
        ("moderate", {"centre": "median", "scope": "pool"}),
    ],
)
def test_what_the_papers_tuned_or_their_code_does_keeps_the_numbers(method: str, params: dict[str, Any]) -> None:
    name = NO_CIFAR10.get(method, "cifar10")
    assert reported(
        name, PROTOCOLS[name].pool_size, PROTOCOLS[name].model, method, {**methods.get(method).resolve({}), **params}
    )


def test_the_table_of_names_uses_registered_methods_and_declared_parameters() -> None:
    known = {entry.name: entry for entry in methods}
    assert {name.method for name in _NAMES} <= known.keys()
    for name in _NAMES:
        for param, values in name.when.items():
            for value in values:
                known[name.method].resolve({param: value})


def test_a_part_of_the_pool_has_no_numbers() -> None:
    assert reported("cifar10(pool_size=5000)", 5_000, "resnet18", "elfs", {}) == {}
    assert protocol_of("cifar10(pool_size=5000)") == PROTOCOLS["cifar10"]
    assert protocol_of("digits") is None


def test_a_long_tailed_or_noisy_version_has_no_numbers() -> None:
    assert reported("cifar10", 50_000, "resnet18", "elfs", {})
    assert reported("cifar10@noise=0.2", 50_000, "resnet18", "elfs", {}) == {}
    assert protocol_of("cifar10@imbalance=100") is None


def test_estimated_errors_are_read_from_the_notes() -> None:
    numbers = reported("cifar10", 50_000, "resnet18", "aum", {})
    assert numbers[50].error == 0.07
    assert numbers[90].error is not None
    assert numbers[90].error > 0.1


def test_encoders_are_compared_as_far_as_the_paper_says() -> None:
    number = reported("cifar10", 50_000, "resnet18", "prototypicality", {})[90]
    assert same_encoder(number, "swav_resnet50")
    assert not same_encoder(number, "pixels")
    assert same_encoder(reported("cifar10", 50_000, "resnet18", "random", {})[90], "pixels")


def test_the_table_of_names_uses_registered_names() -> None:
    assert PROTOCOLS.keys() <= {entry.name for entry in datasets}
    assert ENCODERS.keys() <= {entry.name for entry in encoders}
    assert {protocol.model for protocol in PROTOCOLS.values()} <= {entry.name for entry in models}


def test_what_the_papers_ran_otherwise_is_said(grid: Callable[..., list[Row]]) -> None:
    from bench.results.facts import table_facts
    from bench.results.reported import not_run
    from bench.results.tables import blocks

    assert not_run("elfs", {"heads": 5, "cluster_epochs": 200, "score": "aum"}) == "heads=50"
    assert not_run("elfs", {"heads": 50, "cluster_epochs": 200, "score": "aum"}) == not_run("nobody", {}) == ""
    rows = grid(
        {"random": [79.0], "elfs(heads=5)": [80.0]},
        [0.9],
        dataset="cifar10",
        pool_size=50_000,
        model="resnet18",
    )
    [block] = blocks(rows, compare=True)
    assert "No reported number for elfs: the papers ran it with heads=50" in map(str, table_facts(block))


def test_what_the_papers_tuned_is_what_their_numbers_name_no_value_of() -> None:
    assert [name for name in ("ccs", "d2", "elfs", "aum") if tuned(name, "beta")] == ["ccs", "d2", "elfs"]
