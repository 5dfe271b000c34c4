"""Accuracies that the papers report, matched to our methods by one explicit table of names."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from bench.errors import SpecError
from bench.grammar import parse_call


class Reported(NamedTuple):
    """One reported accuracy.

    Attributes:
        accuracy: best test accuracy seen during training, in percent.
        paper: short name, for example ``ELFS``.
        citation: the paper as the CSV names it.
        encoder: the paper's encoder, or ``-``.
        kind: ``text``, ``table``, ``figure-digitised``, ``readme`` or ``successor-table``.
        where: table or figure.
        note: remark about this number.
        error: estimated error of a digitised value in points; None if none is stated.
    """

    accuracy: float
    paper: str
    citation: str
    encoder: str
    kind: str
    where: str
    note: str
    error: float | None


class Protocol(NamedTuple):
    """Training of ELFS and CCS on one data set; ``name`` is the CSV's."""

    name: str
    pool_size: int
    model: str
    iterations: int


PROTOCOLS: Mapping[str, Protocol] = {
    "cifar10": Protocol("CIFAR10", 50_000, "resnet18", 40_000),
    "cifar100": Protocol("CIFAR100", 50_000, "resnet18", 40_000),
    "imagenet": Protocol("ImageNet-1K", 1_281_167, "resnet34", 300_000),
}

ENCODERS: Mapping[str, str] = {"swav_resnet50": "SwAV", "dino_vitb16": "DINO ViT-B/16", "clip_vitb32": "CLIP ViT-B/32"}


class _Name(NamedTuple):
    """Our method, the parameter values that the papers ran, and its (paper, name) pairs, preferred first."""

    method: str
    when: Mapping[str, tuple[Any, ...]]
    known_as: tuple[tuple[str, str], ...]


_ZCORE = {"samples": (None, 1_000_000), "subspace": (2,), "neighbors": (1000,), "exponent": (4.0,)}
_ELFS = {
    "score": ("aum",),
    "sampling": ("window",),
    "clustering": ("temi",),
    "num_clusters": (None,),
    "heads": (50,),
    "cluster_epochs": (200,),
}

# All curves of the ELFS figure start at the same full-data point, which the CSV has under each method's name.
# Parameters that a paper tuned (beta of ccs, k, gamma) may have any value, and so may options for which the paper and
# its released code differ (never_learned, kernel, metric, per_class).
_NAMES = (
    _Name("full", {}, (("ELFS", "Random"), ("CCS", "Full data"), ("TDDS", "Full data"))),
    _Name("random", {}, (("ELFS", "Random"),)),
    _Name("prototypicality", {"keep": ("hard",)}, (("ELFS", "Prototypicality"),)),
    _Name("d2-label-free", {"prior": ("uniform",)}, (("ELFS", "D2 (label-free variant)"),)),
    _Name("elfs", _ELFS, (("ELFS", "ELFS"),)),
    _Name("badge", {}, (("ELFS", "BADGE"),)),
    _Name("ccs", {"score": ("aum",), "strata": (50,), "per_class": (False,)}, (("CCS", "CCS (AUM)"),)),
    _Name("ccs", {"score": ("forgetting",), "strata": (50,), "per_class": (False,)}, (("CCS", "CCS (Forgetting)"),)),
    _Name("aum", {"margin": ("softmax",), "beta": (0.0,)}, (("CCS", "AUM"),)),
    _Name("forgetting", {}, (("CCS", "Forgetting"),)),
    _Name("el2n", {}, (("CCS", "EL2N"),)),
    # The paper's choices or those of its released code, but no mixture of them.
    _Name("moderate", {"centre": ("mean",), "scope": ("class",)}, (("CCS", "Moderate"),)),
    _Name("moderate", {"centre": ("median",), "scope": ("pool",)}, (("CCS", "Moderate"),)),
    _Name("d2", {"score": ("forgetting", "aum")}, (("DUAL", "D2"),)),
    _Name("dual", {"sampling": ("beta",)}, (("DUAL", "DUAL (ours)"),)),
    _Name("tdds", {}, (("TDDS", "TDDS"), ("DUAL", "TDDS"))),
    _Name("dynunc", {}, (("DUAL", "Dyn-Unc"),)),
    _Name("zcore", _ZCORE, (("ZCore", "ZCore"),)),
)
_KINDS = ("text", "table", "figure-digitised", "readme", "successor-table")
_ERROR = re.compile(r"est\. error \+-(\d+(?:\.\d+)?)")


