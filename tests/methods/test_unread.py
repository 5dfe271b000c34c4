"""Parameters that nothing reads beside the others are refused, by each method that has some."""

from __future__ import annotations

import pytest

from bench.errors import SpecError
from bench.grammar import parse_call
from bench.plugins import methods


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("elfs(rehearsal=own-pseudo-labels,guard=false)", "guard=False changes nothing without a judge"),
        (
            "elfs(clustering=kmeans,heads=7,cluster_epochs=9)",
            "heads=7 and cluster_epochs=9 changes nothing without clust",
        ),
        ("elfs(per_cluster=true)", "per_cluster=True changes nothing without sampling=strata"),
        ("elfs(never_learned=zero)", "never_learned=zero changes nothing without score=forgetting"),
        ("probcover(delta=0.5,purity=0.5)", "purity=0.5 changes nothing without delta=purity"),
        ("ccs(never_learned=zero)", "never_learned=zero changes nothing without score=forgetting"),
        ("d2(score=aum,never_learned=zero)", "never_learned=zero changes nothing without score=forgetting"),
        ("d2(gamma_forward=2)", "gamma_forward=2.0 changes nothing without kernel=paper"),
        ("d2-label-free(gamma_forward=2)", "gamma_forward=2.0 changes nothing without kernel=paper"),
        ("dual(exponent=2)", "exponent=2.0 changes nothing without sampling=beta"),
    ],
)
def test_what_nothing_reads_is_refused(call: str, message: str) -> None:
    parsed = parse_call(call)
    entry = methods.get(parsed.name)
    with pytest.raises(SpecError, match=message):
        entry.info.check(entry.resolve(parsed.params), 0.9)


@pytest.mark.parametrize(
    "call",
    [
        "elfs(clustering=kmeans,rehearsal=ridge,guard=false)",
        "elfs(beta=0.3,heads=7,cluster_epochs=9)",
        "elfs(beta=0.3,sampling=strata,per_cluster=true)",
        "elfs(beta=0.3,score=forgetting,never_learned=zero)",
        "elfs(rehearsal=own-pseudo-labels)",
        "probcover(purity=0.5)",
        "ccs(score=forgetting,never_learned=zero)",
        "d2(never_learned=zero)",
        "d2(kernel=paper,gamma_forward=2)",
        "d2-label-free(kernel=paper,gamma_forward=2)",
        "dual(sampling=beta,exponent=2)",
    ],
)
def test_what_is_read_is_not(call: str) -> None:
    parsed = parse_call(call)
    entry = methods.get(parsed.name)
    entry.info.check(entry.resolve(parsed.params), 0.9)
