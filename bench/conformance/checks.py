"""The checks of the conformance suite: what every method must do. A check returns, or raises ``Failed``."""

from __future__ import annotations

import inspect
import random
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from bench.conformance import ranges
from bench.conformance.case import Case, Failed, PoolCall, Recorder
from bench.conformance.samples import ON_LABELS, Sample, digits, few_digits
from bench.errors import BenchError, SpecError
from bench.parts import PARTS, SUPERVISIONS, Options
from bench.registry import STRIPPED
from bench.weighted import Kept

LEAST_OF_A_CLASS = 5
"""A random draw of 150 of 300 images in ten classes takes fewer than 5 of some class less than once in 10^5."""


class Check(NamedTuple):
    """A check with its name, for test ids, and its title, a sentence for people."""

    name: str
    title: str
    run: Callable[[Case], None]


def declaration(case: Case) -> None:
    """The docstring's first line is one sentence, defaults are inside their ranges, needs and check do not raise."""
    if not STRIPPED and (not re.search(r"[.!?]$", case.entry.summary) or len(case.entry.summary) > 120):
        raise Failed(
            f"the docstring's first line must be one sentence of at most 120 characters: {case.entry.summary!r}."
        )
    for param in case.entry.params.values():
        try:
            param.validate(param.default, f"method {case.entry.name}")
        except SpecError as error:
            raise Failed(f"the default is outside its declared range: {error}") from error
    params = case.entry.resolve({})
    try:
        case.entry.info.needs(params)
        case.entry.info.check(params, 0.0)
    except Exception as error:
        raise Failed(f"needs or check, with the defaults at rate 0: {type(error).__name__}: {error}") from error


def exact(case: Case) -> None:
    """The coreset is exactly n unique indices inside the pool, for n of 0, 1, a few, half and all of N."""
    for params in ranges.choices(case.entry, digits().size):
        for budget in case.budgets(digits().size):
            case.coreset(digits(), budget, params)


def same_seed(case: Case) -> None:
    """The same seed gives the same coreset, also among equal images."""
    for params in ranges.choices(case.entry, digits().size):
        for sample in (digits(), digits().constant()):
            first, second = (case.coreset(sample, case.budget(sample.size), params, seed=7) for _ in range(2))
            if not first.same(second):
                alike = np.array_equal(first.indices, second.indices)
                what = "gave different weights" if alike else "kept different images"
                raise Failed(f"two runs with seed 7 {what}{_text(params)}; draw from rng alone.")


def seeds(case: Case) -> None:
    """Different seeds give different coresets if, and only if, the method is declared stochastic."""
    differing = []
    for params in ranges.choices(case.entry, digits().size):
        for sample in (digits(), digits().constant()):
            budget = case.budget(sample.size)
            first, *others = (case.coreset(sample, budget, params, seed=seed) for seed in range(3))
            differing.append(not all(other.same(first) for other in others))
    if any(differing) and not case.entry.info.stochastic:
        raise Failed("seeds change the coreset; declare stochastic=True.")
    if not any(differing) and case.entry.info.stochastic:
        raise Failed("no seed changes the coreset, not even among equal images; declare stochastic=False.")


def global_state(case: Case) -> None:
    """The global random states of Python, numpy and torch are neither used nor set."""
    before = _random_states()
    for params in ranges.choices(case.entry, few_digits().size):
        case.coreset(few_digits(), case.budget(few_digits().size), params)
    # Torch may be imported only now, and then has no earlier state.
    used = [name for name, state in _random_states().items() if before.get(name, state) != state]
    if used:
        raise Failed(f"the global random state of {', '.join(used)} changed; draw from rng, and seed libraries by it.")


def inputs(case: Case) -> None:
    """The method edits none of its input arrays, and accepts read-only ones."""
    for params in ranges.choices(case.entry, few_digits().size):
        recorder = Recorder(few_digits().source)
        case.coreset(few_digits(), case.budget(few_digits().size), params, recorder=recorder)
        if edited := recorder.edited():
            raise Failed(f"the method edited {', '.join(edited)} in place{_text(params)}; work on a copy.")


def labels(case: Case) -> None:
    """A label-free method selects the same if labels cannot be read, and if they are permuted."""
    others = {
        "if labels cannot be read": digits().without_labels(),
        "if labels are permuted": digits().shuffled(*ON_LABELS),
    }
    for params in ranges.choices(case.entry, digits().size):
        budget = case.budget(digits().size)
        expected = case.coreset(digits(), budget, params)
        for what, sample in others.items():
            if not case.coreset(sample, budget, params).same(expected):
                _refuse_chance(case, digits(), budget, params, expected)
                raise Failed(f"the coreset changes {what}{_text(params)}: labels reach the method.")


