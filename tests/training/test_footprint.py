"""The memory of a training, counted by hand."""

from __future__ import annotations


def test_a_resnet18_is_counted_by_hand() -> None:
    from bench.identity import ModelRef
    from bench.training.footprint import footprint

    found = footprint(ModelRef(name="resnet18"), (3, 32, 32), 10)
    assert found is not None
    assert 11_170_000 < found.parameters < 11_180_000  # 11.17 million, as the papers say
    assert 500_000 < found.activations < 2_000_000
    doubled = footprint(ModelRef(name="resnet18"), (3, 64, 64), 10)
    assert doubled is not None
    assert doubled.parameters == found.parameters
    assert 3.9 < doubled.activations / found.activations < 4.1
