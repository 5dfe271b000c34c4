"""Seconds that stages took before, and of which they are taken."""

from __future__ import annotations

import json
from pathlib import Path

from bench.engine.measured import measured_before
from bench.grammar import parse_call
from bench.labelling.items import items_selection
from bench.parts import Clustering
from bench.resource_usage import Usage
from bench.stages.clusters import PseudoLabels
from bench.stages.session import Session
from tests.plans import planned, session_of


def test_a_stage_like_one_in_the_cache_takes_as_long(tmp_path: Path) -> None:
    import numpy as np

    first, second = (planned(tmp_path, methods="aum", seeds=seed) for seed in ("0,", "1,"))
    place = session_of(first, tmp_path)
    for stage, seconds in zip(first.stages(place.store), (123.0, 4.5), strict=True):
        place.store.write(stage, {"a": np.zeros(3)}, Usage(seconds))
    wanted = second.stages(place.store)
    assert [stage.kind for stage in wanted] == ["dynamics", "selection"]
    assert measured_before(wanted, [], place) == {wanted[0].key: 123.0, wanted[1].key: 4.5}
    other = planned(tmp_path, methods="aum", recipe={"proxy_epochs": 3})
    assert measured_before(other.stages(place.store), [], place) == {}, "a shorter proxy is another one"
    for record in (tmp_path / "cache").rglob("*.json"):
        content = json.loads(record.read_text())
        del content["record_sha256"]
        record.write_text(json.dumps({**content, "host": "another machine"}, indent=1))
    assert measured_before(wanted, [], place) == {}


def test_a_stage_like_one_of_other_threads_or_beside_another_with_a_gpu_takes_its_own_time(tmp_path: Path) -> None:
    import numpy as np

    arrays = {"labels": np.zeros(3)}
    asked = items_selection(np.zeros((30, 2), np.float32), parse_call("elfs"), budget=5, classes=2, seed=0)
    on_gpu, on_cpu = (PseudoLabels.of(asked, Clustering(clustering=name)) for name in ("temi", "kmeans"))
    place = Session(out=tmp_path, cache=tmp_path / "gpu", device="cuda", threads=1)
    place.store.write(on_gpu, arrays, Usage(100.0, 1, 5))
    place.store.write(on_cpu, arrays, Usage(2.0, 1, None))
    for stages in ([on_gpu, on_cpu], [on_cpu, on_gpu]):
        assert measured_before(stages, [], place) == {on_gpu.key: 100.0, on_cpu.key: 2.0}
    place.store.write(on_cpu, arrays, Usage(2.0, 1, 5))
    assert measured_before([on_cpu], [], place) == {on_cpu.key: 2.0}, "made in a process that held a GPU"
    one, many = (Session(out=tmp_path, cache=tmp_path / "cpu", threads=threads) for threads in (1, 64))
    one.store.write(on_gpu, arrays, Usage(6400.0, 1, None))
    assert measured_before([on_gpu], [], one) == {on_gpu.key: 6400.0}
    assert measured_before([on_gpu], [], many) == {}