def coreset_labels(case: Case) -> None:
    """A method that reads only the labels of its coreset selects the same if all other labels change."""
    sample = digits()
    for params in ranges.choices(case.entry, sample.size):
        for budget in case.budgets(sample.size):
            kept = case.coreset(sample, budget, params)
            if not case.coreset(sample.other_labels(kept.indices), budget, params).same(kept):
                _refuse_chance(case, sample, budget, params, kept)
                raise Failed(f"labels of images outside the coreset changed it{_text(params)}; use only pool.reveal.")


def needs(case: Case) -> None:
    """Every call on the pool is among the declared needs, with the same options."""
    sample = digits()
    for params in ranges.one_by_one(case.entry, sample.size):
        if not _allowed(case, params, _rate(case, sample)):
            continue
        resolved = case.entry.resolve(params)
        declared = [(item.part, _shared(item.chosen, sample)) for item in case.entry.info.needs(resolved)]
        for call in _calls(case, sample, params):
            if call.part not in PARTS:
                continue  # supervision, not needs, says whether labels may be read
            asked = (call.part, _shared(call.options, sample))
            if asked not in declared:
                listed = ", ".join(_spell(*item) for item in declared) or "nothing"
                raise Failed(f"the method reads {_spell(*asked)} but declares {listed}{_text(params)}.")


def supervision(case: Case) -> None:
    """The method uses the supervision that it declares: labels, labels of its coreset, or pseudo-labels."""
    declared = case.entry.info.supervision
    sample = few_digits()
    read: set[str] = set()
    for params in ranges.one_by_one(case.entry, sample.size):
        if _allowed(case, params, _rate(case, sample)):
            read |= {_sees(call) for call in _calls(case, sample, params)}
    if declared not in read:
        # The least supervision that allows everything that the method reads.
        least = max(read & {*SUPERVISIONS}, key=SUPERVISIONS.index, default="none")
        raise Failed(f"supervision={declared!r} is declared, but no parameter uses it; declare supervision={least!r}.")


def parameters(case: Case) -> None:
    """Parameters at the ends of their ranges, alone and in pairs, give a coreset or a clear refusal."""
    sample = few_digits()
    requests = [(params, budget) for params in ranges.one_by_one(case.entry, sample.size) for budget in _budgets(case)]
    requests += [(params, case.budget(sample.size)) for params in ranges.pairs(case.entry, sample.size)]
    for params, budget in requests:
        if _allowed(case, params, 1 - budget / sample.size):
            case.attempt(sample, budget, params, numeric_warnings=False)


def tiny(case: Case) -> None:
    """The method works on pools of 1 to 5 images, fewer than classes, for every n."""
    # Fewer images than classes, neighbours and clusters: methods that divide by them, or need as many, fail here.
    for size in range(1, 6):
        sample = digits().rows(np.linspace(0, digits().size - 1, size).astype(np.int64))
        for params in ranges.choices(case.entry, size):
            for budget in [size] if case.entry.info.unpruned else range(size + 1):
                case.coreset(sample, budget, params)


def one_class(case: Case) -> None:
    """The method works on pools of one class and one cluster, whether it is the only one or the fourth of ten."""
    inside = digits().rows(np.flatnonzero(digits().source.labels() == 3))
    # The fourth of ten: a method that counts only classes with images would take it for the first.
    _works(case, inside.in_class(3))
    _works(case, replace(inside.in_class(0), num_classes=1))


def duplicates(case: Case) -> None:
    """The method works on a pool in which every image occurs three times."""
    _works(case, few_digits().rows(np.repeat(np.arange(few_digits().size), 3)))


def constant(case: Case) -> None:
    """The method works on a pool of equal images with equal scores."""
    _works(case, digits().constant())


def negative(case: Case) -> None:
    """The method works if embeddings and margins are all below 0, and if all are above."""
    _works(case, digits().one_sided(-1))
    _works(case, digits().one_sided(1))


def nan_embeddings(case: Case) -> None:
    """The method refuses NaN and infinity in embeddings that it reads, and says so."""
    sample = few_digits()
    for params in ranges.choices(case.entry, sample.size):
        if _held(case, sample, params, "embeddings"):
            _refuses(case, sample, "embedding_array", params)


def nan_scores(case: Case) -> None:
    """The method refuses NaN and infinity in scores that it uses, and says so."""
    sample, budget = few_digits(), case.budget(few_digits().size)
    # A name may end in ``{of}``, which stands for the labels of the dynamics.
    scores = tuple(part.array.partition("{")[0] for part in PARTS.values() if part.holds == "scores")
    names = [name for name, array in sample.arrays() if name.startswith(scores) and array.dtype.kind == "f"]
    for params in ranges.choices(case.entry, sample.size):
        if not _held(case, sample, params, "scores"):
            continue
        expected = case.coreset(sample, budget, params)
        for name in names:
            # If permuting a score does not change the coreset, the method does not use the score.
            if not case.coreset(sample.shuffled(name), budget, params).same(expected):
                _refuses(case, sample, name, params)


