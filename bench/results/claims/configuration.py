"""Checking a row's configuration hash by computing it again from the row's fields."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import product
from typing import Any

from bench.grammar import Call, family, given_by_rate, parse_call
from bench.identity import INDICES, NO_ENCODER, NO_PROXY, DatasetRef, EncoderRef, ModelRef
from bench.modifiers import check_modifiers
from bench.recipe import proxy_recipe
from bench.results.claims import Unchecked
from bench.results.rows import Row

_MOST_BY_RATE = 6
"""Most parameters with one value per rate: each may be at its default or not, which makes 2^6 possible hashes."""


def configuration_problems(row: Row) -> Iterator[str]:
    """Yield a problem if ``config_sha256`` is not the hash of the row's fields.

    Rows contain everything that goes into ``Cell.digest``; with label noise or a proxy of another model only from
    schema version 4 on. Rows of version 2 do not state the plugins' versions, all of which were 1.
    """
    if row.schema_version == 1:
        yield Unchecked("the configuration's hash, which rows of schema version 1 do not hold")
    elif len(given_by_rate(parse_call(row.variant))) > _MOST_BY_RATE:
        yield Unchecked(f"the configuration's hash, with more than {_MOST_BY_RATE} parameters given per rate")
    elif not is_whole(row):
        yield Unchecked(
            "the configuration's hash, for which rows of schema versions 1 to 3 lack the recipe of a proxy of another "
            "model and the fingerprint without label noise"
        )
    elif row.config_sha256 not in (hashes := list(dict.fromkeys(digests(row)))):
        yield f"config_sha256: {row.config_sha256[:12]}..., but the row's fields make {hashes[0][:12]}..."


def digests(row: Row) -> Iterator[str]:
    """Yield the hashes that the cell may have; several if only the plugins know which one is right.

    Args:
        row: a row from a file, so that its recipe has only the fields of the file.
    """
    model = model_ref(row.model, row.model_version)
    reference = encoder_ref(row)
    encoder = None if reference is None else reference.model_dump(mode="json")
    without = {
        "dataset": dataset_ref(row).model_dump(mode="json"),
        "method": row.method,
        "variant": family(row.variant),
        "rate": row.rate,
        "budget": row.budget,
        "seed": row.seed,
        "model": model.model_dump(mode="json"),
        "recipe": row.recipe.model_dump(mode="json", exclude_unset=True),
        "protocol": row.protocol,
    }
    # All combinations that the row leaves open; one of their hashes must be the row's.
    for params, (with_encoder, proxy) in product(_params(row), _inputs(row, encoder)):
        text = json.dumps(
            without | {"params": params, "encoder": with_encoder, "proxy": proxy}, sort_keys=True, separators=(",", ":")
        )
        yield hashlib.sha256(text.encode()).hexdigest()


def is_whole(row: Row) -> bool:
    """Return whether the row has all fields of its cell, which rows of versions 1 to 3 do not always have."""
    noisy = "noise" in parse_call(row.dataset).modifiers
    transfer = row.method != INDICES and row.proxy_model not in (NO_PROXY, row.model)
    return row.schema_version >= 4 or not (noisy or transfer)


def dataset_ref(row: Row) -> DatasetRef:
    """Return the data set that a row names."""
    call = parse_call(row.dataset)
    pool_size, pool_seed = call.params.pop("pool_size", None), call.params.pop("pool_seed", 0)
    return DatasetRef(
        name=call.name,
        version=row.dataset_version or 1,
        params=call.params,
        modifiers=check_modifiers(call.name, call.modifiers),
        pool_size=pool_size,
        pool_seed=pool_seed,
        fingerprint=row.fingerprint,
        clean_fingerprint=row.clean_fingerprint,
        num_classes=len(row.class_counts),
        size=row.pool_size,
    )


def model_ref(label: str, version: int | None) -> ModelRef:
    """Return the network that a row names; rows of versions 1 and 2 have no versions, all of which were 1."""
    call = parse_call(label)
    return ModelRef(name=call.name, version=version or 1, params=call.params)


def encoder_ref(row: Row) -> EncoderRef | None:
    """Return the encoder that a row names, if it names one."""
    if row.encoder == NO_ENCODER:
        return None
    call = parse_call(row.encoder)
    return EncoderRef(
        name=call.name, version=row.encoder_version or 1, params=call.params, weights_sha256=row.encoder_weights
    )


def _params(row: Row) -> Iterator[dict[str, Any]]:
    """Yield the possible sets of changed parameters: a parameter with a value per rate may be at its default here."""
    call: Call = parse_call(row.variant)
    if row.method == INDICES:
        # As for ``PublishedCell``, whose identity is the file's content and not its name.
        yield {**row.params, "sha256": row.indices_sha256}
        return
    open_ = sorted(given_by_rate(call))
    fixed = {name: row.params.get(name) for name in call.params.keys() - set(open_)}
    for chosen in product((True, False), repeat=len(open_)):
        kept = [name for name, is_kept in zip(open_, chosen, strict=True) if is_kept]
        yield fixed | {name: row.params.get(name) for name in kept}


def _inputs(row: Row, encoder: dict[str, Any] | None) -> Iterator[tuple[Any, Any]]:
    """Yield the possible pairs of encoder and proxy; only plugins know whether a proxy or model reads embeddings."""
    if row.method == INDICES:
        yield from ((encoder, None), (None, None))
        return
    if row.proxy_model == NO_PROXY:
        yield encoder, None
        return
    # From version 4 on, rows have the proxy's recipe; before, it is known if the proxy has the row's model.
    recipe = row.proxy_recipe or proxy_recipe(row.recipe)
    proxy: dict[str, Any] = {
        "model": model_ref(row.proxy_model, row.proxy_version).model_dump(mode="json"),
        "recipe": recipe.model_dump(mode="json", exclude_unset=True),
    }
    yield from ((encoder, proxy | {"encoder": inside}) for inside in (None, encoder))
