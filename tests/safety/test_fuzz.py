"""Whatever bytes come in: one ``BenchError``, or what the bytes truly say; never another exception, never a guess."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.grammar import Call, parse_call, split_list
from bench.grid.spec import GridSpec, load_spec
from bench.results.published import read_indices, read_scores
from bench.results.rows import read_row
from bench.store.cache import Store
from bench.store.records import sealed
from tests.row_fixtures import problems_of
from tests.texts import CHARACTERS

FOLDER_IS_SHARED = settings(
    max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
RESULTS = Path(__file__).parents[2] / "results"
SOME_ROW = next((RESULTS / "digits-demo" / "rows").glob("*elfs*.json"))
GRAMMAR = st.text(st.sampled_from("ab1.9-_()[]{}=,:'\" \\\n{}#@"), max_size=40)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(CHARACTERS, max_size=10)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(CHARACTERS, max_size=5) | st.floats(), inner, max_size=3)
    ),
    max_leaves=6,
)


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """The content cut, with a few bytes replaced, or with some inserted."""

    def change(position: int, kind: str, extra: bytes) -> bytes:
        place = position % len(content)
        if kind == "cut":
            return content[:place]
        return content[:place] + extra + content[place + (len(extra) if kind == "replaced" else 0) :]

    return st.builds(
        change,
        st.integers(0, 10**9),
        st.sampled_from(["cut", "replaced", "inserted"]),
        st.binary(min_size=1, max_size=8),
    )


@FOLDER_IS_SHARED
@given(GRAMMAR | st.text(CHARACTERS, max_size=40))
@example("a(" * 5000)
@example("a(b=" + "[" * 5000 + "]" * 5000 + ")")
@example("a(b=" + "9" * 5000 + ")")
@example("a(b='\x00')")
def test_a_call_is_read_or_refused_and_means_what_it_says(text: str) -> None:
    with contextlib.suppress(BenchError):
        split_list(text)
    try:
        call = parse_call(text)
    except BenchError:
        return
    assert text.strip().startswith(call.name)
    again = parse_call(str(call))
    assert repr(again) == repr(call), "printed and read again it is the same"


@FOLDER_IS_SHARED
@given(VALUES)
def test_yaml_calls_of_any_shape_are_read_or_refused(value: Any) -> None:
    with contextlib.suppress(BenchError):
        assert isinstance(parse_call(value), Call)


@FOLDER_IS_SHARED
@given(st.dictionaries(st.sampled_from(sorted(GridSpec.model_fields)), VALUES, max_size=3))
@example({"seeds": 10**400})
@example({"rates": [[]]})
@example({"seeds": "9" * 5000})
@example({"recipe": {1: 2}})
def test_a_grid_of_any_values_is_valid_or_refused(fields: Mapping[str, Any]) -> None:
    try:
        spec = load_spec(given=fields)
    except BenchError:
        return
    assert all(0 <= rate < 1 for rate in spec.rates)
    assert len(set(spec.seeds)) == len(spec.seeds) > 0


@pytest.mark.integration
@FOLDER_IS_SHARED
@given(
    content=st.binary(max_size=60)
    | GRAMMAR.map(str.encode)
    | damaged(b"methods: [ccs: {beta: {0.7: 0.1}}]\nrates: [0.7]\nseeds: 3\n")
)
@example(content=b"rates: !!python/object/apply:os.system ['true']")
@example(content=b"methods: " + b"[" * 1000)
@example(content=b"a: &a [*a]\nmethods: *a")
@example(content=b"methods: &a [*a]")
@example(content=b"seeds: 2025-13-01")
@example(content=b"? [a]\n: 1")
def test_a_yaml_file_of_any_content_is_read_or_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "grid.yaml"
    path.write_bytes(content)
    with contextlib.suppress(BenchError):
        assert isinstance(load_spec(config=path, given={}), GridSpec)


@FOLDER_IS_SHARED
@given(content=st.binary(max_size=60) | damaged(SOME_ROW.read_bytes()))
@example(content=b"[" * 100_000)
@example(content=b'{"seed": ' + b"9" * 5000 + b"}")
@example(content=SOME_ROW.read_bytes().replace(b'"seed": 0', b'"seed": ' + b"9" * 4000))
@example(content=SOME_ROW.read_bytes().replace(b'"seed": 0', b'"seed": NaN'))
def test_a_row_of_any_content_is_read_or_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "rows" / "row.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    problems_of(path)
    try:
        row = read_row(path)
    except BenchError:
        return
    assert 0 <= row.accuracy <= 100
    said = json.loads(content)
    assert {name: said[name] for name in ("accuracy", "seed", "variant", "indices_sha256")} == {
        name: getattr(row, name) for name in ("accuracy", "seed", "variant", "indices_sha256")
    }


@FOLDER_IS_SHARED
@given(st.dictionaries(st.sampled_from(sorted(json.loads(SOME_ROW.read_bytes()))), VALUES, min_size=1, max_size=3))
def test_a_row_with_fields_of_any_value_is_read_or_refused(tmp_path: Path, changes: Mapping[str, Any]) -> None:
    path = tmp_path / "rows" / "row.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(json.loads(SOME_ROW.read_bytes()) | changes))
    for problem in problems_of(path):
        assert "\x1b" not in problem
    with contextlib.suppress(BenchError):
        read_row(path)


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


INDICES = np.arange(0, 50, 5)


@FOLDER_IS_SHARED
@given(content=st.binary(max_size=60) | damaged(npy(INDICES)))
@example(content=b"")
@example(content=npy(np.zeros(0, dtype=np.int64)))
@example(content=npy(INDICES).replace(b"(10,)", b"(9999999999999,)"))
@example(content=npy(np.array(["a", "b"])))
@example(content=npy(INDICES).replace(b"'<i8'", b"'|O8'"))
def test_a_coreset_of_any_content_is_the_published_one_or_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cell.npy"
    path.write_bytes(content)
    digest = hashlib.sha256(INDICES.astype("<i8").tobytes()).hexdigest()
    with contextlib.suppress(BenchError):
        assert np.array_equal(read_indices(path, sha256=digest), INDICES)
    with contextlib.suppress(BenchError):
        assert (np.diff(read_indices(path)) > 0).all()
    with contextlib.suppress(BenchError):
        read_scores(path, sha256=hashlib.sha256(content).hexdigest())


def test_an_archive_in_the_place_of_a_coreset_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, indices=INDICES)
    (tmp_path / "cell.npy").write_bytes(buffer.getvalue())
    with pytest.raises(BenchError, match=r"cannot read .*cell\.npy as a \.npy file"):
        read_indices(tmp_path / "cell.npy")


class Stage:
    """A stage that the store can hold."""

    kind, key = "numbers", "0" * 64

    def describe(self) -> Mapping[str, Any]:
        return {"kind": self.kind}


ARRAYS = {"a": np.arange(12.0).reshape(3, 4), "b": np.arange(3)}


def stored(folder: Path) -> tuple[Store, Path]:
    store = Store(folder)
    store.get(Stage(), lambda: dict(ARRAYS))
    return store, folder / Stage.kind / Stage.key


def same(arrays: Mapping[str, np.ndarray]) -> bool:
    return set(arrays) == set(ARRAYS) and all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)


@pytest.mark.integration
@FOLDER_IS_SHARED
@given(st.data())
def test_a_damaged_artifact_counts_as_absent(tmp_path: Path, data: st.DataObject) -> None:
    store, base = stored(tmp_path)
    suffix = data.draw(st.sampled_from([".npz", ".json"]))
    whole = base.with_suffix(suffix).read_bytes()
    base.with_suffix(suffix).write_bytes(data.draw(damaged(whole) | st.binary(max_size=40)))
    found = store.load(Stage())
    assert found is None or same(found.arrays)
    store.record(Stage())
    assert same(store.get(Stage(), lambda: dict(ARRAYS)).arrays)
    base.with_suffix(suffix).write_bytes(whole)


@pytest.mark.integration
@FOLDER_IS_SHARED
@given(st.data())
def test_an_artifact_forged_with_its_checksum_cannot_stop_the_reader(tmp_path: Path, data: st.DataObject) -> None:
    store, base = stored(tmp_path)
    whole = base.with_suffix(".npz").read_bytes()
    content = data.draw(damaged(whole) | st.binary(max_size=40))
    base.with_suffix(".npz").write_bytes(content)
    seconds: Any = data.draw(st.sampled_from([1.0, -1.0, 1e999, "1", None, [], {}, "x"]))
    record = {"sha256": hashlib.sha256(content).hexdigest(), "seconds": seconds, "peak_bytes": seconds}
    base.with_suffix(".json").write_bytes(sealed(record))
    found = store.load(Stage())
    assert found is None or all(isinstance(array, np.ndarray) for array in found.arrays.values())
    store.record(Stage())


@pytest.mark.parametrize("content", [b"[" * 100_000, b"[]", b"1", b'"text"', b"\xff", b'{"sha256": 1}'])
def test_a_record_that_is_no_record_counts_as_absent(tmp_path: Path, content: bytes) -> None:
    store, base = stored(tmp_path)
    base.with_suffix(".json").write_bytes(content)
    assert store.load(Stage()) is None
    record = store.record(Stage())
    assert (record.seconds, record.peak_bytes, record.peak_gpu_bytes) == (0, None, None)
    assert same(store.get(Stage(), lambda: dict(ARRAYS)).arrays)