def protocol_of(dataset: str) -> Protocol | None:
    """Return the papers' protocol for a row's data set, whatever its parameters; None if they report nothing on it.

    The papers report nothing on long-tailed or noisy versions.
    """
    try:
        call = parse_call(dataset)
    except SpecError:
        return None
    return None if call.modifiers else PROTOCOLS.get(call.name)


def reported(dataset: str, pool_size: int, model: str, method: str, params: Mapping[str, Any]) -> dict[int, Reported]:
    """Return the papers' numbers for one line of a table.

    All numbers of a line come from one paper: the first in the table of names that reports this data set. If that
    paper gives a number twice, its text is preferred to a table (all second-hand) and a table to a digitised figure.

    Args:
        dataset: data set as the row names it.
        pool_size: N; there are only numbers for a pool as large as the papers'.
        model: final model as the row names it; there are only numbers for the papers' own.
        method: our name of the method.
        params: all parameters of the method at one rate; a variant that the papers did not run has no numbers.

    Returns:
        Percent removed, rounded to whole percent -> number. Empty if nothing fits.
    """
    protocol = protocol_of(dataset)
    if protocol is None or (protocol.pool_size, protocol.model) != (pool_size, model):
        return {}
    for name in _NAMES:
        if name.method != method or any(params[key] not in ran for key, ran in name.when.items() if key in params):
            continue
        for paper, known_as in name.known_as:
            numbers = _numbers().get((paper, protocol.name, known_as), {})
            # The curves start at the full data, whose number belongs to ``full`` and to no method.
            numbers = {percent: number for percent, number in numbers.items() if (percent == 0) == (method == "full")}
            if numbers:
                return numbers
    return {}


def not_run(method: str, params: Mapping[str, Any]) -> str:
    """Return the papers' parameters of a method, if they differ from ours; else an empty text.

    Args:
        method: our name of the method.
        params: all our parameters.
    """
    names = [name for name in _NAMES if name.method == method]
    unlike = [
        [
            f"{key}={' or '.join(map(str, ran))}"
            for key, ran in name.when.items()
            if key in params and params[key] not in ran
        ]
        for name in names
    ]
    # Of several settings that the papers ran, the one with the fewest differences.
    return ", ".join(sorted(unlike, key=len)[0]) if unlike and all(unlike) else ""


def tuned(method: str, parameter: str) -> bool:
    """Return whether the papers tuned a method's parameter: their numbers then name no value of it."""
    return not any(parameter in name.when for name in _NAMES if name.method == method)


def same_encoder(number: Reported, encoder: str) -> bool:
    """Return whether the paper's number and ours use the same encoder, as far as the paper says."""
    return number.encoder == "-" or (encoder in ENCODERS and ENCODERS[encoder] in number.encoder)


@cache
def _numbers() -> Mapping[tuple[str, str, str], dict[int, Reported]]:
    """Return (paper, data set, method) with the CSV's names -> percent removed -> number."""
    numbers: dict[tuple[str, str, str], dict[int, Reported]] = {}
    for key, percent, number in sorted(_lines(), key=lambda line: _KINDS.index(line[2].kind)):
        # The first is kept: its kind of source is closest to the paper's text.
        numbers.setdefault(key, {}).setdefault(percent, number)
    return numbers


def _lines() -> Iterator[tuple[tuple[str, str, str], int, Reported]]:
    text = (files("bench") / "paper" / "reported_results.csv").read_text(encoding="utf-8")
    for line in csv.DictReader(io.StringIO(text)):
        if not line["pruning_rate"] or not line["accuracy"]:
            continue
        paper = line["paper"].partition(" (")[0]
        error = _ERROR.search(line["note"])
        yield (
            (paper, line["dataset"], line["method"]),
            round(float(line["pruning_rate"])),
            Reported(
                float(line["accuracy"]),
                paper,
                line["paper"],
                line["encoder"],
                line["source_kind"],
                line["table_or_figure"],
                line["note"],
                float(error[1]) if error else None,
            ),
        )
