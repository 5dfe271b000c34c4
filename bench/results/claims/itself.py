"""Checking a row against itself: names, parameters, accuracies, counts and origin."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from bench.errors import BenchError, SpecError
from bench.grammar import Call, parse_call
from bench.identity import INDICES, NO_ENCODER, NO_PROXY, cell_name, version_name
from bench.modifiers import check_modifiers
from bench.recipe import KNOWN_PROTOCOLS, Recipe, proxy_recipe, scoring_steps
from bench.registry import NAME
from bench.results.rows import SHA256, SINCE, Row
from bench.selection import budget_for

_SINCE_2 = ("config_sha256", "best_iteration", "test_class_counts")
_SINCE_3 = (*_SINCE_2, "dataset_version", "model_version")
_REQUIRED = {2: _SINCE_2, 3: _SINCE_3, 4: _SINCE_3, 5: _SINCE_3}
_TOLERANCE = 1e-3
"""Percentage points. Accuracies of classes are computed in float32, with an error of 1e-5 at 100."""
_CLOCKS = timedelta(days=1)
"""How far ahead the clock of the machine that wrote a row may be."""
_MOST_SECONDS = 1e9
"""Longest plausible time: thirty years."""
_VERSION = re.compile(r"\d[\w.+!-]*")
_NONE = {"encoder": NO_ENCODER, "proxy_model": NO_PROXY}


def spelling_problems(row: Row) -> Iterator[str]:
    """Yield names that cannot be parsed, or are not spelled as a run spells them."""
    for field in ("dataset", "variant", "model", "encoder", "proxy_model"):
        text = getattr(row, field)
        if text == _NONE.get(field):
            continue
        try:
            call = parse_call(text)
            spelled = Call(call.name, call.params, check_modifiers(call.name, call.modifiers))
        except SpecError as error:
            yield f"{field}: {error}"
            continue
        if not NAME.fullmatch(call.name):
            yield f"{field}: {call.name!r} cannot be the name of a plugin"
        elif call.modifiers and field != "dataset":
            yield f"{field}: only a data set takes modifiers, got {text!r}"
        elif str(spelled) != text:
            yield f"{field}: {text!r} would be written {str(spelled)!r}"
    for text in _texts(row.params):
        # Tables show parameters, and such a character could hide text in them.
        unseen = [char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp")]
        if unseen:
            yield f"params: {text!r} holds the unseen character U+{ord(unseen[0]):04X}"


def identity_problems(row: Row, stem: str) -> Iterator[str]:
    """Yield contradictions between the row and its file name, cell name, protocol and schema version."""
    if row.protocol not in KNOWN_PROTOCOLS:
        yield f"protocol: {row.protocol} is unknown; known: {', '.join(map(str, KNOWN_PROTOCOLS))}"
    if stem != row.cell_id:
        yield f"cell_id: {row.cell_id} is not the name of the file"
    later = [name for name in row.model_fields_set if SINCE.get(name, 1) > row.schema_version and getattr(row, name)]
    if later:
        yield f"{', '.join(sorted(later))}: there in a row of version {row.schema_version}, which has none"
    # Some rows of version 1 were written before that version had all its fields.
    always = [name for name, info in Row.model_fields.items() if info.exclude_if is None]
    written = {name for name in always if row.schema_version > 1 and SINCE.get(name, 1) <= row.schema_version}
    empty = [name for name in _REQUIRED.get(row.schema_version, ()) if not getattr(row, name)]
    missing = list(dict.fromkeys([*empty, *sorted(written - row.model_fields_set)]))
    for name in ("recipe", "proxy_recipe"):
        recipe = getattr(row, name)
        if row.schema_version >= 4 and recipe is not None:
            # Later fields are left out at their defaults.
            required = [field for field, info in Recipe.model_fields.items() if info.exclude_if is None]
            missing += [f"{name}.{field}" for field in required if field not in recipe.model_fields_set]
    if missing:
        yield f"{', '.join(missing)}: missing in a row of version {row.schema_version}"
    *words, tail = row.cell_id.split("-")
    if row.config_sha256 and tail != row.config_sha256[:12]:
        yield f"cell_id: it ends with {tail}, config_sha256 begins with {row.config_sha256[:12]}"
    try:
        expected = _names(row)
    except BenchError as error:
        yield f"cell_id: cannot be compared: {error}"
        return
    if "-".join(words) not in expected:
        yield f"cell_id: it names {'-'.join(words)}, the row's fields {expected[0]}"


def variant_problems(row: Row) -> Iterator[str]:
    """Yield contradictions between method, variant and parameters."""
    call = parse_call(row.variant)
    if call.name != row.method:
        yield f"variant: it names {call.name}, the method is {row.method}"
        return
    if row.method == INDICES and (call.params.keys() != {"of"} or row.params.keys() != {"of"}):
        yield f"variant: {INDICES} has the one parameter 'of', got {row.variant} and {_json(row.params)}"
    for name, value in call.params.items():
        if isinstance(value, Mapping):
            at_rate = [item for rate, item in value.items() if str(rate) in (str(row.rate), f"{row.rate:g}")]
            if not at_rate:
                yield f"variant: {name} has no value at the row's rate {row.rate:g}"
                continue
            value = at_rate[0]
        if name not in row.params:
            yield f"params: {name} is missing, which the variant sets to {value!r}"
        elif _json(row.params[name]) != _json(value):
            yield f"variant: {name} is {value!r} there at rate {row.rate:g}, but {row.params[name]!r} in params"


def accuracy_problems(row: Row) -> Iterator[str]:
    """Yield contradictions between last, best and per-class accuracy and the curve, or fractions of images."""
    if not row.curve:
        yield "curve: it is empty"
        return
    iterations = [iteration for iteration, _ in row.curve]
    accuracies = [accuracy for _, accuracy in row.curve]
    recipe = row.recipe
    if any(after <= before for before, after in zip([0, *iterations], iterations, strict=False)):
        yield "curve: iterations do not ascend from 1"
    elif iterations[-1] != recipe.iterations:
        yield f"curve: it ends at iteration {iterations[-1]}, the recipe at {recipe.iterations}"
    # The number is checked first: a recipe may claim more evaluations than memory holds.
    elif len(iterations) != min(recipe.evaluations, recipe.iterations) or iterations != list(
        scoring_steps(recipe.iterations, recipe.evaluations)
    ):
        yield f"curve: it is not scored {recipe.evaluations} times, evenly, in {recipe.iterations} iterations"
    if accuracies[-1] != row.accuracy:
        yield f"accuracy: {row.accuracy} is not the last of the curve, {accuracies[-1]}"
    best = max(accuracies)
    if best != row.best_accuracy:
        yield f"best_accuracy: {row.best_accuracy} is not the best of the curve, {best}"
    first = iterations[accuracies.index(best)]
    if row.best_iteration is not None and row.best_iteration != first:
        yield f"best_iteration: {row.best_iteration} is not where the curve is best first, {first}"
    images = sum(row.test_class_counts)
    if row.recipe.test_flip != (row.flipped_accuracy is not None):
        yield f"flipped_accuracy: {row.flipped_accuracy}, but the recipe has test_flip={row.recipe.test_flip}"
    if row.flipped_accuracy is not None and not _whole(row.flipped_accuracy, images):
        yield f"flipped_accuracy: {row.flipped_accuracy} % of {images:,} test images is not a whole number of them"
    parts = [accuracy for accuracy in accuracies if not _whole(accuracy, images)]
    if parts:
        yield f"curve: {parts[0]} % of {images:,} test images is not a whole number of them"
    yield from _per_class_problems(row)


def coreset_problems(row: Row) -> Iterator[str]:
    """Yield contradictions between rate, pool, budget and class counts."""
    expected = budget_for(row.pool_size, row.rate)
    if row.budget > row.pool_size:
        yield f"budget: {row.budget} images are more than the pool of {row.pool_size}"
    elif row.budget != expected:
        yield f"budget: {row.budget}, but rate {row.rate:g} keeps {expected} of {row.pool_size}"
    if sum(row.class_counts) != row.budget:
        yield f"class_counts: they add up to {sum(row.class_counts)}, the budget is {row.budget}"
    quality = row.pseudo_labels
    if quality and (quality.clusters > row.pool_size or not _whole(quality.accuracy, row.pool_size)):
        yield f"pseudo_labels: {quality.accuracy} % and {quality.clusters} clusters do not fit {row.pool_size} images"


def judged_problems(row: Row) -> Iterator[str]:
    """Yield a problem if the taken candidate was not judged."""
    # A random coreset that a guard takes was judged too, under its own name.
    if (row.judged or row.taken) and row.taken not in row.judged:
        yield f"taken: {row.taken or 'nothing'} was taken, but judged were {', '.join(row.judged) or 'none'}"


def pool_problems(row: Row) -> Iterator[str]:
    """Yield contradictions between the pool size and the data set, and missing or superfluous parts."""
    drawn = parse_call(row.dataset).params.get("pool_size", row.pool_size)
    if drawn != row.pool_size:
        yield f"pool_size: {row.pool_size}, but the data set is {row.dataset}"
    encoder = (row.encoder_supervision, row.encoder_weights, row.encoder_version)
    if row.encoder == NO_ENCODER and encoder != (NO_ENCODER, "", None):
        yield f"encoder: there is none, but its supervision, weights and version are {encoder}"
    if row.encoder != NO_ENCODER and row.encoder_supervision == NO_ENCODER:
        yield "encoder_supervision: it is missing"
    if row.proxy_model == NO_PROXY and (row.proxy_version, row.proxy_recipe) != (None, None):
        yield "proxy_model: there is none, but it has a version or a recipe"
    same_model = (row.proxy_model, row.proxy_version) == (row.model, row.model_version) and row.method != INDICES
    if same_model and row.proxy_recipe not in (None, proxy_recipe(row.recipe)):
        yield "proxy_recipe: it is not that of the row's own model, which the proxy is"
    if row.schema_version < 3 or row.method == INDICES:
        return  # a retrained coreset may come from a row of an earlier version
    missing = [
        name
        for name, expected in (
            ("selection_code", True),
            ("encoder_version", row.encoder != NO_ENCODER),
            ("proxy_version", row.proxy_model != NO_PROXY),
            ("proxy_recipe", row.proxy_model != NO_PROXY and row.schema_version >= 4),
        )
        if expected and not getattr(row, name)
    ]
    if missing:
        yield f"{', '.join(missing)}: missing in a row of version {row.schema_version}"


def origin_problems(row: Row) -> Iterator[str]:
    """Yield times, machines, code and digests that do not have the form that a run writes."""
    try:
        created = datetime.fromisoformat(row.created)
    except ValueError:
        yield f"created: {row.created!r} is not a date and time in ISO 8601"
    else:
        if created.tzinfo is None or created.utcoffset():
            yield f"created: {row.created} is not in UTC"
        elif created > datetime.now(timezone.utc) + _CLOCKS:
            yield f"created: {row.created} is in the future"
    if row.threads < 1:
        yield f"threads: {row.threads}; a trial has at least 1"
    if row.seed < 0:
        yield f"seed: {row.seed} is below 0"
    for name in ("dataset_version", "method_version", "model_version", "encoder_version", "proxy_version"):
        version = getattr(row, name)
        if version is not None and version < 1:
            yield f"{name}: {version} is below 1"
    for name in ("encoder_weights", "fingerprint", "clean_fingerprint"):
        text = getattr(row, name)
        if not (SHA256.fullmatch(text) or (name != "fingerprint" and not text)):
            yield f"{name}: {text!r} is not a SHA-256"
    if not re.fullmatch(r"([0-9a-f]{16})?", row.selection_code):
        yield f"selection_code: {row.selection_code!r} has no 16 hexadecimal digits"
    if not re.fullmatch(r"([0-9a-f]{40}|[0-9a-f]{64})?", row.git_revision):
        yield f"git_revision: {row.git_revision!r} is not a revision of git"
    if row.git_dirty and not row.git_revision:
        yield "git_dirty: there are changes, but to no revision"
    yield from _machine_problems(row)
    yield from _stage_problems(row)


def _machine_problems(row: Row) -> Iterator[str]:
    on_cpu = row.device.startswith("cpu")
    missing = [name for name in ("python", "coreset-bench", "numpy", "torch") if name not in row.versions]
    if missing:
        yield f"versions: {', '.join(missing)}: missing"
    # Torch for other kinds of GPU has no version of CUDA.
    strange = [
        name for name, text in row.versions.items() if not (_VERSION.fullmatch(text) or name in ("cuda", "cudnn"))
    ]
    if strange:
        yield f"versions: {row.versions[strange[0]]!r} is not a version of {strange[0]}"
    if not row.device or row.device != row.device.strip():
        yield f"device: {row.device!r} is empty, or begins or ends with blanks"
    if row.train_seconds == 0 or max(row.train_seconds, *(use.seconds for use in row.stages), 0) > _MOST_SECONDS:
        yield "train_seconds, stages: a time is 0, or longer than any run"
    if on_cpu and "cuda" in row.versions:
        yield f"versions: CUDA {row.versions['cuda']}, but the device is {row.device}"
    if row.schema_version > 1 and row.recipe.precision == "auto":
        yield "recipe: precision is auto, where a row says what that was"
    if on_cpu and row.recipe.precision == "tf32":
        yield f"recipe: precision is tf32, which {row.device} lacks"


def _stage_problems(row: Row) -> Iterator[str]:
    keys = [use.key for use in row.stages]
    if len(set(keys)) < len(keys) or not all(map(SHA256.fullmatch, keys)):
        yield "stages: a key is there twice, or is not a SHA-256"
    if row.schema_version >= 4 and any(use.paid_seconds is not None for use in row.stages):
        yield f"stages: paid_seconds is not empty in a row of version {row.schema_version}"
    selections = [use.seconds for use in row.stages if use.kind == "selection"]
    if row.method == INDICES:
        if row.stages or row.select_seconds:
            yield f"stages: a row of {INDICES} selects nothing, and has none"
    elif selections[-1:] != [row.select_seconds]:  # earlier ones are those of candidates
        yield f"select_seconds: {row.select_seconds}, but the stages have {selections or 'no selection'}"


def _per_class_problems(row: Row) -> Iterator[str]:
    shares, counts = row.per_class_accuracy, row.test_class_counts
    classes = {len(shares), len(row.class_counts), *([len(counts)] if counts else [])}
    if len(classes) > 1:
        yield "per_class_accuracy, class_counts, test_class_counts: not of the same length"
        return
    known = [share for share in shares if share is not None]
    if not counts:
        # Rows of version 1 have no counts, but a mean lies between the extremes whatever its weights.
        if not known or not min(known) - _TOLERANCE <= row.accuracy <= max(known) + _TOLERANCE:
            yield f"per_class_accuracy: no class counts make {row.accuracy} of it"
        return
    if any((share is None) != (count == 0) for share, count in zip(shares, counts, strict=True)):
        yield "per_class_accuracy: there must be one for each class with test images, and no other"
        return
    pairs = [(share, count) for share, count in zip(shares, counts, strict=True) if share is not None]
    parts = [(share, count) for share, count in pairs if not _whole(share, count)]
    if parts:
        yield f"per_class_accuracy: {parts[0][0]} % of {parts[0][1]:,} test images is not a whole number of them"
    correct = sum(share * count for share, count in pairs)
    if not sum(counts) or not math.isclose(correct / sum(counts), row.accuracy, abs_tol=_TOLERANCE):
        yield f"per_class_accuracy: with test_class_counts it does not make {row.accuracy}"


def _whole(percent: float, images: int) -> bool:
    """Return whether this percentage of the images is a whole number, within the precision of float32."""
    count = percent * images / 100
    return abs(count - round(count)) <= 1e-6 * images


def _names(row: Row) -> list[str]:
    """Return the possible names of the cell; a retrained cell only names an encoder if its model reads embeddings."""
    encoders = [parse_call(row.encoder).name] if row.encoder != NO_ENCODER else ["none"]
    if row.method == INDICES:
        encoders.append("none")
    data = parse_call(row.dataset)
    version = version_name(data.name, data.modifiers)
    model = parse_call(row.model).name
    return [cell_name(version, row.method, encoder, row.rate, row.seed, model) for encoder in encoders]


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts in a JSON value, including keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from (*_texts(key), *_texts(item))
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)
