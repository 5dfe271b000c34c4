"""What a proxy's outputs depend on. Rehearsals are in tests/stages/test_rehearsal.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench import Dataset, Recipe
from bench.data import Split
from bench.identity import EncoderRef, Proxy
from bench.pool import Outputs
from bench.training.proxy import trained_outputs
from tests.narrowing import in_memory
from tests.training.runs import PROBE

RECIPE = Recipe(proxy_epochs=20, batch_size=32, lr=0.05, precision="fp32")
PROXY = Proxy(model=PROBE, recipe=RECIPE, encoder=EncoderRef(name="pixels"))
COMMON: dict[str, Any] = {"num_classes": 10, "dataset": None, "device": "cpu"}


def embeddings(split: Split) -> np.ndarray:
    return in_memory(split.images).reshape(len(split), -1).astype(np.float32) / np.float32(255)


def test_outputs_without_two_labelled_images_are_those_of_the_initial_weights(few_digits: Dataset) -> None:
    inputs, labels = embeddings(few_digits.train), few_digits.train.labels

    def outputs(indices: list[int], seed: int = 0, epochs: int | None = None) -> Outputs:
        chosen = np.array(indices, dtype=np.int64)
        return trained_outputs(PROXY, inputs, chosen, labels[chosen], seed=seed, epochs=epochs, **COMMON)

    initial = outputs([]).probabilities
    np.testing.assert_array_equal(outputs([7]).probabilities, initial)
    np.testing.assert_array_equal(outputs([*range(100)], epochs=0).probabilities, initial)
    assert np.abs(outputs([], seed=1).probabilities - initial).max() > 1e-3
    learned = outputs([*range(100)]).probabilities
    assert (learned.argmax(1) == labels)[100:].mean() > (initial.argmax(1) == labels)[100:].mean() + 0.3


def test_a_proxy_stops_at_its_own_number_of_epochs(few_digits: Dataset) -> None:
    inputs, labels = embeddings(few_digits.train), few_digits.train.labels
    found = [
        trained_outputs(PROXY, inputs, np.arange(200), labels, seed=0, epochs=epochs, **COMMON).probabilities
        for epochs in (None, 20, 50, 3)
    ]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    assert np.abs(found[0] - found[3]).max() > 1e-3
