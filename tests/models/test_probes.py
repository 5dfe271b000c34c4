"""What the models on frozen embeddings share."""

from __future__ import annotations

import pytest

from bench.errors import SpecError
from bench.models._probes import embedding_size
from tests.models.networks import build


def test_an_embedding_has_one_axis() -> None:
    assert embedding_size("knn", (17,)) == 17


@pytest.mark.parametrize("model", ["knn", "linear_probe", "mlp_probe"])
@pytest.mark.parametrize("shape", [(), (3, 8, 8)])
def test_probes_refuse_images(model: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(SpecError, match=rf"model '{model}' takes embeddings \(D,\), got \("):
        build(model, shape)
