"""``bench list KIND --search TEXT``: what the installed libraries offer, without a network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import bench
from bench.cli import app
from bench.plugins import datasets, encoders, models
from tests.cli.commands import WIDE


def search(kind: str, text: str) -> dict[str, str]:
    done = CliRunner().invoke(app, ["list", kind, "--search", text, "--json"])
    assert done.exit_code == 0, done.output
    return {item["call"]: item["trained_with"] for item in json.loads(done.output)[kind]}


def test_encoders_are_found_with_what_they_were_trained_with(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("timm")
    found = search("encoders", "DINOv2")
    assert found["dinov2_vits14"] == "self-supervised"
    assert found["timm(name=vit_small_patch14_dinov2.lvd142m)"] == "self-supervised"
    assert all("dinov2" in call for call in found)
    assert search("encoders", "convnext_tiny")["torchvision(name=convnext_tiny)"] == "labels"
    assert search("encoders", "samvit")["timm(name=samvit_base_patch16.sa1b)"] == "say supervision=..."


def test_what_is_found_can_be_typed() -> None:
    pytest.importorskip("timm")
    from bench.grammar import parse_call

    for kind, registry, text in (
        ("encoders", encoders, "mobilenet_v3"),
        ("models", models, "shufflenet"),
        ("datasets", datasets, "food"),
    ):
        calls = [parse_call(call) for call in search(kind, text)]
        assert calls
        for call in calls:
            registry.get(call.name).resolve(call.params)


def test_nothing_found_is_said() -> None:
    done = CliRunner().invoke(app, ["list", "datasets", "--search", "no-such-thing"])
    assert done.exit_code == 0
    assert "no datasets have 'no-such-thing' in their names" in done.output


def test_what_a_cache_holds_stands_below_its_table(tmp_path: Path) -> None:
    bench.select(np.eye(12, 5), budget=3, num_classes=3, method="kcenter", cache_dir=tmp_path)
    bench.run(
        methods="prototypicality",
        datasets="digits",
        encoders="pixels(size=4)",
        rates=[0.9],
        seeds=1,
        recipe={"iterations": 1, "evaluations": 1},
        executor="local",
        out=tmp_path / "out",
        cache_dir=tmp_path,
        quiet=True,
    )
    for kind, call in (("encoders", "pixels(size=4)"), ("datasets", "digits")):
        shown = CliRunner().invoke(app, ["list", kind, "--cache-dir", str(tmp_path)]).output
        title = f"{kind.capitalize()} in this machine's cache, the last used first:"
        assert shown.splitlines()[-2:] == [title, f"  {call}"]
        listed = CliRunner().invoke(app, ["list", kind, "--cache-dir", str(tmp_path), "--json"])
        assert json.loads(listed.output)["used_before"] == [call]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("methods", ["elfs", "ccs", "d2-label-free", "pseudo", "heads=50", "arXiv:2210.15809"]),
        ("datasets", ["digits", "cifar100", "from disk", "resnet34, 300000 iterations, proxy 60 epochs"]),
        ("encoders", ["pixels", "components=64", "dino_vitb16", "self-supervised"]),
        ("models", ["small_cnn", "linear_probe", "embeddings", "stem=auto"]),
    ],
)
def test_listings_show_names_parameters_and_sources(kind: str, names: list[str]) -> None:
    done = WIDE.invoke(app, ["list", kind])
    assert done.exit_code == 0, done.output
    text = " ".join(done.stdout.replace("│", " ").split())
    for name in names:
        assert name in text or name in done.stdout
