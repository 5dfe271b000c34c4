"""Shared code of the models on frozen embeddings."""

from __future__ import annotations

from bench.errors import SpecError


def embedding_size(model: str, shape: tuple[int, ...]) -> int:
    """Return D for the shape (D,) of an embedding; refuse other shapes.

    Raises:
        SpecError: ``shape`` is not that of an embedding.
    """
    if len(shape) != 1:
        raise SpecError(f"model {model!r} takes embeddings (D,), got {tuple(shape)}.")
    return shape[0]
