"""What every method must do, whatever it computes. A check returns, or raises ``Failed``."""

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
from bench.conformance.case import Call, Case, Failed, Recorder
from bench.conformance.samples import ON_LABELS, Sample, digits, few_digits
from bench.errors import BenchError, SpecError
from bench.parts import PARTS, SUPERVISIONS, Options
from bench.registry import STRIPPED

LEAST_OF_A_CLASS = 5
"""Of 150 equal images out of 300 in ten classes, a draw takes fewer than 5 of some class less than once in 10^5."""


class Check(NamedTuple):
    """A name for test ids, a sentence for people, and the check itself."""

    name: str
    title: str
    run: Callable[[Case], None]


def declaration(case: Case) -> None:
    """A docstring whose first line is one sentence, defaults inside their own ranges, needs and check that answer."""
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
    """Exactly n unique indices inside the pool, for n of 0, 1, a few, half and all of N."""
    for params in ranges.choices(case.entry, digits().size):
        for budget in case.budgets(digits().size):
            case.coreset(digits(), budget, params)


def same_seed(case: Case) -> None:
    """The same seed gives the same coreset, among equal images too."""
    for params in ranges.choices(case.entry, digits().size):
        for sample in (digits(), digits().constant()):
            first, second = (case.coreset(sample, case.budget(sample.size), params, seed=7) for _ in range(2))
            if not first.same(second):
                alike = np.array_equal(first.indices, second.indices)
                what = "gave different weights" if alike else "kept different images"
                raise Failed(f"two runs with seed 7 {what}{_text(params)}; draw from rng alone.")


def seeds(case: Case) -> None:
    """Different seeds give different coresets where the method declares to be stochastic, and nowhere else."""
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
    # Torch may be imported meanwhile, and then has no state from before to differ from.
    used = [name for name, state in _random_states().items() if before.get(name, state) != state]
    if used:
        raise Failed(f"the global random state of {', '.join(used)} changed; draw from rng, and seed libraries by it.")


def inputs(case: Case) -> None:
    """Nothing of the caller's is edited, and read-only arrays are accepted."""
    for params in ranges.choices(case.entry, few_digits().size):
        recorder = Recorder(few_digits().source)
        case.coreset(few_digits(), case.budget(few_digits().size), params, recorder=recorder)
        if edited := recorder.edited():
            raise Failed(f"the method edited {', '.join(edited)} in place{_text(params)}; work on a copy.")


def labels(case: Case) -> None:
    """A label-free method selects the same where labels raise, and where they belong to other images."""
    others = {
        "where labels cannot be read": digits().without_labels(),
        "where labels are permuted": digits().shuffled(*ON_LABELS),
    }
    for params in ranges.choices(case.entry, digits().size):
        budget = case.budget(digits().size)
        expected = case.coreset(digits(), budget, params)
        for what, sample in others.items():
            if not case.coreset(sample, budget, params).same(expected):
                raise Failed(f"the coreset is another one {what}{_text(params)}: labels reach the method.")


def coreset_labels(case: Case) -> None:
    """A method that reads the labels of its coreset alone selects the same where all other labels are others."""
    sample = digits()
    for params in ranges.choices(case.entry, sample.size):
        for budget in case.budgets(sample.size):
            kept = case.coreset(sample, budget, params)
            if not case.coreset(sample.other_labels(kept.indices), budget, params).same(kept):
                raise Failed(f"labels of images outside the coreset changed it{_text(params)}; read pool.reveal alone.")


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
                told = ", ".join(_spell(*item) for item in declared) or "nothing"
                raise Failed(f"the method reads {_spell(*asked)} but declares {told}{_text(params)}.")


def supervision(case: Case) -> None:
    """The method reads labels, those of its coreset, or pseudo-labels, if it declares to."""
    declared = case.entry.info.supervision
    sample = few_digits()
    read: set[str] = set()
    for params in ranges.one_by_one(case.entry, sample.size):
        if _allowed(case, params, _rate(case, sample)):
            read |= {_sees(call) for call in _calls(case, sample, params)}
    if declared not in read:
        # What is read asks for at least this, and nothing that is read asks for more.
        least = max(read & {*SUPERVISIONS}, key=SUPERVISIONS.index, default="none")
        raise Failed(
            f"supervision={declared!r} is declared, but with no parameter is it used; declare supervision={least!r}."
        )


def parameters(case: Case) -> None:
    """Every parameter at the ends of its declared range, alone and in pairs, gives a coreset or a clear refusal."""
    sample = few_digits()
    wanted = [(params, budget) for params in ranges.one_by_one(case.entry, sample.size) for budget in _budgets(case)]
    wanted += [(params, case.budget(sample.size)) for params in ranges.pairs(case.entry, sample.size)]
    for params, budget in wanted:
        if _allowed(case, params, 1 - budget / sample.size):
            case.attempt(sample, budget, params, numeric_warnings=False)


