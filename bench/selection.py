"""Running a registered method: budget, seed, the method's call, and the check of the coreset that it returns."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import SelectionError, SpecError
from bench.grammar import parse_call
from bench.parts import SUPERVISIONS
from bench.plugins import MethodInfo, methods
from bench.pool import Pool, PoolSource
from bench.registry import Entry
from bench.units import counted, part_of
from bench.weighted import Kept, Weighted, check_weights


def budget_for(size: int, rate: float) -> int:
    """Return the number of images to keep, round((1 - rate) * N).

    It is computed in decimals from the shortest text of ``rate``, since in binary floating point (1 - 0.9) * 50000 is
    below 5000. An exact half goes to the even number, as in Python's ``round``.

    Args:
        size: N.
        rate: fraction of the pool to remove, in [0, 1).

    Returns:
        An integer in 0 to N.

    Raises:
        SpecError: rate is outside [0, 1), or the size is negative.
    """
    if not 0 <= rate < 1:
        raise SpecError(f"rate={rate} is not valid; it is the fraction of the pool to remove, in [0, 1).")
    if size < 0:
        raise SpecError(f"a pool of {size} images is not valid; the size must be 0 or more.")
    return part_of(1 - Decimal(str(rate)), size)


def rate_for(budget: int, size: int) -> float:
    """Return the shortest rate for which ``budget_for`` returns ``budget``.

    Args:
        budget: n, in 1 to N.
        size: N.

    Returns:
        A rate in [0, 1), with as few decimals as possible.
    """
    exact = 1 - budget / size
    shortened = (round(exact, decimals) for decimals in range(1, 16))
    return next((rate for rate in shortened if 0 <= rate < 1 and budget_for(size, rate) == budget), exact)


def method_pool(
    entry: Entry[MethodInfo],
    params: Mapping[str, Any],
    source: PoolSource,
    *,
    size: int,
    num_classes: int,
    rate: float,
    seed: int = 0,
) -> Pool:
    """Return the pool for a method, limited to the supervision and the needs that it declares.

    Args:
        entry: the method.
        params: parameters that the user set.
        source: computes or loads the parts.
        size: N.
        num_classes: C.
        rate: fraction of the pool to remove.
        seed: seed of other methods' coresets that it may read.

    Raises:
        SpecError: a parameter is not valid.
    """
    needs = {item.part for item in entry.info.needs(entry.resolve(params))}
    return Pool(
        size=size,
        num_classes=num_classes,
        rate=rate,
        budget=budget_for(size, rate),
        supervision=entry.info.supervision,
        needs=needs,
        source=source,
        seed=seed,
    )


def run_method(entry: Entry[MethodInfo], pool: Pool, params: Mapping[str, Any], budget: int, seed: int) -> Kept:
    """Run one method and return its coreset, after checking it.

    The random state is seeded with ``seed`` and the method's name, so that two methods at one seed draw independently.

    Args:
        entry: the method.
        pool: the pool of this method (``method_pool``), whose arrays are read-only.
        params: parameters that the user set.
        budget: n, images to keep, in 0 to N. For 0 the method is not called.
        seed: seed, at least 0.

    Returns:
        Positions in 0 to N - 1, and their weights if the method gives any.

    Raises:
        SelectionError: the budget or seed is not valid, an unpruned method is asked to prune, or the method returned
            something that is not a coreset, weights that it does not declare, or a coreset that lacks an image whose
            label it had revealed.
        SpecError: a parameter is not valid.
    """
    size, owner = len(pool), f"method {entry.name!r}"
    resolved = entry.resolve(params)
    if not 0 <= budget <= size:
        raise SelectionError(f"{owner} cannot keep {budget} of {size} images; the budget must lie in 0 to {size}.")
    if entry.info.unpruned and budget != size:
        raise SelectionError(f"{owner} keeps the whole pool of {size} images, not {budget}; its only rate is 0.")
    if seed < 0:
        raise SelectionError(f"{owner}: seed={seed} is not valid; it must be 0 or more.")
    if budget == 0:
        return Kept(np.empty(0, dtype=np.int64))
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(entry.name.encode())))
    returned, weights = entry.function(pool, budget, rng, **resolved), None
    if isinstance(returned, Weighted):
        # Undeclared ones would pass the check before a run that the models can use them.
        if not entry.info.weighted(resolved):
            raise SelectionError(
                f"{owner} returned weights, which it does not declare; add weighted=True to its "
                f"@register_method({entry.name!r}, ...)."
            )
        coreset = check_coreset(returned.indices, size=size, budget=budget, owner=owner)
        weights = check_weights(returned.weights, budget, owner)[np.argsort(returned.indices)]
    else:
        coreset = check_coreset(returned, size=size, budget=budget, owner=owner)
    # Checked last, since the coreset is not known until the method returns.
    dropped = np.setdiff1d(pool.revealed, coreset)
    if entry.info.supervision == "coreset" and len(dropped):
        raise SelectionError(
            f"{owner} read the labels of {counted(len(dropped), 'image')} that it does not keep (image {dropped[0]} "
            "first); supervision='coreset' allows only those of its coreset."
        )
    return Kept(coreset, weights)


def check_candidates(entry: Entry[MethodInfo], params: Mapping[str, Any], rate: float) -> None:
    """Refuse invalid candidates: the other methods whose coresets a method reads, and the candidates of those.

    Args:
        entry: the method.
        params: all its parameters.
        rate: fraction of the pool to remove.

    Raises:
        UnknownName: no such method or parameter.
        SpecError: a candidate may see more than this method, keeps everything, or cannot meet the rate.
    """
    for item in entry.info.needs(params):
        if item.part != "coreset":
            continue
        call = parse_call(item.options["method"])
        other = methods.get(
            call.name,
            usable=lambda other: (
                SUPERVISIONS.index(other.info.supervision) <= SUPERVISIONS.index(entry.info.supervision)
                and not other.info.unpruned
            ),
        )
        owner = f"method {entry.name!r}: the candidate {call}"
        if SUPERVISIONS.index(other.info.supervision) > SUPERVISIONS.index(entry.info.supervision):
            raise SpecError(f"{owner} reads labels; candidates are label-free (`bench list methods`).")
        if other.info.unpruned:
            raise SpecError(f"{owner} keeps the whole pool.")
        resolved = other.resolve(call.params)
        other.info.check(resolved, rate)
        # A candidate may read candidates of its own.
        check_candidates(other, resolved, rate)


def check_coreset(indices: Any, *, size: int, budget: int, owner: str) -> NDArray[np.int64]:
    """Return a method's coreset sorted, or say why it is not a coreset.

    Args:
        indices: any object; n unique integers in 0 to N - 1, in any order, are valid. Not modified.
        size: N.
        budget: n.
        owner: the method, for the message.

    Returns:
        int64 [n], sorted, unique.

    Raises:
        SelectionError: it is not one-dimensional, not of integers, not n of them, or some are repeated or out of range.
    """
    expected = f"{budget} unique pool indices from 0 to {size - 1} were expected"
    if indices is None:
        raise SelectionError(f"{owner} returned None; {expected}. Does it end without a return?")
    try:
        array = np.asarray(indices)
    # Such as lists of different lengths.
    except (ValueError, TypeError) as error:
        raise SelectionError(f"{owner} returned a {type(indices).__name__} that is not an array: {error}.") from error
    if np.ma.is_masked(indices):
        raise SelectionError(
            f"{owner} returned a masked array, and masks are not used here; {expected}. "
            "Return the others: .compressed()."
        )
    if array.ndim != 1:
        raise SelectionError(f"{owner} returned an array of shape {array.shape}; {expected}.")
    if array.size and not np.issubdtype(array.dtype, np.integer):
        mask = " It looks like a mask: return np.flatnonzero(mask)." if array.dtype == bool else ""
        raise SelectionError(f"{owner} returned values of type {array.dtype}, not integers; {expected}.{mask}")
    if len(array) != budget:
        raise SelectionError(f"{owner} returned {len(array)} indices; {expected}.")
    outside = (array < 0) | (array >= size)
    if outside.any():
        raise SelectionError(f"{owner} returned the index {array[outside][0]}; {expected}.")
    coreset = np.sort(array.astype(np.int64))
    repeated = coreset[1:][coreset[1:] == coreset[:-1]]
    if len(repeated):
        raise SelectionError(
            f"{owner} returned {len(np.unique(repeated))} indices more than once (index {repeated[0]} first); "
            f"{expected}."
        )
    return coreset