def ties(case: Case) -> None:
    """Among equal images the method favours no class, although pools are often stored class by class."""
    sample = digits().constant()
    for params in ranges.choices(case.entry, sample.size):
        kept = case.coreset(sample, sample.size // 2, params).indices
        counts = np.bincount(sample.source.labels()[kept], minlength=sample.num_classes)
        if counts.min() < LEAST_OF_A_CLASS:
            raise Failed(
                f"of {sample.size} equal images in ten classes it kept {counts.tolist()}{_text(params)}; "
                "break ties by rng, not by position."
            )


def _refuse_chance(case: Case, sample: Sample, budget: int, params: Mapping[str, Any], kept: Kept) -> None:
    """Refuse a method that, run again on the same pool, keeps other images: labels need not be why it changes.

    It runs three times more: of a budget of one image, chance keeps the same one again now and then.
    """
    if not all(case.coreset(sample, budget, params).same(kept) for _ in range(3)):
        raise Failed(
            f"two runs with the same labels and seed differ, so this check cannot tell; see same-seed{_text(params)}."
        )


def _check(run: Callable[[Case], None]) -> Check:
    return Check(run.__name__.replace("_", "-"), (inspect.getdoc(run) or "").partition("\n")[0], run)


CHECKS: tuple[Check, ...] = tuple(
    _check(run)
    for run in (
        declaration,
        exact,
        same_seed,
        seeds,
        global_state,
        inputs,
        labels,
        coreset_labels,
        needs,
        supervision,
        parameters,
        tiny,
        one_class,
        duplicates,
        constant,
        negative,
        nan_embeddings,
        nan_scores,
        ties,
    )
)


def _works(case: Case, sample: Sample) -> None:
    for params in ranges.choices(case.entry, sample.size):
        for budget in case.budgets(sample.size):
            case.coreset(sample, budget, params)


def _refuses(case: Case, sample: Sample, name: str, params: Mapping[str, Any]) -> None:
    for value in (np.nan, np.inf):
        result = case.attempt(sample.spoilt(name, value), case.budget(sample.size), params, numeric_warnings=False)
        if not isinstance(result, BenchError):
            raise Failed(f"one {value} in {name} goes unnoticed{_text(params)}; raise SelectionError.")
        if not re.search(r"\bnan\b|finite", str(result), re.IGNORECASE):
            raise Failed(f"one {value} in {name} is refused without saying so{_text(params)}: {result}")


def _calls(case: Case, sample: Sample, params: Mapping[str, Any]) -> list[PoolCall]:
    """Return the method's calls on the pool, also for a refused request."""
    recorder = Recorder(sample.source)
    case.attempt(sample, case.budget(sample.size), params, recorder=recorder, numeric_warnings=False)
    return recorder.calls


def _held(case: Case, sample: Sample, params: Mapping[str, Any], held: str) -> bool:
    """Return whether the method reads a part with this content."""
    return any(call.part in PARTS and PARTS[call.part].holds == held for call in _calls(case, sample, params))


def _sees(call: PoolCall) -> str:
    """Return the least supervision that allows the call."""
    if call.part in PARTS:
        return PARTS[call.part].least(call.options)
    return {"reveal": "coreset", "labels": "labels"}[call.part]


def _shared(options: Options, sample: Sample) -> Options:
    """Return options as the harness shares them: with the length of shared neighbour lists, and clusters counted."""
    return options.shared(sample.size, sample.num_classes)


def _spell(part: str, options: Options) -> str:
    return f"{part}({', '.join(f'{name}={value!r}' for name, value in vars(options).items())})"


def _allowed(case: Case, params: Mapping[str, Any], rate: float) -> bool:
    """Return whether the method's ``check`` accepts the combination; a budget of 0 has no rate."""
    if rate >= 1:
        return True
    try:
        case.entry.info.check(case.entry.resolve(params), rate)
    except BenchError:
        return False
    except Exception as error:
        raise Failed(f"check{_text(params)} at rate {rate:g}: {type(error).__name__}: {error}") from error
    return True


def _rate(case: Case, sample: Sample) -> float:
    return 1 - case.budget(sample.size) / sample.size


def _budgets(case: Case) -> list[int]:
    size = few_digits().size
    return [size] if case.entry.info.unpruned else [1, size // 2, size]


def _text(params: Mapping[str, Any]) -> str:
    """Return the parameters in parentheses, `` (beta=0.3)``, or an empty text if there are none."""
    return f" ({', '.join(f'{name}={value!r}' for name, value in params.items())})" if params else ""


def _random_states() -> dict[str, Any]:
    state = np.random.get_state(legacy=False)  # noqa: NPY002  (read, not drawn from)
    states: dict[str, Any] = {"random": random.getstate(), "numpy": str(state)}
    if "torch" in sys.modules:
        states["torch"] = sys.modules["torch"].get_rng_state().numpy().tobytes()
    return states