def tiny(case: Case) -> None:
    """Pools of 1 to 5 images, fewer than classes, for every n."""
    # Fewer images than classes, neighbours and clusters: what divides by their number, or asks for as many, fails here.
    for size in range(1, 6):
        sample = digits().rows(np.linspace(0, digits().size - 1, size).astype(np.int64))
        for params in ranges.choices(case.entry, size):
            for budget in [size] if case.entry.info.unpruned else range(size + 1):
                case.coreset(sample, budget, params)


def one_class(case: Case) -> None:
    """Pools in which one class, or one cluster, holds every image, be it the only one or the fourth of ten."""
    inside = digits().rows(np.flatnonzero(digits().source.labels() == 3))
    # The fourth of ten: a method that counts classes from those it sees would call it the first.
    _works(case, inside.in_class(3))
    _works(case, replace(inside.in_class(0), num_classes=1))


def duplicates(case: Case) -> None:
    """A pool in which every image occurs three times."""
    _works(case, few_digits().rows(np.repeat(np.arange(few_digits().size), 3)))


def constant(case: Case) -> None:
    """A pool of equal images with equal scores."""
    _works(case, digits().constant())


def negative(case: Case) -> None:
    """Embeddings and margins all below 0, and all above, where difficulties (minus the margins) are below."""
    _works(case, digits().one_sided(-1))
    _works(case, digits().one_sided(1))


def nan_embeddings(case: Case) -> None:
    """A NaN or infinity in embeddings that the method reads is refused by name."""
    sample = few_digits()
    for params in ranges.choices(case.entry, sample.size):
        if _held(case, sample, params, "embeddings"):
            _refuses(case, sample, "embedding_array", params)


def nan_scores(case: Case) -> None:
    """A NaN or infinity in a score that the method uses is refused by name."""
    sample, budget = few_digits(), case.budget(few_digits().size)
    # A name may end in ``{of}``, which stands for what the dynamics are of.
    scores = tuple(part.array.partition("{")[0] for part in PARTS.values() if part.holds == "scores")
    names = [name for name, array in sample.arrays() if name.startswith(scores) and array.dtype.kind == "f"]
    for params in ranges.choices(case.entry, sample.size):
        if not _held(case, sample, params, "scores"):
            continue
        expected = case.coreset(sample, budget, params)
        for name in names:
            # A score that may change its owner without a trace is none that the method uses.
            if not case.coreset(sample.shuffled(name), budget, params).same(expected):
                _refuses(case, sample, name, params)


def ties(case: Case) -> None:
    """Among equal images no class is favoured, although pools are often stored class by class."""
    sample = digits().constant()
    for params in ranges.choices(case.entry, sample.size):
        kept = case.coreset(sample, sample.size // 2, params).indices
        counts = np.bincount(sample.source.labels()[kept], minlength=sample.num_classes)
        if counts.min() < LEAST_OF_A_CLASS:
            raise Failed(
                f"of {sample.size} equal images in ten classes it kept {counts.tolist()}{_text(params)}; "
                "break ties by rng, not by position."
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


def _calls(case: Case, sample: Sample, params: Mapping[str, Any]) -> list[Call]:
    """What the method asks of the pool; that of a refused request too."""
    recorder = Recorder(sample.source)
    case.attempt(sample, case.budget(sample.size), params, recorder=recorder, numeric_warnings=False)
    return recorder.calls


def _held(case: Case, sample: Sample, params: Mapping[str, Any], held: str) -> bool:
    """Whether the method asks for a part that holds this."""
    return any(call.part in PARTS and PARTS[call.part].holds == held for call in _calls(case, sample, params))


def _sees(call: Call) -> str:
    """The least supervision that allows the call."""
    if call.part in PARTS:
        return PARTS[call.part].least(call.options)
    return {"reveal": "coreset", "labels": "labels"}[call.part]


def _shared(options: Options, sample: Sample) -> Options:
    """Options as the harness computes them: neighbour lists as long as those that are shared, clusters counted."""
    return options.shared(sample.size, sample.num_classes)


def _spell(part: str, options: Options) -> str:
    return f"{part}({', '.join(f'{name}={value!r}' for name, value in vars(options).items())})"


def _allowed(case: Case, params: Mapping[str, Any], rate: float) -> bool:
    """Whether the method's own ``check`` lets the combination pass; a budget of 0 has no rate."""
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
    """What is set, as it follows a statement: empty, or `` (beta=0.3)``."""
    return f" ({', '.join(f'{name}={value!r}' for name, value in params.items())})" if params else ""


def _random_states() -> dict[str, Any]:
    state = np.random.get_state(legacy=False)  # noqa: NPY002  (read, not drawn from)
    states: dict[str, Any] = {"random": random.getstate(), "numpy": str(state)}
    if "torch" in sys.modules:
        states["torch"] = sys.modules["torch"].get_rng_state().numpy().tobytes()
    return states
